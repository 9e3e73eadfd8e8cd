#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/statistics/decision.hpp"
#include "platform/statistics/sequential.hpp"

namespace strata::platform::statistics {

namespace {

constexpr std::array<std::string_view, 4> kOutcomes = {"ship", "stop", "continue", "inconclusive"};

Effect sequential_of(const DecisionPlan& plan, const PlannedMetric& metric, double theta,
                     const std::vector<ArmStatistics>& arms, std::size_t arm,
                     const Question& question) {
  if (metric.kind == MetricKind::kProportion) {
    return sequential_test(metric.scale, arms[0].proportion, arms[arm].proportion, question);
  }
  const Tuning tuning{.units = plan.sample, .alpha = plan.alpha};
  return sequential_test(
      contrast_of(metric.shape(), metric.scale, theta, arms[0].moments, arms[arm].moments),
      question, tuning);
}

Effect fixed_of(const PlannedMetric& metric, double theta, const std::vector<ArmStatistics>& arms,
                std::size_t arm, const Question& question) {
  if (metric.kind == MetricKind::kProportion) {
    return test(metric.scale, arms[0].proportion, arms[arm].proportion, question);
  }
  return test(contrast_of(metric.shape(), metric.scale, theta, arms[0].moments, arms[arm].moments),
              question);
}

// One decision in the making.
class Judge {
 public:
  Judge(const DecisionPlan& plan, const Observed& observed) : plan_(plan), observed_(observed) {}

  Decision run() {
    for (const double units : observed_.units)
      total_ += units;
    check_ratio();
    if (out_.outcome == Outcome::kInconclusive || too_early()) return std::move(out_);
    out_.final = plan_.sequential || ended();
    for (std::size_t i = 0; i < plan_.metrics.size(); ++i)
      thetas_.push_back(theta_of(i));
    judge_guardrails();
    judge_goals();
    conclude();
    return std::move(out_);
  }

 private:
  bool ended() const { return total_ >= plan_.sample; }
  void say(std::string reason) { out_.reasons.push_back(std::move(reason)); }

  void check_ratio() {
    std::vector<double> weights;
    for (const PlannedArm& arm : plan_.arms)
      weights.push_back(arm.weight);
    // Held at every look, since a mismatch is looked for from the first one.
    out_.sample_ratio = sequential_sample_ratio(observed_.units, weights);
    const SampleRatio& ratio = out_.sample_ratio;
    if (ratio.misplaced == 0 && ratio.p_value > plan_.ratio_alpha) return;
    out_.outcome = Outcome::kInconclusive;
    if (ratio.misplaced > 0) say("units were assigned to an arm whose weight is 0");
    if (ratio.p_value <= plan_.ratio_alpha) {
      say(fmt::format(
          "sample ratio mismatch (p = {:.3g}): find what loses or adds units in one arm; "
          "no effect can be read before",
          ratio.p_value));
    }
  }

  bool too_early() {
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
      if (plan_.arms[arm].weight == 0 || observed_.units[arm] >= plan_.minimum_sample) continue;
      say(fmt::format("arm '{}' has {} of at least {} units", printable(plan_.arms[arm].name),
                      observed_.units[arm], plan_.minimum_sample));
    }
    return !out_.reasons.empty();
  }

  double theta_of(std::size_t metric) const {
    std::vector<Moments> arms;
    for (const ArmStatistics& arm : observed_.metrics[metric])
      arms.push_back(arm.moments);
    return pooled_theta(plan_.metrics[metric].shape(), arms);
  }

  Effect effect_of(std::size_t metric, std::size_t arm, bool sequential,
                   const Question& question) const {
    const PlannedMetric& planned = plan_.metrics[metric];
    const auto& arms = observed_.metrics[metric];
    return sequential ? sequential_of(plan_, planned, thetas_[metric], arms, arm, question)
                      : fixed_of(planned, thetas_[metric], arms, arm, question);
  }

  template <class F>
  void each(bool guardrails, const F& judge) {
    for (std::size_t metric = 0; metric < plan_.metrics.size(); ++metric) {
      if (plan_.metrics[metric].guardrail != guardrails) continue;
      for (std::size_t arm = 1; arm < plan_.arms.size(); ++arm) {
        if (plan_.arms[arm].weight > 0) judge(metric, arm);
      }
    }
  }

  void judge_guardrails() {
    each(true, [&](std::size_t metric, std::size_t arm) {
      const PlannedMetric& planned = plan_.metrics[metric];
      const double limit = planned.increase ? -planned.margin : planned.margin;
      const auto good = planned.increase ? Alternative::kGreater : Alternative::kLess;
      const auto bad = planned.increase ? Alternative::kLess : Alternative::kGreater;
      const Effect breach = effect_of(metric, arm, true, {bad, limit, plan_.alpha});
      MetricResult result{.metric = metric,
                          .arm = arm,
                          .effect = effect_of(metric, arm, !out_.final || plan_.sequential,
                                              {good, limit, plan_.alpha})};
      result.worse = breach.defined && breach.p_value <= plan_.alpha;
      result.better = out_.final && result.effect.defined && result.effect.p_value <= plan_.alpha;
      if (result.worse) {
        say(fmt::format(
            "guardrail '{}' is breached in '{}': {:.4g}, worse than {:.4g} (p = {:.3g})",
            printable(planned.name), printable(plan_.arms[arm].name), breach.estimate, limit,
            breach.p_value));
      }
      out_.results.push_back(std::move(result));
    });
  }

  void judge_goals() {
    if (!out_.final) return;
    std::vector<double> p_values;
    each(false, [&](std::size_t metric, std::size_t arm) {
      const Effect effect =
          effect_of(metric, arm, plan_.sequential, {Alternative::kTwoSided, 0, plan_.alpha});
      p_values.push_back(effect.defined ? effect.p_value : 1);
    });
    const Corrected corrected = correct(plan_.correction, p_values, plan_.alpha);
    std::size_t i = 0;
    each(false, [&](std::size_t metric, std::size_t arm) {
      MetricResult result{.metric = metric,
                          .arm = arm,
                          .effect = effect_of(metric, arm, plan_.sequential,
                                              {Alternative::kTwoSided, 0, corrected.alphas[i]}),
                          .adjusted_p = corrected.p_values[i]};
      const bool good = (result.effect.estimate > 0) == plan_.metrics[metric].increase;
      result.better = corrected.rejected[i] && good;
      result.worse = corrected.rejected[i] && !good;
      if (corrected.rejected[i]) {
        say(fmt::format("'{}' is {} in '{}': {:.4g} (adjusted p = {:.3g})",
                        printable(plan_.metrics[metric].name), good ? "better" : "worse",
                        printable(plan_.arms[arm].name), result.effect.estimate,
                        result.adjusted_p));
      }
      out_.results.push_back(std::move(result));
      ++i;
    });
  }

  struct Standing {
    bool worse = false;
    bool goal = false;  // a goal is better
    bool holds = true;  // every guardrail is shown to hold
    double lead = 0;    // the greatest lead of a goal in standard errors
  };

  Standing standing_of(std::size_t arm) const {
    Standing out;
    for (const MetricResult& result : out_.results) {
      if (result.arm != arm) continue;
      out.worse |= result.worse;
      if (plan_.metrics[result.metric].guardrail) {
        out.holds &= result.better;
      } else if (result.better) {
        out.goal = true;
        out.lead = std::max(out.lead, std::abs(result.effect.statistic));
      }
    }
    return out;
  }

  void conclude() {
    bool all_worse = true;
    bool waits_for_guardrail = false;
    double lead = 0;
    for (std::size_t arm = 1; arm < plan_.arms.size(); ++arm) {
      if (plan_.arms[arm].weight == 0) continue;
      const Standing standing = standing_of(arm);
      all_worse &= standing.worse;
      if (standing.worse || !standing.goal) continue;
      waits_for_guardrail |= !standing.holds;
      if (!standing.holds || (!out_.arm.empty() && standing.lead <= lead)) continue;
      out_.arm = plan_.arms[arm].name;
      lead = standing.lead;
    }
    if (all_worse) {
      out_.outcome = Outcome::kStop;
    } else if (!out_.arm.empty()) {
      out_.outcome = Outcome::kShip;
    } else if (ended()) {
      out_.outcome = Outcome::kInconclusive;
      say(waits_for_guardrail ? "a guardrail is not shown to hold at the planned sample"
                              : "no goal is better at the planned sample");
    } else {
      out_.outcome = Outcome::kContinue;
      say(fmt::format("{} of {} planned units{}", total_, plan_.sample,
                      plan_.sequential ? "" : "; goals are read once they are there"));
    }
  }

  const DecisionPlan& plan_;
  const Observed& observed_;
  double total_ = 0;
  std::vector<double> thetas_{};
  Decision out_{};
};

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  return kOutcomes[static_cast<std::size_t>(outcome)];
}

Decision decide(const DecisionPlan& plan, const Observed& observed) {
  return Judge(plan, observed).run();
}

}  // namespace strata::platform::statistics
