#include "app/commands/platform/cli_workers.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

namespace strata::app {

Result<Json> parse_workers(const std::string& workers, const std::string& idle) {
  const auto dots = workers.find("..");
  const auto least = to_int(workers.substr(0, dots));
  const auto most = dots == std::string::npos ? least : to_int(workers.substr(dots + 2));
  if (!least || !most || *least < 0 || *most < std::max<std::int64_t>(1, *least)) {
    return invalid("workers", fmt::format("--workers: '{}' is neither a number such as 2 nor a "
                                          "range such as 1..4 or 0..2",
                                          workers));
  }
  Json replicas = Json::object({{"least", *least}, {"most", *most}});
  if (idle.empty()) return replicas;
  const auto time = parse_duration(idle);
  if (!time) return invalid("idle", "--idle: " + time.error().message);
  replicas.set("idle_seconds", std::chrono::ceil<std::chrono::seconds>(*time).count());
  return replicas;
}

void add_worker_commands(CLI::App& endpoint, CliContext& context) {
  static std::string name, workers, idle;
  auto* scale = endpoint.add_subcommand("scale", "How many processes a model in Python may have");
  scale->add_option("name", name, "Name of the endpoint")->required();
  scale->add_option("--workers", workers, "2, 1..4, or 0..2 to sleep when nobody asks")->required();
  scale->add_option("--idle", idle, "When the last one sleeps with 0..N, for example 5m");
  scale->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto replicas = parse_workers(workers, idle);
      if (!replicas) return replicas.error();
      const auto answer = client.request(
          "PUT", "/api/v1/endpoints/" + encode_segment(name) + "/replicas", replicas->dump());
      if (!answer) return answer.error();
      const auto scaled = parse_json(answer->body);
      if (!scaled) return scaled.error();
      if (context.structured()) context.dump(*scaled);
      return {};
    });
  });
  auto* logs =
      endpoint.add_subcommand("logs", "What the processes of a model in Python wrote last");
  logs->add_option("name", name, "Name of the endpoint")->required();
  logs->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/endpoints/" + encode_segment(name) + "/output");
      if (!answer) return answer.error();
      if (context.structured()) {
        context.dump(*answer);
        return {};
      }
      for (const auto& line : split(trim(answer->text("output")), '\n'))
        print_line(line);
      return {};
    });
  });
}

}  // namespace strata::app
