#include <cmath>
#include <limits>

#include "platform/statistics/distributions.hpp"
#include "platform/statistics/effect.hpp"

namespace strata::platform::statistics {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Where a function that is above 0 at `low` and below it at `high` crosses, to the last bit.
template <class F>
double crossing(double low, double high, const F& falls) {
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) return middle;
    (falls(middle) > 0 ? low : high) = middle;
  }
}

// Successes without any units that had one give nothing to the slope, also where p is 0.
double part(double count, double p) {
  return count == 0 ? 0 : count / p;
}

struct Rates {
  double control = 0;
  double treatment = 0;
};

Rates rates_at(Scale scale, const Proportion& control, const Proportion& treatment, double value) {
  const double own = restricted_control(scale, control, treatment, value);
  const double other = scale == Scale::kAbsolute ? own + value : own * (1 + value);
  return {own, std::min(1.0, std::max(0.0, other))};
}

double score(Scale scale, const Proportion& control, const Proportion& treatment, double value) {
  const double have_control = control.successes / control.count;
  const double have_treatment = treatment.successes / treatment.count;
  const Rates rates = rates_at(scale, control, treatment, value);
  const double grows = scale == Scale::kAbsolute ? 1 : 1 + value;
  const double distance = scale == Scale::kAbsolute ? have_treatment - have_control - value
                                                    : have_treatment - grows * have_control;
  const double variance = rates.treatment * (1 - rates.treatment) / treatment.count +
                          grows * grows * rates.control * (1 - rates.control) / control.count;
  if (distance == 0) return 0;
  return distance / std::sqrt(variance);
}

}  // namespace

double restricted_control(Scale scale, const Proportion& control, const Proportion& treatment,
                          double value) {
  const double lost_control = control.count - control.successes;
  const double lost_treatment = treatment.count - treatment.successes;
  if (scale == Scale::kAbsolute) {
    return crossing(std::max(0.0, -value), std::min(1.0, 1 - value), [&](double p) {
      return part(control.successes, p) - part(lost_control, 1 - p) +
             part(treatment.successes, p + value) - part(lost_treatment, 1 - p - value);
    });
  }
  const double grows = 1 + value;
  return crossing(0, std::min(1.0, 1 / grows), [&](double p) {
    return part(control.successes + treatment.successes, p) - part(lost_control, 1 - p) -
           grows * part(lost_treatment, 1 - grows * p);
  });
}

Effect test(Scale scale, const Proportion& control, const Proportion& treatment,
            const Question& question) {
  if (control.count < 1 || treatment.count < 1) {
    return Effect::undefined("no data: each arm needs at least one unit");
  }
  if (scale == Scale::kRelative && control.successes == 0) {
    return Effect::undefined("the control has no success yet: ask for the absolute effect");
  }
  const double p_control = control.successes / control.count;
  const double p_treatment = treatment.successes / treatment.count;
  const auto score_at = [&](double value) {
    return score(scale, control, treatment, value);
  };
  Effect out;
  out.defined = true;
  out.degrees = kInfinite;
  const bool absolute = scale == Scale::kAbsolute;
  out.estimate = absolute ? p_treatment - p_control : p_treatment / p_control - 1;
  const double grows = absolute ? 1 : 1 + out.estimate;
  out.standard_error = std::sqrt(p_treatment * (1 - p_treatment) / treatment.count +
                                 grows * grows * p_control * (1 - p_control) / control.count) /
                       (absolute ? 1 : p_control);
  out.statistic = score_at(question.null_value);
  const bool two_sided = question.alternative == Alternative::kTwoSided;
  const double z = normal_tail_quantile(two_sided ? question.alpha / 2 : question.alpha);
  double top = absolute ? 1 : std::max(1.0, 2 * out.estimate + 1);
  while (!absolute && top < 1e300 && score_at(top) > -z)
    top *= 2;
  out.low = question.alternative == Alternative::kLess
                ? -kInfinite
                : crossing(-1, out.estimate, [&](double value) { return score_at(value) - z; });
  out.high = question.alternative == Alternative::kGreater
                 ? kInfinite
                 : crossing(out.estimate, top, [&](double value) { return score_at(value) + z; });
  if (two_sided) {
    out.p_value = 2 * normal_tail(std::abs(out.statistic));
  } else {
    const bool greater = question.alternative == Alternative::kGreater;
    out.p_value = normal_tail(greater ? out.statistic : -out.statistic);
  }
  return out;
}

}  // namespace strata::platform::statistics
