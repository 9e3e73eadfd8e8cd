#include "platform/statistics/sequential.hpp"

#include <cmath>
#include <limits>

#include "platform/statistics/distributions.hpp"

namespace strata::platform::statistics {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

template <class F>
double crossing(double low, double high, const F& falls) {
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) return middle;
    (falls(middle) > 0 ? low : high) = middle;
  }
}

// The square of rho in Waudby-Smith et al.: the mixture's variance over that of one unit, such that
// the interval of level 1 - alpha is narrowest at the units of the tuning.
double mixture_variance(const Tuning& tuning) {
  const double twice = -2 * std::log(tuning.alpha);
  return (twice + std::log(twice + 1)) / tuning.units;
}

// Logarithms of the evidence against a value at `z` standard errors, where the mixture has `ratio`
// times the variance of the estimate.
double two_sided_evidence(double z, double ratio) {
  return z * z * ratio / (2 * (1 + ratio)) - std::log1p(ratio) / 2;
}

double one_sided_evidence(double z, double ratio) {
  const double scaled = z * std::sqrt(ratio / (1 + ratio));
  return two_sided_evidence(z, ratio) + std::log(2 * normal_tail(-scaled));
}

double xlogy(double x, double y) {
  return x == 0 ? 0 : x * std::log(y);
}

double log_likelihood(const Proportion& arm, double p) {
  return xlogy(arm.successes, p) + xlogy(arm.count - arm.successes, 1 - p);
}

// log of the likelihood under a mixture over p ~ Beta(1/2, 1/2), whose beta function is pi.
double log_mixture(const Proportion& arm) {
  return std::lgamma(arm.successes + 0.5) + std::lgamma(arm.count - arm.successes + 0.5) -
         std::lgamma(arm.count + 1) - std::log(M_PI);
}

double log_evidence(Scale scale, const Proportion& control, const Proportion& treatment,
                    double value) {
  const double own = restricted_control(scale, control, treatment, value);
  const double other = scale == Scale::kAbsolute ? own + value : own * (1 + value);
  return log_mixture(control) + log_mixture(treatment) - log_likelihood(control, own) -
         log_likelihood(treatment, std::min(1.0, std::max(0.0, other)));
}

double p_of(double log_evidence_against) {
  return std::min(1.0, std::exp(-log_evidence_against));
}

}  // namespace

Effect sequential_test(const Contrast& contrast, const Question& question, const Tuning& tuning) {
  if (!contrast.defined) return Effect::undefined(contrast.reason);
  const double ratio =
      mixture_variance(tuning) * (contrast.count_control + contrast.count_treatment);
  const double needed = -std::log(question.alpha);
  Effect out;
  out.defined = true;
  out.estimate = contrast.estimate;
  out.degrees = kInfinite;
  out.standard_error = std::sqrt(contrast.variance());
  out.statistic = (out.estimate - question.null_value) / out.standard_error;
  if (question.alternative == Alternative::kTwoSided) {
    const double reach =
        out.standard_error * std::sqrt((needed + std::log1p(ratio) / 2) * 2 * (1 + ratio) / ratio);
    out.low = out.estimate - reach;
    out.high = out.estimate + reach;
    out.p_value = p_of(two_sided_evidence(out.statistic, ratio));
    return out;
  }
  double most = 1;
  while (one_sided_evidence(most, ratio) < needed)
    most *= 2;
  const double reach = out.standard_error * crossing(0, most, [&](double z) {
                         return needed - one_sided_evidence(z, ratio);
                       });
  const bool greater = question.alternative == Alternative::kGreater;
  out.low = greater ? out.estimate - reach : -kInfinite;
  out.high = greater ? kInfinite : out.estimate + reach;
  out.p_value = p_of(one_sided_evidence(greater ? out.statistic : -out.statistic, ratio));
  return out;
}

double sequential_evidence(const Contrast& contrast, const Question& question,
                           const Tuning& tuning) {
  if (!contrast.defined || contrast.variance() <= 0) return 0;
  const bool greater = question.alternative == Alternative::kGreater;
  const double beyond = (contrast.estimate - question.null_value) * (greater ? 1 : -1);
  if (beyond <= 0) return 0;
  const double ratio =
      mixture_variance(tuning) * (contrast.count_control + contrast.count_treatment);
  return std::max(0.0, one_sided_evidence(beyond / std::sqrt(contrast.variance()), ratio));
}

double sequential_evidence(const Proportion& control, const Proportion& treatment,
                           const Question& question) {
  if (control.count < 1 || treatment.count < 1) return 0;
  const double estimate = treatment.successes / treatment.count - control.successes / control.count;
  const bool greater = question.alternative == Alternative::kGreater;
  if ((estimate - question.null_value) * (greater ? 1 : -1) <= 0) return 0;
  return std::max(0.0, log_evidence(Scale::kAbsolute, control, treatment, question.null_value));
}

Effect sequential_test(Scale scale, const Proportion& control, const Proportion& treatment,
                       const Question& question) {
  if (control.count < 1 || treatment.count < 1) {
    return Effect::undefined("no data: each arm needs at least one unit");
  }
  if (scale == Scale::kRelative && control.successes == 0) {
    return Effect::undefined("the control has no success yet: ask for the absolute effect");
  }
  const auto evidence = [&](double value) {
    return log_evidence(scale, control, treatment, value);
  };
  const double p_control = control.successes / control.count;
  const double p_treatment = treatment.successes / treatment.count;
  const double needed = -std::log(question.alpha);
  Effect out;
  out.defined = true;
  out.degrees = kInfinite;
  out.estimate = scale == Scale::kAbsolute ? p_treatment - p_control : p_treatment / p_control - 1;
  out.statistic = evidence(question.null_value);
  out.p_value = p_of(out.statistic);
  double top = 1;
  while (scale == Scale::kRelative && top < 1e300 && evidence(top) < needed)
    top *= 2;
  out.low = crossing(-1, out.estimate, [&](double value) { return evidence(value) - needed; });
  out.high = crossing(out.estimate, top, [&](double value) { return needed - evidence(value); });
  const bool greater = question.alternative == Alternative::kGreater;
  if (question.alternative == Alternative::kTwoSided) return out;
  // A value on the side of the null hypothesis that holds the estimate is the likeliest of all.
  if (greater ? out.estimate <= question.null_value : out.estimate >= question.null_value) {
    out.p_value = 1;
  }
  (greater ? out.high : out.low) = greater ? kInfinite : -kInfinite;
  return out;
}

}  // namespace strata::platform::statistics
