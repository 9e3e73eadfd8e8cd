#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "platform/statistics/correction.hpp"
#include "platform/statistics/effect.hpp"
#include "platform/statistics/sample_ratio.hpp"

namespace strata::platform::statistics {

enum class MetricKind : std::uint8_t { kMean, kProportion, kRatio };

struct PlannedMetric {
  std::string name;
  MetricKind kind = MetricKind::kMean;
  bool guardrail = false;  // else a goal
  bool covariate = false;  // CUPED
  bool increase = true;    // whether more is better
  Scale scale = Scale::kRelative;
  double margin = 0;  // how much worse a guardrail may be, on its scale

  Shape shape() const;
};

struct PlannedArm {
  std::string name;
  double weight = 1;
};

// How an experiment or a release is decided, fixed before its start. The first arm is the control.
struct DecisionPlan {
  std::string name;
  std::vector<PlannedArm> arms;
  std::vector<PlannedMetric> metrics;
  double alpha = 0.05;
  Correction correction = Correction::kHolm;  // over all goals in all treatment arms
  bool sequential = false;                    // goals may be read at any look; else at the end
  double sample = 0;                          // units of all arms at which it ends
  double minimum_sample = 100;                // units of each arm before which nothing is read
  double ratio_alpha = 0.001;                 // of the sample ratio check

  // All of it in canonical form, defaults included; read_plan() reads it back.
  Json to_json() const;
  // The content digest of that form: what is frozen.
  std::string digest() const;
};

// Errors: kInvalidArgument naming the field. `json` must hold the schema's "plan".
Result<DecisionPlan> read_plan(const Json& json);

// What is known of one metric in one arm.
struct ArmStatistics {
  Moments moments{1};       // of means and ratios
  Proportion proportion{};  // of proportions
};

struct Observed {
  std::vector<double> units;                        // assigned to each arm
  std::vector<std::vector<ArmStatistics>> metrics;  // by metric, then arm
};

// Errors: kInvalidArgument naming the field, also for a metric with more units than its arm: the
// unit of analysis must be the one that was assigned. `request` must hold the schema.
Result<Observed> read_observed(const DecisionPlan& plan, const Json& request);

enum class Outcome : std::uint8_t { kShip, kStop, kContinue, kInconclusive };
std::string_view outcome_name(Outcome outcome);

// One metric in one treatment arm.
struct MetricResult {
  std::size_t metric = 0;
  std::size_t arm = 0;
  Effect effect;          // a goal's with the interval that agrees with `adjusted_p`
  double adjusted_p = 1;  // of a goal
  bool better = false;    // a goal's effect is significant and good; a guardrail holds
  bool worse = false;     // significant and bad; a guardrail is breached
};

struct Decision {
  Outcome outcome = Outcome::kContinue;
  std::string arm{};  // what to ship
  std::vector<std::string> reasons{};
  SampleRatio sample_ratio{};
  std::vector<MetricResult> results{};  // empty while nothing may be read
  bool final = false;                   // whether goals were read
};

// Decides by the plan and nothing else.
//
// Units that do not come in the planned ratio, or arms below the minimum sample, leave nothing to
// read. Breaches of a guardrail (worse by more than its margin) are looked for at every call by
// sequential tests whatever the rule; goals at every call when it is sequential, else once the
// planned sample is there. Ship: a treatment arm with a goal that is better, none that is worse,
// and guardrails that are all shown to hold. Stop: every treatment arm is worse in a goal or
// breaches. Inconclusive: the planned sample decides nothing.
Decision decide(const DecisionPlan& plan, const Observed& observed);

// The JSON Schema of a request: {"plan", "digest", "units", "statistics"}.
std::string_view analysis_schema();
// Checks, reads, decides and reports. Errors: kInvalidArgument naming the field; kConflict when the
// request names another digest than its plan has.
Result<Json> analyze(const Json& request);

}  // namespace strata::platform::statistics
