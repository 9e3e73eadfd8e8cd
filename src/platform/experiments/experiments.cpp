#include "platform/experiments/experiments.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/experiments/experiment_plan.hpp"
#include "platform/statistics/statistics.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::experiments {

using kernel::Caller;
using kernel::Reader;
using kernel::Row;
using kernel::Writer;

namespace {

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"flag_experiments", 1, R"sql(
CREATE TABLE flag_experiments (project TEXT NOT NULL, name TEXT NOT NULL, flag TEXT NOT NULL,
  experiment TEXT NOT NULL, frozen TEXT NOT NULL, digest TEXT NOT NULL, started_by TEXT NOT NULL,
  started_us INTEGER NOT NULL, stopped_us INTEGER, stopped_by TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (project, name));
CREATE INDEX flag_experiments_time ON flag_experiments (project, started_us);
)sql"}}};

constexpr std::string_view kColumns =
    "name, frozen, digest, started_by, started_us, stopped_us, stopped_by, reason";
constexpr std::size_t kMaxReason = 500;
constexpr std::string_view kNoEnd = "9999-12-31T00:00:00Z";

Result<Experiment> experiment_of(const Row& row) {
  auto frozen = parse_json(row.text(1));
  if (!frozen) return frozen.error().wrap("a kept plan cannot be read");
  Experiment out{.name = row.text(0),
                 .frozen = *std::move(frozen),
                 .digest = row.text(2),
                 .started_by = row.text(3),
                 .started = Instant{row.integer(4)},
                 .stopped = {},
                 .stopped_by = row.text(6),
                 .reason = row.text(7)};
  if (const auto stopped = row.maybe_integer(5)) out.stopped = Instant{*stopped};
  return out;
}

Result<Experiment> read(Reader& reader, const Caller& caller, const std::string& name) {
  const auto row = reader.first(
      fmt::format("SELECT {} FROM flag_experiments WHERE project = ? AND name = ?", kColumns),
      {caller.project.str(), name});
  if (!row) return row.error();
  if (!*row)
    return not_found(
        fmt::format("there is no experiment '{}' in this project", printable(name, 40)));
  return experiment_of(**row);
}

Json parameters(const Experiment& experiment, Instant now, bool metric) {
  Json out = Json::object(
      {{"experiment", experiment.frozen["experiment"]},
       {"attribute", experiment.frozen["attribute"]},
       {"start", to_rfc3339(experiment.started)},
       {"end", experiment.stopped ? Json(to_rfc3339(*experiment.stopped)) : Json(kNoEnd)}});
  if (metric) out.set("now", to_rfc3339(now));
  return out;
}

bool has_arm(const Json& plan, const std::string& name) {
  return std::ranges::any_of(plan["arms"].as_array(),
                             [&](const Json& arm) { return arm.text("name") == name; });
}

bool same_arms(const Json& a, const Json& b) {
  return std::ranges::equal(a.as_array(), b.as_array(), [](const Json& one, const Json& other) {
    return one.text("name") == other.text("name") && one.number("weight") == other.number("weight");
  });
}

// What of one arm a row says, as platform/statistics reads it: behind variation and count stand the
// means and then the covariances, by rows.
Json statistics_of(const Json& planned, const Json::Array& row) {
  Json out = Json::object({{"metric", planned["name"]}, {"arm", row[0]}, {"n", row[1]}});
  if (planned.text("kind") == "proportion") {
    out.set("successes", row[2]);
    return out;
  }
  // k means and k * k covariances.
  const std::size_t rest = row.size() - 2;
  const auto size =
      static_cast<std::size_t>((std::sqrt(4.0 * static_cast<double>(rest) + 1) - 1) / 2);
  Json mean = Json::array();
  Json covariance = Json::array();
  for (std::size_t i = 0; i < size; ++i) {
    mean.push(row[2 + i].as_double());
    Json line = Json::array();
    for (std::size_t j = 0; j < size; ++j)
      line.push(row[2 + size + i * size + j].as_double());  // null of a single unit is 0
    covariance.push(std::move(line));
  }
  out.set("mean", std::move(mean));
  out.set("covariance", std::move(covariance));
  return out;
}

}  // namespace

std::span<const kernel::Migration> Experiments::migrations() {
  return kMigrations;
}

Task<Result<Experiment>> Experiments::start(const Caller& caller, Json definition) {
  static const Json schema = *parse_json(experiment_schema());
  if (const auto fits = wire::check_schema(schema, definition); !fits) co_return fits.error();
  const auto flag = ports_.flags.find(caller.project, Kind::kFlag, definition.text("flag"));
  if (!flag) co_return flag.error();
  auto frozen = freeze(definition, *flag);
  if (!frozen) co_return std::move(frozen).error();
  const std::string text = frozen->dump();
  Experiment made{.name = definition.text("name"),
                  .frozen = *std::move(frozen),
                  .digest = content_digest(text),
                  .started_by = caller.user_name,
                  .started = ports_.clock.now(),
                  .stopped = {},
                  .stopped_by = "",
                  .reason = ""};
  auto job = [&](Writer& writer) -> Status {
    const auto running = writer.first(
        "SELECT name FROM flag_experiments WHERE project = ? AND experiment = ? AND stopped_us IS "
        "NULL",
        {caller.project.str(), made.frozen.text("experiment")});
    if (!running) return running.error();
    if (*running)
      return Error(Code::kConflict, fmt::format("experiment: '{}' decides about this rule already; "
                                                "stop it first",
                                                (*running)->text(0)));
    const auto known = read(writer, caller, made.name);
    if (known)
      return Error(Code::kAlreadyExists,
                   fmt::format("name: there is an experiment '{}' already; its plan stays as it "
                               "is, choose another name",
                               made.name),
                   "name");
    if (known.error().code != Code::kNotFound) return known.error();
    STRATA_TRY(writer.execute(
        "INSERT INTO flag_experiments (project, name, flag, experiment, frozen, digest, "
        "started_by, started_us, stopped_by, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '')",
        {caller.project.str(), made.name, flag->name, made.frozen.text("experiment"), text,
         made.digest, made.started_by, made.started.micros}));
    const Json detail = Json::object({{"flag", flag->name}, {"digest", made.digest}});
    const std::string ref = "flag_experiment:" + made.name;
    STRATA_TRY(ports_.audit.record(writer, caller, "experiment.start", ref, detail));
    return ports_.events.publish(writer, caller.project, "experiment.started", ref, detail);
  };
  STRATA_CO_TRY(co_await ports_.records.write(job));
  co_return made;
}

Task<Result<Experiment>> Experiments::stop(const Caller& caller, std::string name,
                                           std::string reason) {
  if (reason.empty() || reason.size() > kMaxReason)
    co_return invalid("reason",
                      fmt::format("reason: say in 1 to {} bytes why it ends", kMaxReason));
  auto job = [&](Writer& writer) -> Result<Experiment> {
    auto found = read(writer, caller, name);
    if (!found) return found;
    if (found->stopped)
      return Error(Code::kConflict, fmt::format("'{}' was stopped at {} by {}", found->name,
                                                to_rfc3339(*found->stopped), found->stopped_by));
    found->stopped = ports_.clock.now();
    found->stopped_by = caller.user_name;
    found->reason = reason;
    STRATA_TRY(writer.execute(
        "UPDATE flag_experiments SET stopped_us = ?, stopped_by = ?, reason = ? WHERE project = ? "
        "AND name = ?",
        {found->stopped->micros, found->stopped_by, reason, caller.project.str(), name}));
    const Json detail = Json::object({{"reason", reason}, {"digest", found->digest}});
    const std::string ref = "flag_experiment:" + name;
    STRATA_TRY(ports_.audit.record(writer, caller, "experiment.stop", ref, detail));
    STRATA_TRY(ports_.events.publish(writer, caller.project, "experiment.stopped", ref, detail));
    return found;
  };
  co_return co_await ports_.records.write(job);
}

Task<Result<Experiment>> Experiments::find(const Caller& caller, std::string name) {
  const auto query = [&](Reader& reader) {
    return read(reader, caller, name);
  };
  co_return co_await ports_.records.read(query);
}

Task<Result<std::vector<Experiment>>> Experiments::list(const Caller& caller, std::int64_t before,
                                                        int limit) {
  const auto query = [&](Reader& reader) -> Result<std::vector<Experiment>> {
    const auto rows = reader.query(
        fmt::format("SELECT {} FROM flag_experiments WHERE project = ? AND started_us < ? ORDER BY "
                    "started_us DESC, name LIMIT ?",
                    kColumns),
        {caller.project.str(), before == 0 ? INT64_MAX : before, limit});
    if (!rows) return rows.error();
    std::vector<Experiment> out;
    for (const Row& row : *rows) {
      auto one = experiment_of(row);
      if (!one) return std::move(one).error();
      out.push_back(*std::move(one));
    }
    return out;
  };
  co_return co_await ports_.records.read(query);
}

Task<Status> Experiments::count_units(const Caller& caller, const Experiment& experiment,
                                      Json& report, Json& request) {
  Json params = parameters(experiment, ports_.clock.now(), false);
  const auto answer = co_await ports_.query(caller, units_sql(), std::move(params));
  if (!answer) co_return answer.error();
  const Json& plan = experiment.frozen["plan"];
  Json arms = Json::array();
  std::int64_t total = 0, twice = 0, strange = 0;
  for (const Json& row : (*answer)["rows"].as_array()) {
    const auto& cells = row.as_array();
    const std::string arm = cells[0].is_string() ? cells[0].as_string() : cells[0].dump();
    total += cells[1].as_int();
    twice += cells[2].as_int();
    if (!has_arm(plan, arm)) {
      strange += cells[1].as_int();
      continue;
    }
    arms.push(Json::object({{"arm", arm}, {"n", cells[1]}}));
  }
  Json warnings = report["warnings"];
  if (strange > 0)
    warnings.push(fmt::format("{} units saw a variation that the plan does not know", strange));
  if (twice > 0)
    warnings.push(
        fmt::format("{} of {} units saw more than one variation; they count where they were first. "
                    "Look for a unit id that is shared, or a rule that was changed",
                    twice, total));
  report.set("warnings", std::move(warnings));
  report.set("units", Json::object({{"total", total}, {"multi_exposed", twice}, {"arms", arms}}));
  request.set("units", std::move(arms));
  co_return Status();
}

Task<Status> Experiments::read_metric(const Caller& caller, const Experiment& experiment,
                                      const Json& metric, Json& report, Json& request) {
  const auto& planned = experiment.frozen["plan"]["metrics"].as_array();
  const auto plan = std::ranges::find_if(
      planned, [&](const Json& one) { return one.text("name") == metric.text("name"); });
  std::string sql = metric_sql(*plan, metric);
  Json params = parameters(experiment, ports_.clock.now(), true);
  const auto answer = co_await ports_.query(caller, sql, std::move(params));
  if (!answer) co_return answer.error().wrap("metric '" + metric.text("name") + "'");
  Json statistics = request["statistics"];
  std::int64_t matured = 0;
  for (const Json& row : (*answer)["rows"].as_array()) {
    const auto& cells = row.as_array();
    if (!has_arm(experiment.frozen["plan"], cells[0].as_string())) continue;
    matured += cells[1].as_int();
    statistics.push(statistics_of(*plan, cells));
  }
  request.set("statistics", std::move(statistics));
  Json metrics = report["metrics"];
  metrics.push(Json::object({{"name", metric["name"]},
                             {"matured", matured},
                             {"immature", report["units"].integer("total") - matured},
                             {"sql", sql}}));
  report.set("metrics", std::move(metrics));
  co_return Status();
}

Task<Result<Json>> Experiments::report(const Caller& caller, std::string name) {
  const auto experiment = co_await find(caller, name);
  if (!experiment) co_return experiment.error();
  Json report = Json::object({{"metrics", Json::array()}, {"warnings", Json::array()}});
  Json request =
      Json::object({{"plan", experiment->frozen["plan"]}, {"statistics", Json::array()}});
  STRATA_CO_TRY(co_await count_units(caller, *experiment, report, request));
  for (const Json& metric : experiment->frozen["metrics"].as_array())
    STRATA_CO_TRY(co_await read_metric(caller, *experiment, metric, report, request));
  const auto flag = ports_.flags.find(caller.project, Kind::kFlag, experiment->frozen.text("flag"));
  const auto rule = flag ? experiment_rule(*flag, experiment->frozen.text("experiment"))
                         : Result<Json>(flag.error());
  Json warnings = report["warnings"];
  if (!experiment->stopped &&
      (!rule || !same_arms(arms_of(*rule), experiment->frozen["plan"]["arms"])))
    warnings.push(
        "The flag's rule is not the one that the plan was made for: its variations or "
        "weights have changed since the start");
  report.set("warnings", std::move(warnings));
  auto decision = statistics::analyze(request);
  if (!decision) co_return std::move(decision).error();
  report.set("summary", in_words(*decision));
  report.set("decision", *std::move(decision));
  co_return report;
}

}  // namespace strata::platform::experiments
