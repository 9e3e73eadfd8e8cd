#include "app/commands/platform/cli_experiment.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/platform/input.hpp"

namespace strata::app {

namespace {

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
  const auto request = read_json_input(path);
  if (!request) return request.error();
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

Status plan(CliContext& context, ApiClient& client, const std::string& path) {
  const auto request = read_json_input(path);
  if (!request) return request.error();
  const auto answer = client.post("/api/v1/experiments/plan", *request);
  if (!answer) return answer.error();
  context.dump(*answer);
  return {};
}

const std::vector<std::pair<std::string, std::string>> kColumns = {
    {"name", "NAME"},       {"flag", "FLAG"},       {"state", "STATE"},
    {"started", "STARTED"}, {"stopped", "STOPPED"}, {"by", "BY"}};

Status show_one(CliContext& context, const Result<Json>& answer) {
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  context.print(Json::object({{"experiments", Json(Json::Array{*answer})}}), "experiments",
                kColumns);
  print_line("hypothesis: " + answer->text("hypothesis"));
  print_line("plan " + answer->text("digest"));
  return {};
}

Status list(CliContext& context, ApiClient& client) {
  Json all = Json::array();
  std::string token;
  do {
    const auto page =
        client.get("/api/v1/experiments" + (token.empty() ? "" : "?page_token=" + token));
    if (!page) return page.error();
    for (const Json& one : (*page)["experiments"].as_array())
      all.push(one);
    token = page->text("next_page_token");
  } while (!token.empty());
  context.print(Json::object({{"experiments", std::move(all)}}), "experiments", kColumns);
  return {};
}

Status report(CliContext& context, ApiClient& client, const std::string& path) {
  const auto answer = client.get(path + "/report");
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  for (const Json& line : (*answer)["summary"].as_array())
    print_line(line.as_string());
  const Json& units = (*answer)["units"];
  print_line(fmt::format("units: {}, {} of them saw more than one variation",
                         units.integer("total"), units.integer("multi_exposed")));
  for (const Json& metric : (*answer)["metrics"].as_array())
    print_line(fmt::format("{}: {} units counted, {} still in their window", metric.text("name"),
                           metric.integer("matured"), metric.integer("immature")));
  for (const Json& warning : (*answer)["warnings"].as_array())
    print_line("warning: " + warning.as_string());
  return {};
}

// Those that decide about flags: start, list, status, stop, report.
void add_lifecycle(CLI::App& experiment, CliContext& context) {
  static std::string file, name, reason;
  const auto path = [] {
    return "/api/v1/experiments/" + encode_segment(name);
  };
  auto* start = experiment.add_subcommand("start", "Freeze a plan and start");
  start->add_option("file", file, "JSON: the plan; - for standard input")->required();
  start->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto plan = read_json_input(file);
      if (!plan) return plan.error();
      return show_one(context, client.post("/api/v1/experiments", *plan));
    });
  });
  experiment.add_subcommand("list", "Experiments on flags, newest first")->callback([&context] {
    context.with_client([&](ApiClient& client) { return list(context, client); });
  });
  const auto one = [&](const char* word, const char* help, auto run) {
    auto* command = experiment.add_subcommand(word, help);
    command->add_option("name", name, "Name of the experiment")->required();
    command->callback([&context, run] { context.with_client(run); });
    return command;
  };
  one("status", "What was planned, and whether it runs",
      [&context, path](ApiClient& client) { return show_one(context, client.get(path())); });
  one("report", "What the data say now, in plain words",
      [&context, path](ApiClient& client) { return report(context, client, path()); });
  one("stop", "Take no more units; reports go on",
      [&context, path](ApiClient& client) {
        return show_one(context, client.post(path() + "/stop", Json::object({{"reason", reason}})));
      })
      ->add_option("--reason", reason, "Why; kept with the experiment")
      ->required();
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
  add_lifecycle(*experiment, context);
  auto* power = experiment->add_subcommand("plan", "Units, power or least effect of one to come");
  power->add_option("file", file, "JSON: what is known; - for standard input")->required();
  power->callback([&context] {
    context.with_client([&](ApiClient& client) { return plan(context, client, file); });
  });
}

}  // namespace strata::app
