#include "app/commands/cli_endpoint.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>

namespace strata::app {

namespace {

constexpr int kSecondsEach = 20;
constexpr int kQuestions = 30;

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
  if (context.output == "json") {
    std::printf("%s\n", endpoint.dump(2).c_str());
    return;
  }
  context.print(Json::object({{"endpoints", Json(Json::Array{flat(endpoint)})}}), "endpoints",
                kColumns);
  if (const auto error = endpoint.text("error"); !error.empty())
    std::printf("\n%s\n", error.c_str());
}

// Asks until what the reference names is what answers; the server holds each question while it
// loads. Errors: kUnavailable with the server's reason when that failed.
Result<Json> wait_until_ready(ApiClient& client, const std::string& path) {
  for (int question = 0; question < kQuestions; ++question) {
    auto endpoint = client.get(path + "?wait=" + std::to_string(kSecondsEach));
    if (!endpoint) return endpoint;
    const auto state = endpoint->text("state");
    if (state == "ready") return endpoint;
    if (state == "failed") return Error(Code::kUnavailable, endpoint->text("error"));
  }
  return Error(Code::kDeadlineExceeded, "the endpoint is still loading its model after 10 minutes");
}

void add_create(CLI::App& endpoint, CliContext& context) {
  static std::string name, model;
  static bool wait = false;
  auto* create = endpoint.add_subcommand("create", "Serve a model and follow its alias");
  create->add_option("name", name, "Name of the endpoint")->required();
  create->add_option("--model", model, "models:/NAME@ALIAS or models:/NAME/VERSION")->required();
  create->add_flag("--wait", wait, "Return when the endpoint answers, or fail with the reason");
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      auto made =
          client.post("/api/v1/endpoints", Json::object({{"name", name}, {"model", model}}));
      if (made && wait)
        made = wait_until_ready(client, "/api/v1/endpoints/" + encode_segment(name));
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
  endpoint->add_subcommand("list", "All endpoints")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/endpoints");
      if (!answer) return answer.error();
      if (context.output == "json") {
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
      if (context.output == "json") std::printf("%s\n", answer->dump(2).c_str());
      return {};
    });
  });
}

}  // namespace strata::app
