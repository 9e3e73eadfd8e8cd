#include "app/commands/platform/cli_release.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "runtime/clock.hpp"

namespace strata::app {

namespace {

const std::vector<std::pair<std::string, std::string>> kColumns = {
    {"id", "RELEASE"},  {"endpoint", "ENDPOINT"}, {"version", "VERSION"}, {"live", "LIVE"},
    {"stage", "STAGE"}, {"percent", "PERCENT"},   {"actor", "ACTOR"},     {"created", "CREATED"}};
const std::vector<std::pair<std::string, std::string>> kGateColumns = {
    {"gate", "GATE"}, {"verdict", "VERDICT"}, {"reason", "REASON"}};

std::string number(double value) {
  return fmt::format("{:.4g}", value);
}

void show(CliContext& context, const Json& release) {
  if (context.structured()) {
    context.dump(release);
    return;
  }
  context.print(Json::object({{"releases", Json(Json::Array{release})}}), "releases", kColumns);
  if (release.boolean("paused")) print_line("paused");
  if (const auto held = release.text("held"); !held.empty()) print_line("held: " + held);
  if (release["gates"].size() > 0) {
    std::printf("\n");
    context.print(release, "gates", kGateColumns);
  }
  if (release["findings"].size() > 0) {
    std::printf("\n");
    context.print(release, "findings",
                  {{"metric", "METRIC"},
                   {"control", "CONTROL"},
                   {"candidate", "CANDIDATE"},
                   {"effect", "EFFECT"},
                   {"limit", "LIMIT"},
                   {"p_value", "P"}},
                  [](const Json& finding) {
                    Json row = Json::object({{"metric", finding.text("metric")}});
                    for (const auto* name : {"control", "candidate", "effect", "limit", "p_value"})
                      row.set(name, number(finding.number(name)));
                    return row;
                  });
  }
  if (release["edges"].size() > 0) {
    std::printf("\n");
    context.print(release, "edges",
                  {{"time", "TIME"},
                   {"actor", "ACTOR"},
                   {"event", "EVENT"},
                   {"to", "STAGE"},
                   {"percent", "PERCENT"},
                   {"reason", "REASON"}});
  }
}

// A release by its id, or the newest of an endpoint.
Result<std::string> path_of(ApiClient& client, const std::string& what) {
  if (what.starts_with("rel-")) return "/api/v1/releases/" + encode_segment(what);
  const auto list = client.get("/api/v1/releases?limit=1&endpoint=" + encode_segment(what));
  if (!list) return list.error();
  if ((*list)["releases"].size() == 0)
    return not_found(fmt::format("the endpoint '{}' has had no release", what));
  return "/api/v1/releases/" + encode_segment((*list)["releases"].as_array().front().text("id"));
}

struct Options {
  std::string endpoint, model, steps, what, reason, timeout = "10m";
  std::int64_t shadow = -1, drain = -1;
  std::vector<std::string> limits, slices;
  std::string golden, label, metric;
  double margin = -1;
  bool wait = false, no_golden = false;
};

// "1:100,5:300": percents of the traffic and samples.
Result<Json> steps_json(const std::string& text) {
  Json steps = Json::array();
  for (const auto& piece : split(text, ',')) {
    const auto colon = piece.find(':');
    const auto percent = to_double(trim(std::string_view(piece).substr(0, colon)));
    const auto sample = colon == std::string::npos
                            ? std::optional<std::int64_t>()
                            : to_int(trim(std::string_view(piece).substr(colon + 1)));
    if (!percent || !sample) {
      return invalid("steps", fmt::format("--steps: '{}' is no PERCENT:SAMPLE; write them as "
                                          "1:100,5:300,25:1000",
                                          piece));
    }
    steps.push(Json::object({{"percent", *percent}, {"sample", *sample}}));
  }
  return steps;
}

Result<Json> draft_of(const Options& options) {
  Json draft = Json::object({{"endpoint", options.endpoint}, {"model", options.model}});
  if (options.shadow >= 0) draft.set("shadow_sample", options.shadow);
  if (options.drain >= 0) draft.set("drain_seconds", options.drain);
  if (!options.steps.empty()) {
    auto steps = steps_json(options.steps);
    if (!steps) return steps;
    draft.set("steps", *std::move(steps));
  }
  Json limits = Json::object();
  for (const auto& limit : options.limits) {
    const auto equals = limit.find('=');
    const auto value = equals == std::string::npos
                           ? std::optional<double>()
                           : to_double(std::string_view(limit).substr(equals + 1));
    if (!value) return invalid("limit", fmt::format("--limit: '{}' is no NAME=NUMBER", limit));
    limits.set(limit.substr(0, equals), *value);
  }
  if (limits.size() > 0) draft.set("limits", std::move(limits));
  if (options.no_golden) draft.set("golden", Json());
  if (options.golden.empty()) return draft;
  Json golden = Json::object({{"input", options.golden}, {"label", options.label}});
  Json slices = Json::array();
  for (const auto& slice : options.slices)
    slices.push(slice);
  golden.set("slices", std::move(slices));
  if (!options.metric.empty()) golden.set("metric", options.metric);
  if (options.margin >= 0) golden.set("margin", options.margin);
  draft.set("golden", std::move(golden));
  return draft;
}

void add_draft(CLI::App& command, Options& options) {
  command.add_option("endpoint", options.endpoint, "Endpoint to release to")->required();
  command.add_option("--model", options.model, "models:/NAME@ALIAS or models:/NAME/VERSION")
      ->required();
  command.add_option("--shadow", options.shadow,
                     "Answers of the shadow before the canary; 0: none");
  command.add_option("--steps", options.steps, "PERCENT:SAMPLE,... of the canary");
  command.add_option("--limit", options.limits,
                     "NAME=NUMBER: errors, rejects, not_finite, latency_ratio, tail_ratio, "
                     "memory_ratio, output_shift, "
                     "disagreement, alpha");
  auto* golden = command.add_option("--golden", options.golden,
                                    "Table or s3:// object with known answers; once named, the "
                                    "endpoint's next releases take it, too");
  golden->needs(command.add_option("--label", options.label, "Its column with the true values"));
  command.add_option("--slice", options.slices, "Column whose values are judged one by one")
      ->needs(golden);
  command
      .add_option("--metric", options.metric,
                  "absolute_error, squared_error, log_loss, brier or error_rate")
      ->needs(golden);
  command
      .add_option("--margin", options.margin,
                  "Share of the live version's loss that it may be worse by (0.02)")
      ->needs(golden);
  command
      .add_flag("--no-golden", options.no_golden, "Leave out the golden set of the last release")
      ->excludes(golden);
  command.add_option("--drain", options.drain, "Seconds that the version before is kept at hand");
}

bool is_over(const Json& release) {
  const auto stage = release.text("stage");
  return stage == "draining" || stage == "retired" || stage == "rolled_back";
}

// Until it answers everything, is rolled back, or waits for a person.
Result<Json> wait_for(ApiClient& client, const std::string& path, std::chrono::milliseconds limit) {
  const SystemClock clock;
  const auto end = clock.steady() + limit;
  while (true) {
    auto release = client.get(path + "?wait=20");
    if (!release || is_over(*release)) return release;
    if (!release->text("held").empty())
      return Error(Code::kConflict, "the release is held: " + release->text("held"));
    if (clock.steady() >= end)
      return Error(Code::kDeadlineExceeded, "the release goes on; strata release status shows it");
  }
}

void add_start(CLI::App& release, CliContext& context, Options& options) {
  auto* plan =
      release.add_subcommand("plan", "What a release would do, and what its gates say now");
  add_draft(*plan, options);
  plan->callback([&context, &options] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto draft = draft_of(options);
      if (!draft) return draft.error();
      const auto planned = client.post("/api/v1/releases/plan", *draft);
      if (!planned) return planned.error();
      if (context.structured()) {
        context.dump(*planned);
        return {};
      }
      const Json& agreed = (*planned)["plan"];
      print_line(fmt::format("{}: version {} for {}, by alias {}", agreed.text("endpoint"),
                             agreed.text("version"), agreed.text("live"), agreed.text("alias")));
      context.print(agreed, "steps", {{"percent", "PERCENT"}, {"sample", "SAMPLE"}});
      std::printf("\n");
      context.print(*planned, "gates", kGateColumns);
      return {};
    });
  });
  auto* start = release.add_subcommand(
      "start", "Bring a version to an endpoint, guarded by gates and numbers");
  add_draft(*start, options);
  start->add_flag("--wait", options.wait, "Return when it answers everything or is rolled back");
  start->add_option("--timeout", options.timeout, "How long to wait, for example 90s");
  start->callback([&context, &options] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto limit = parse_duration(options.timeout);
      if (!limit) return invalid("timeout", "--timeout: " + limit.error().message);
      const auto draft = draft_of(options);
      if (!draft) return draft.error();
      auto begun = client.post("/api/v1/releases", *draft);
      if (begun && options.wait)
        begun = wait_for(client, "/api/v1/releases/" + encode_segment(begun->text("id")), *limit);
      if (!begun) return begun.error();
      show(context, *begun);
      if (options.wait && begun->text("stage") == "rolled_back")
        return Error(Code::kConflict, "the release was rolled back");
      return {};
    });
  });
}

void add_wish(CLI::App& release, CliContext& context, Options& options, const char* name,
              const char* summary) {
  auto* command = release.add_subcommand(name, summary);
  command->add_option("release", options.what, "Release, or endpoint for its newest")->required();
  command->add_option("--reason", options.reason, "Why; it stays with the release");
  command->callback([&context, &options, name] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto path = path_of(client, options.what);
      if (!path) return path.error();
      const auto done = client.post(*path + "/" + name, Json::object({{"reason", options.reason}}));
      if (!done) return done.error();
      show(context, *done);
      return {};
    });
  });
}

}  // namespace

void add_release_commands(CLI::App& app, CliContext& context) {
  static Options options;
  auto* release = app.add_subcommand("release", "New versions at endpoints, under guard");
  release->require_subcommand(1);
  add_start(*release, context, options);
  auto* status = release->add_subcommand("status", "A release: its gates, numbers and history");
  status->add_option("release", options.what, "Release, or endpoint for its newest")->required();
  status->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto path = path_of(client, options.what);
      if (!path) return path.error();
      const auto found = client.get(*path);
      if (!found) return found.error();
      show(context, *found);
      return {};
    });
  });
  auto* list = release->add_subcommand("list", "Releases, newest first");
  list->add_option("endpoint", options.endpoint, "Only those of this endpoint");
  list->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto page = client.get("/api/v1/releases?endpoint=" + encode_segment(options.endpoint));
      if (!page) return page.error();
      context.print(*page, "releases", kColumns);
      return {};
    });
  });
  add_wish(*release, context, options, "pause", "Leave its share as it is");
  add_wish(*release, context, options, "resume", "Go on with what was paused or held");
  add_wish(*release, context, options, "promote", "Go one step on without the evidence");
  add_wish(*release, context, options, "override", "Let the failed gates pass");
  add_wish(*release, context, options, "rollback", "Let the version before answer again");
}

}  // namespace strata::app
