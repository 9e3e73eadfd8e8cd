#include <cmath>

#include <fmt/format.h>

#include "platform/statistics/decision.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::statistics {

namespace {

// What is infinite has no bound.
Json bound(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json result_json(const DecisionPlan& plan, const MetricResult& result) {
  const PlannedMetric& metric = plan.metrics[result.metric];
  const Effect& effect = result.effect;
  Json out = Json::object({{"metric", metric.name},
                           {"arm", plan.arms[result.arm].name},
                           {"role", metric.guardrail ? "guardrail" : "goal"},
                           {"scale", metric.scale == Scale::kRelative ? "relative" : "absolute"},
                           {"defined", effect.defined}});
  if (!effect.defined) {
    out.set("reason", effect.reason);
    return out;
  }
  out.set("estimate", effect.estimate);
  out.set("p_value", effect.p_value);
  if (!metric.guardrail) out.set("adjusted_p_value", result.adjusted_p);
  out.set("low", bound(effect.low));
  out.set("high", bound(effect.high));
  out.set("statistic", effect.statistic);
  out.set("degrees_of_freedom", bound(effect.degrees));
  const std::string_view good = metric.guardrail ? "holds" : "better";
  const std::string_view bad = metric.guardrail ? "breached" : "worse";
  out.set("verdict", result.worse ? bad : result.better ? good : "undecided");
  return out;
}

}  // namespace

Result<Json> analyze(const Json& request) {
  static const Json schema = *parse_json(analysis_schema());
  STRATA_TRY(wire::check_schema(schema, request));
  const auto plan = read_plan(request["plan"]);
  if (!plan) return plan.error();
  const std::string digest = plan->digest();
  if (const std::string frozen = request.text("digest"); !frozen.empty() && frozen != digest) {
    return Error(
        Code::kConflict,
        fmt::format("digest: the plan is not the one that was frozen: its digest is {}", digest),
        "digest");
  }
  const auto observed = read_observed(*plan, request);
  if (!observed) return observed.error();
  const Decision decision = decide(*plan, *observed);
  Json reasons = Json::array();
  for (const auto& reason : decision.reasons)
    reasons.push(reason);
  Json results = Json::array();
  for (const auto& result : decision.results)
    results.push(result_json(*plan, result));
  const SampleRatio& ratio = decision.sample_ratio;
  return Json::object({{"decision", outcome_name(decision.outcome)},
                       {"arm", decision.arm.empty() ? Json() : Json(decision.arm)},
                       {"reasons", std::move(reasons)},
                       {"final", decision.final},
                       {"sample_ratio", Json::object({{"statistic", ratio.statistic},
                                                      {"degrees_of_freedom", ratio.degrees},
                                                      {"p_value", ratio.p_value},
                                                      {"misplaced", ratio.misplaced}})},
                       {"results", std::move(results)},
                       {"plan", plan->to_json()},
                       {"digest", digest}});
}

}  // namespace strata::platform::statistics
