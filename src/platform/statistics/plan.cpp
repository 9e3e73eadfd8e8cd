#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/statistics/decision.hpp"

namespace strata::platform::statistics {

namespace {

constexpr std::array<std::string_view, 3> kKinds = {"mean", "proportion", "ratio"};

constexpr std::string_view kSchema = R"json({"type":"object","additionalProperties":false,
 "required":["plan","units","statistics"],"properties":{
 "digest":{"type":"string"},
 "plan":{"type":"object","additionalProperties":false,"required":["arms","metrics","sample"],
  "properties":{
  "name":{"type":"string","maxLength":200},
  "arms":{"type":"array","maxItems":20,"items":{"type":"object","required":["name"],
   "additionalProperties":false,"properties":{"name":{"type":"string","minLength":1,
   "maxLength":200},"weight":{"type":"number","minimum":0}}}},
  "metrics":{"type":"array","maxItems":50,"items":{"type":"object","required":["name","kind"],
   "additionalProperties":false,"properties":{"name":{"type":"string","minLength":1,
   "maxLength":200},"kind":{"type":"string","enum":["mean","proportion","ratio"]},
   "role":{"type":"string","enum":["goal","guardrail"]},"covariate":{"type":"boolean"},
   "direction":{"type":"string","enum":["increase","decrease"]},
   "scale":{"type":"string","enum":["absolute","relative"]},
   "margin":{"type":"number","minimum":0}}}},
  "alpha":{"type":"number","minimum":1e-9,"maximum":0.5},
  "correction":{"type":"string"},
  "rule":{"type":"string","enum":["fixed","sequential"]},
  "sample":{"type":"integer","minimum":2},
  "minimum_sample":{"type":"integer","minimum":2},
  "ratio_alpha":{"type":"number","minimum":1e-9,"maximum":0.5}}},
 "units":{"type":"array","maxItems":20,"items":{"type":"object","required":["arm","n"],
  "additionalProperties":false,"properties":{"arm":{"type":"string"},
  "n":{"type":"integer","minimum":0}}}},
 "statistics":{"type":"array","maxItems":1000,"items":{"type":"object",
  "required":["metric","arm","n"],"additionalProperties":false,"properties":{
  "metric":{"type":"string"},"arm":{"type":"string"},"n":{"type":"integer","minimum":0},
  "successes":{"type":"integer","minimum":0},
  "mean":{"type":"array","maxItems":4,"items":{"type":"number"}},
  "covariance":{"type":"array","maxItems":4,"items":{"type":"array","maxItems":4,
   "items":{"type":"number"}}}}}}}})json";

Result<PlannedMetric> read_metric(const Json& json) {
  PlannedMetric out;
  out.name = json.text("name");
  const auto kind = std::ranges::find(kKinds, json.text("kind"));
  out.kind = static_cast<MetricKind>(kind - kKinds.begin());
  out.guardrail = json.text("role", "goal") == "guardrail";
  out.covariate = json.boolean("covariate");
  out.increase = json.text("direction", "increase") == "increase";
  out.scale = json.text("scale", "relative") == "relative" ? Scale::kRelative : Scale::kAbsolute;
  out.margin = json.number("margin");
  if (out.covariate && out.kind == MetricKind::kProportion) {
    return invalid("plan.metrics.covariate",
                   fmt::format("plan.metrics.covariate: a proportion takes none; plan '{}' as a "
                               "mean of 0 and 1",
                               printable(out.name)));
  }
  if (!out.guardrail && out.margin > 0) {
    return invalid("plan.metrics.margin",
                   fmt::format("plan.metrics.margin: '{}' is a goal; a margin is for a guardrail",
                               printable(out.name)));
  }
  return out;
}

template <class T>
Status check_names(const std::vector<T>& all, std::string_view field) {
  std::set<std::string_view> seen;
  for (const T& one : all) {
    if (seen.insert(one.name).second) continue;
    return invalid(std::string(field), fmt::format("{}: '{}' is there twice; each needs a name of "
                                                   "its own",
                                                   field, printable(one.name)));
  }
  return {};
}

Status check_plan(const DecisionPlan& plan) {
  STRATA_TRY(check_names(plan.arms, "plan.arms"));
  STRATA_TRY(check_names(plan.metrics, "plan.metrics"));
  const auto weighted =
      std::ranges::count_if(plan.arms, [](const PlannedArm& arm) { return arm.weight > 0; });
  if (weighted < 2 || plan.arms[0].weight == 0) {
    return invalid(
        "plan.arms",
        "plan.arms: takes a control, which comes first, and at least one more arm with a "
        "weight above 0");
  }
  if (std::ranges::all_of(plan.metrics, &PlannedMetric::guardrail)) {
    return invalid("plan.metrics", "plan.metrics: takes at least one metric with the role goal");
  }
  return {};
}

template <class T>
Result<std::size_t> index_of(const std::vector<T>& all, const std::string& name,
                             std::string_view field) {
  const auto at = std::ranges::find(all, name, &T::name);
  if (at != all.end()) return static_cast<std::size_t>(at - all.begin());
  std::vector<std::string> known;
  for (const T& one : all)
    known.push_back(one.name);
  const std::string meant = did_you_mean(name, known);
  return invalid(std::string(field),
                 fmt::format("{}: '{}' is not in the plan{}", field, printable(name),
                             meant.empty() ? "" : fmt::format(". Did you mean '{}'?", meant)));
}

Result<ArmStatistics> read_arm(const PlannedMetric& metric, const Json& json) {
  ArmStatistics out;
  const auto n = static_cast<double>(json.integer("n"));
  if (metric.kind == MetricKind::kProportion) {
    out.proportion = {static_cast<double>(json.integer("successes", -1)), n};
    if (out.proportion.successes >= 0 && out.proportion.successes <= n) return out;
    return invalid("statistics.successes",
                   fmt::format("statistics.successes: '{}' is a proportion and takes a count from "
                               "0 to its n",
                               printable(metric.name)));
  }
  std::vector<double> mean;
  std::vector<double> covariance;
  if (const Json* const list = json.find("mean")) {
    for (const Json& one : list->as_array())
      mean.push_back(one.as_double());
  }
  if (const Json* const rows = json.find("covariance")) {
    for (const Json& row : rows->as_array()) {
      for (const Json& one : row.as_array())
        covariance.push_back(one.as_double());
    }
  }
  const auto size = static_cast<std::size_t>(metric.shape().dimension());
  if (mean.size() != size || covariance.size() != size * size) {
    return invalid("statistics.mean",
                   fmt::format("statistics.mean: '{}' takes {} means and {} x {} covariances",
                               printable(metric.name), size, size, size));
  }
  auto moments = Moments::from(n, mean, covariance);
  if (!moments) {
    Error error = std::move(moments).error();
    error.field = "statistics." + error.field;
    return error;
  }
  out.moments = *moments;
  return out;
}

}  // namespace

std::string_view analysis_schema() {
  return kSchema;
}

Shape PlannedMetric::shape() const {
  return {.kind = kind == MetricKind::kRatio ? Shape::Kind::kRatio : Shape::Kind::kMean,
          .covariate = covariate};
}

Result<DecisionPlan> read_plan(const Json& json) {
  DecisionPlan plan;
  plan.name = json.text("name");
  for (const Json& arm : json["arms"].as_array())
    plan.arms.push_back({arm.text("name"), arm.number("weight", 1)});
  for (const Json& one : json["metrics"].as_array()) {
    auto metric = read_metric(one);
    if (!metric) return std::move(metric).error();
    plan.metrics.push_back(*std::move(metric));
  }
  plan.alpha = json.number("alpha", plan.alpha);
  const auto correction = parse_correction(json.text("correction", "holm"));
  if (!correction) return correction.error();
  plan.correction = *correction;
  plan.sequential = json.text("rule", "fixed") == "sequential";
  plan.sample = json.number("sample");
  plan.minimum_sample = json.number("minimum_sample", plan.minimum_sample);
  plan.ratio_alpha = json.number("ratio_alpha", plan.ratio_alpha);
  if (plan.arms.empty()) return invalid("plan.arms", "plan.arms: is empty");
  STRATA_TRY(check_plan(plan));
  return plan;
}

Json DecisionPlan::to_json() const {
  Json arms_json = Json::array();
  for (const PlannedArm& arm : arms)
    arms_json.push(Json::object({{"name", arm.name}, {"weight", arm.weight}}));
  Json metrics_json = Json::array();
  for (const PlannedMetric& metric : metrics) {
    metrics_json.push(
        Json::object({{"name", metric.name},
                      {"kind", kKinds[static_cast<std::size_t>(metric.kind)]},
                      {"role", metric.guardrail ? "guardrail" : "goal"},
                      {"covariate", metric.covariate},
                      {"direction", metric.increase ? "increase" : "decrease"},
                      {"scale", metric.scale == Scale::kRelative ? "relative" : "absolute"},
                      {"margin", metric.margin}}));
  }
  return Json::object({{"name", name},
                       {"arms", std::move(arms_json)},
                       {"metrics", std::move(metrics_json)},
                       {"alpha", alpha},
                       {"correction", correction_name(correction)},
                       {"rule", sequential ? "sequential" : "fixed"},
                       {"sample", static_cast<std::int64_t>(sample)},
                       {"minimum_sample", static_cast<std::int64_t>(minimum_sample)},
                       {"ratio_alpha", ratio_alpha}});
}

std::string DecisionPlan::digest() const {
  return content_digest(to_json().dump());
}

Result<Observed> read_observed(const DecisionPlan& plan, const Json& request) {
  Observed out;
  out.units.assign(plan.arms.size(), 0);
  out.metrics.assign(plan.metrics.size(), std::vector<ArmStatistics>(plan.arms.size()));
  for (std::size_t i = 0; i < plan.metrics.size(); ++i) {
    for (ArmStatistics& arm : out.metrics[i])
      arm.moments = Moments(plan.metrics[i].shape().dimension());
  }
  for (const Json& one : request["units"].as_array()) {
    const auto arm = index_of(plan.arms, one.text("arm"), "units.arm");
    if (!arm) return arm.error();
    out.units[*arm] = static_cast<double>(one.integer("n"));
  }
  std::set<std::pair<std::size_t, std::size_t>> seen;
  for (const Json& one : request["statistics"].as_array()) {
    const auto metric = index_of(plan.metrics, one.text("metric"), "statistics.metric");
    if (!metric) return metric.error();
    const auto arm = index_of(plan.arms, one.text("arm"), "statistics.arm");
    if (!arm) return arm.error();
    if (!seen.emplace(*metric, *arm).second) {
      return invalid("statistics",
                     fmt::format("statistics: '{}' is there twice for arm '{}'",
                                 printable(one.text("metric")), printable(one.text("arm"))));
    }
    if (static_cast<double>(one.integer("n")) > out.units[*arm]) {
      return invalid("statistics.n",
                     fmt::format("statistics.n: '{}' has more units than arm '{}' was assigned; "
                                 "give one row for each assigned unit, not for each event",
                                 printable(one.text("metric")), printable(one.text("arm"))));
    }
    auto read = read_arm(plan.metrics[*metric], one);
    if (!read) return std::move(read).error();
    out.metrics[*metric][*arm] = *std::move(read);
  }
  return out;
}

}  // namespace strata::platform::statistics
