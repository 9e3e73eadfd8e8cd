#include "app/commands/platform/cli_monitor.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "base/time.hpp"

namespace strata::app {

namespace {

constexpr std::int64_t kComparedRows = 100'000;

const std::vector<std::pair<std::string, std::string>> kFeatureColumns = {
    {"name", "FEATURE"},      {"psi", "PSI"},       {"p", "P"},
    {"distance", "KS"},       {"mean", "MEAN"},     {"missing", "MISSING"},
    {"unseen", "NEVER SEEN"}, {"verdict", "ALARM"},
};

std::string number(const Json& value) {
  return value.is_number() ? fmt::format("{:.3g}", value.as_double()) : "-";
}

std::string share(const Json& value) {
  return value.is_number() ? fmt::format("{:.2g} %", 100 * value.as_double()) : "-";
}

// With those members that have a value.
std::string with_query(std::string path,
                       const std::vector<std::pair<std::string, std::string>>& members) {
  char separator = '?';
  for (const auto& [key, value] : members) {
    if (value.empty()) continue;
    path += fmt::format("{}{}={}", std::exchange(separator, '&'), key, encode_segment(value));
  }
  return path;
}

Json feature_row(const Json& feature) {
  Json row = Json::object({{"name", feature.text("name")}});
  if (!feature.boolean("defined")) {
    row.set("verdict", feature.text("reason"));
    return row;
  }
  row.set("psi", number(feature["psi"]));
  row.set("p", number(feature["p_value"]));
  row.set("distance", number(feature["kolmogorov_smirnov"]));
  if (feature["mean_reference"].is_number()) {
    row.set("mean", fmt::format("{} -> {}", number(feature["mean_reference"]),
                                number(feature["mean_current"])));
  }
  row.set("missing", fmt::format("{} -> {}", share(feature["missing_reference"]),
                                 share(feature["missing_current"])));
  row.set("unseen", share(feature["unseen"]));
  row.set("verdict", feature.boolean("alarm") ? "open" : "");
  return row;
}

Status show(CliContext& context, const Json& report) {
  if (context.structured()) {
    context.dump(report);
    return {};
  }
  const Json& reference = report["reference"];
  if (reference.is_null()) {
    print_line(
        "no reference yet: it is made of the first 1000 rows that the endpoint answers, or of a "
        "query (strata monitor set --reference)");
    return {};
  }
  print_line(fmt::format("{} rows of version {} from {} to {}, against {} rows ({}: {})",
                         report.integer("rows"), report.text("version", "-"), report.text("since"),
                         report.text("until"), reference.integer("rows"), reference.text("kind"),
                         reference.text("source")));
  std::printf("\n");
  context.print(report, "features", kFeatureColumns, feature_row);
  return {};
}

Json monitor_row(const Json& monitor) {
  const Json& reference = monitor["reference"];
  return Json::object({{"endpoint", monitor.text("endpoint")},
                       {"reference", reference.is_null() ? "-" : reference.text("kind")},
                       {"window", monitor["settings"].text("window")},
                       {"alarms", monitor["alarms"].size()}});
}

void add_show(CLI::App& monitor, CliContext& context) {
  static std::string name, since, until, version;
  auto* command =
      monitor.add_subcommand("show", "How far inputs and outputs are from the reference");
  command->add_option("endpoint", name, "Name of the endpoint")->required();
  command->add_option("--since", since, "From that time on (RFC 3339); else the window until now");
  command->add_option("--until", until, "Up to that time");
  command->add_option("--version", version,
                      "Version of the model; else the one that answered most");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto report =
          client.get(with_query("/api/v1/monitors/" + encode_segment(name),
                                {{"since", since}, {"until", until}, {"version", version}}));
      if (!report) return report.error();
      return show(context, *report);
    });
  });
}

std::string figures_text(const Json& figures) {
  std::string out;
  if (!figures.is_object()) return "-";
  for (const auto& [name, value] : figures.as_object())
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, number(value));
  return out;
}

Json step_row(const Json& step) {
  return Json::object({{"time", step.text("time")},
                       {"rows", step.integer("rows")},
                       {"share", share(step["share"])},
                       {"mature", step.boolean("mature") ? "yes" : "no"},
                       {"metrics", figures_text(step["metrics"])}});
}

Status show_performance(CliContext& context, const Json& report) {
  if (context.structured()) {
    context.dump(report);
    return {};
  }
  print_line(fmt::format("{} rows of version {} from {} to {}, {} of them labelled",
                         report.integer("rows"), report.text("version", "-"), report.text("since"),
                         report.text("until"), share(report["share"])));
  print_line("all labelled rows:   " + figures_text(report["metrics"]));
  print_line("mature steps alone:  " + figures_text(report["matured"]["metrics"]));
  if (report["estimated"].is_object())
    print_line("expected, unlabelled: " + figures_text(report["estimated"]));
  if (report["mature_after_s"].is_number()) {
    const std::chrono::seconds after(report.integer("mature_after_s"));
    print_line("labels are mature after " + show_duration(after));
  }
  std::printf("\n");
  context.print(report, "steps",
                {{"time", "TIME"},
                 {"rows", "ROWS"},
                 {"share", "LABELLED"},
                 {"mature", "MATURE"},
                 {"metrics", "METRICS"}},
                step_row);
  return {};
}

void add_performance(CLI::App& monitor, CliContext& context) {
  static std::string name, since, until, version, output, label, kind, threshold;
  auto* command =
      monitor.add_subcommand("performance", "How good answers were, by the labels that came");
  command->add_option("endpoint", name, "Name of the endpoint")->required();
  command->add_option("--since", since, "Answered from then on (RFC 3339); else seven days ago");
  command->add_option("--until", until, "Answered before then");
  command->add_option("--version", version,
                      "Version of the model; else the one that answered most");
  command->add_option("--answer", output, "Which output, where there are several");
  command->add_option("--label", label, "Name of the labels; else label");
  command->add_option("--kind", kind, "regression, binary or classes; else by the labels");
  command->add_option("--threshold", threshold, "From which score on the answer is 1; else 0.5");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto path = with_query("/api/v1/monitors/" + encode_segment(name) + "/performance",
                                   {{"since", since},
                                    {"until", until},
                                    {"version", version},
                                    {"output", output},
                                    {"label", label},
                                    {"kind", kind},
                                    {"threshold", threshold}});
      const auto report = client.get(path);
      if (!report) return report.error();
      return show_performance(context, *report);
    });
  });
}

void add_set(CLI::App& monitor, CliContext& context) {
  static std::string name, reference, window;
  static double threshold = 0, false_alarms = 0;
  static std::int64_t minimum = 0;
  static bool first_rows = false;
  auto* command = monitor.add_subcommand("set", "Set the reference and the limits of alarms");
  command->add_option("endpoint", name, "Name of the endpoint")->required();
  auto* query = command->add_option("--reference", reference,
                                    "SQL that gives the training set, by the names of the inputs");
  command->add_flag("--first-rows", first_rows, "Take the first rows that it answered")
      ->excludes(query);
  command->add_option("--window", window, "How much of the past is compared, for example 24h");
  auto* limit = command->add_option("--threshold", threshold, "Of the population stability index");
  auto* rows = command->add_option("--minimum-rows", minimum, "In the window, before an alarm");
  auto* alarms =
      command->add_option("--false-alarms", false_alarms, "That chance may raise in 30 days");
  command->callback([&context, limit, rows, alarms] {
    Json changes = Json::object();
    if (!reference.empty()) changes.set("reference", reference);
    if (first_rows) changes.set("reference", Json());
    if (!window.empty()) changes.set("window", window);
    if (limit->count() > 0) changes.set("threshold", threshold);
    if (rows->count() > 0) changes.set("minimum_rows", minimum);
    if (alarms->count() > 0) changes.set("false_alarms", false_alarms);
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer =
          client.request("PATCH", "/api/v1/monitors/" + encode_segment(name), changes.dump());
      if (!answer) return answer.error();
      const auto monitor = parse_json(answer->body);
      if (!monitor) return monitor.error();
      if (context.structured()) context.dump(*monitor);
      return {};
    });
  });
}

// The columns of a query's answer, as the comparison takes them.
Result<Json> columns_of(ApiClient& client, const std::string& query) {
  const auto answer =
      client.post("/api/v1/sql", Json::object({{"sql", query}, {"limit", kComparedRows}}));
  if (!answer) return answer.error();
  std::vector<std::pair<std::string, Json>> columns;
  for (const Json& head : (*answer)["columns"].as_array())
    columns.emplace_back(head.text("name"), Json::array());
  for (const Json& row : (*answer)["rows"].as_array()) {
    for (std::size_t at = 0; at < columns.size(); ++at)
      columns[at].second.push(row.as_array()[at]);
  }
  Json out = Json::object();
  for (auto& [name, values] : columns)
    out.set(name, std::move(values));
  return Json::object({{"columns", std::move(out)}});
}

void add_compare(CLI::App& monitor, CliContext& context) {
  static std::string reference, current;
  auto* command = monitor.add_subcommand("compare", "Compare the columns of two queries");
  command->add_option("--reference", reference, "SQL of what was; at most 100,000 rows")
      ->required();
  command->add_option("--current", current, "SQL of what is; at most 100,000 rows")->required();
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      auto before = columns_of(client, reference);
      if (!before) return before.error().wrap("--reference");
      auto now = columns_of(client, current);
      if (!now) return now.error().wrap("--current");
      const auto answer = client.post(
          "/api/v1/monitors/compare",
          Json::object({{"reference", *std::move(before)}, {"current", *std::move(now)}}));
      if (!answer) return answer.error();
      context.print(*answer, "columns", kFeatureColumns, feature_row);
      return {};
    });
  });
}

}  // namespace

void add_monitor_commands(CLI::App& app, CliContext& context) {
  auto* monitor = app.add_subcommand("monitor", "What endpoints are asked and answer, and drift");
  monitor->require_subcommand(1);
  monitor->add_subcommand("list", "All monitored endpoints")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/monitors");
      if (!answer) return answer.error();
      context.print(*answer, "monitors",
                    {{"endpoint", "ENDPOINT"},
                     {"reference", "REFERENCE"},
                     {"window", "WINDOW"},
                     {"alarms", "ALARMS"}},
                    monitor_row);
      return {};
    });
  });
  add_show(*monitor, context);
  add_performance(*monitor, context);
  add_set(*monitor, context);
  add_compare(*monitor, context);
}

}  // namespace strata::app
