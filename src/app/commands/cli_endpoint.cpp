#include "app/commands/cli_endpoint.hpp"

#include <algorithm>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/platform/cli_workers.hpp"
#include "base/time.hpp"
#include "runtime/clock.hpp"

namespace strata::app {

namespace {

constexpr std::chrono::seconds kQuestion{20};

const std::vector<std::pair<std::string, std::string>> kColumns = {
    {"name", "NAME"},       {"model", "MODEL"},   {"state", "STATE"},
    {"version", "VERSION"}, {"digest", "DIGEST"}, {"owner", "OWNER"}};

// What answers stands one level down in the API; a table has only one.
Json flat(Json endpoint) {
  const Json live = endpoint["live"];
  endpoint.set("version", live.text("version", "-"));
  endpoint.set("digest", live.text("digest", "-"));
  return endpoint;
}

void show(CliContext& context, const Json& endpoint) {
  if (context.structured()) {
    context.dump(endpoint);
    return;
  }
  context.print(Json::object({{"endpoints", Json(Json::Array{flat(endpoint)})}}), "endpoints",
                kColumns);
  if (const auto error = endpoint.text("error"); !error.empty()) {
    std::printf("\n");
    print_line(error);
  }
}

// Asks until what the reference names is what answers; the server holds each question while it
// loads. Errors: kUnavailable with the server's reason when that failed, kDeadlineExceeded.
Result<Json> wait_until_ready(ApiClient& client, const std::string& path,
                              std::chrono::milliseconds limit) {
  const SystemClock clock;
  const auto end = clock.steady() + limit;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(end - clock.steady());
    const auto wait = std::clamp(left, std::chrono::seconds(0), kQuestion);
    auto endpoint = client.get(fmt::format("{}?wait={}", path, wait.count()));
    if (!endpoint) return endpoint;
    const auto state = endpoint->text("state");
    if (state == "ready") return endpoint;
    if (state == "failed" || state == "degraded")
      return Error(Code::kUnavailable, endpoint->text("error"));
    if (clock.steady() < end) continue;
    return Error(Code::kDeadlineExceeded,
                 fmt::format("the endpoint is still loading its model after {}; it goes on: strata "
                             "endpoint show tells when it answers",
                             show_duration(limit)));
  }
}

void add_create(CLI::App& endpoint, CliContext& context) {
  static std::string name, model, workers, idle;
  static std::string timeout = "10m";
  static bool wait = false;
  auto* create = endpoint.add_subcommand("create", "Serve a model and follow its alias");
  create->add_option("name", name, "Name of the endpoint")->required();
  create->add_option("--model", model, "models:/NAME@ALIAS or models:/NAME/VERSION")->required();
  create->add_option("--workers", workers,
                     "Processes of a model in Python: 2, 1..4, or 0..2 to sleep when nobody asks");
  create->add_option("--idle", idle, "When the last one sleeps with 0..N, for example 5m");
  create->add_flag("--wait", wait, "Return when the endpoint answers, or fail with the reason");
  create->add_option("--timeout", timeout, "How long to wait, for example 90s");
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto limit = parse_duration(timeout);
      if (!limit) return invalid("timeout", "--timeout: " + limit.error().message);
      Json body = Json::object({{"name", name}, {"model", model}});
      if (!workers.empty() || !idle.empty()) {
        auto replicas = parse_workers(workers.empty() ? "1" : workers, idle);
        if (!replicas) return replicas.error();
        body.set("replicas", *std::move(replicas));
      }
      auto made = client.post("/api/v1/endpoints", body);
      if (made && wait)
        made = wait_until_ready(client, "/api/v1/endpoints/" + encode_segment(name), *limit);
      if (!made) return made.error();
      show(context, *made);
      return {};
    });
  });
}

}  // namespace

void add_endpoint_commands(CLI::App& app, CliContext& context) {
  auto* endpoint = app.add_subcommand("endpoint", "Models that answer requests");
  endpoint->require_subcommand(1);
  add_create(*endpoint, context);
  add_worker_commands(*endpoint, context);
  endpoint->add_subcommand("list", "All endpoints")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/endpoints");
      if (!answer) return answer.error();
      if (context.structured()) {
        context.print(*answer, "endpoints", kColumns);
        return {};
      }
      Json rows = Json::array();
      for (const auto& item : (*answer)["endpoints"].as_array())
        rows.push(flat(item));
      context.print(Json::object({{"endpoints", rows}}), "endpoints", kColumns);
      return {};
    });
  });
  static std::string name;
  auto* one =
      endpoint->add_subcommand("show", "What an endpoint follows, what answers and why not");
  one->add_option("name", name, "Name of the endpoint")->required();
  one->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/endpoints/" + encode_segment(name));
      if (!answer) return answer.error();
      show(context, *answer);
      return {};
    });
  });
  auto* remove =
      endpoint->add_subcommand("delete", "Stop serving; the predictions stay in the log");
  remove->add_option("name", name, "Name of the endpoint")->required();
  remove->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.remove("/api/v1/endpoints/" + encode_segment(name));
      if (!answer) return answer.error();
      if (context.structured()) context.dump(*answer);
      return {};
    });
  });
}

}  // namespace strata::app
