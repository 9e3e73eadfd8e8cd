#include "app/commands/platform/cli_experiment.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"

namespace strata::app {

namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return not_found(fmt::format("cannot read {}", path));
  return std::move(text).str();
}

// "+3.2 %" of a relative effect, the number itself of an absolute one.
std::string show(const Json& result, std::string_view name) {
  const Json& value = result[name];
  if (!value.is_number()) return "";
  if (result.text("scale") == "relative") return fmt::format("{:+.3g} %", 100 * value.as_double());
  return fmt::format("{:+.4g}", value.as_double());
}

std::string interval(const Json& result) {
  const std::string low = show(result, "low");
  const std::string high = show(result, "high");
  if (low.empty()) return "up to " + high;
  return high.empty() ? "from " + low : low + " to " + high;
}

Json row_of(const Json& result) {
  Json row = Json::object({{"metric", result.text("metric")},
                           {"arm", result.text("arm")},
                           {"role", result.text("role")}});
  if (!result.boolean("defined")) {
    row.set("verdict", result.text("reason"));
    return row;
  }
  const bool goal = result.text("role") == "goal";
  row.set("estimate", show(result, "estimate"));
  row.set("interval", interval(result));
  row.set("p", fmt::format("{:.3g}", result.number(goal ? "adjusted_p_value" : "p_value")));
  row.set("verdict", result.text("verdict"));
  return row;
}

Status analyze(CliContext& context, ApiClient& client, const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const auto request = parse_json(*text);
  if (!request) return request.error().wrap(path);
  const auto answer = client.post("/api/v1/experiments/analyze", *request);
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  const std::string arm = answer->text("arm");
  print_line(answer->text("decision") + (arm.empty() ? "" : " " + arm));
  for (const Json& reason : (*answer)["reasons"].as_array())
    print_line("  " + reason.as_string());
  print_line("  plan " + answer->text("digest"));
  if ((*answer)["results"].size() == 0) return {};
  std::printf("\n");
  context.print(*answer, "results",
                {{"metric", "METRIC"},
                 {"arm", "ARM"},
                 {"role", "ROLE"},
                 {"estimate", "EFFECT"},
                 {"interval", "INTERVAL"},
                 {"p", "P"},
                 {"verdict", "VERDICT"}},
                row_of);
  return {};
}

}  // namespace

void add_experiment_commands(CLI::App& app, CliContext& context) {
  auto* experiment = app.add_subcommand("experiment", "Experiments: what their numbers decide");
  experiment->require_subcommand(1);
  static std::string file;
  auto* command =
      experiment->add_subcommand("analyze", "Decide by a plan and the statistics of each arm");
  command->add_option("file", file, "JSON: plan, units and statistics")->required();
  command->callback([&context] {
    context.with_client([&](ApiClient& client) { return analyze(context, client, file); });
  });
}

}  // namespace strata::app
