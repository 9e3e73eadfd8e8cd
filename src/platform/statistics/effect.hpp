#pragma once

#include <span>
#include <string>

#include "platform/statistics/moments.hpp"

namespace strata::platform::statistics {

enum class Scale : std::uint8_t { kAbsolute, kRelative };  // treatment - control; over control - 1
enum class Alternative : std::uint8_t { kTwoSided, kGreater, kLess };

// What is asked of an effect: a test of `null_value` and an interval of level 1 - alpha. The
// interval leaves out a value exactly when the test of that value gives p < alpha.
struct Question {
  Alternative alternative = Alternative::kTwoSided;
  double null_value = 0;
  double alpha = 0.05;
};

// An effect, or why nothing can be said about one.
struct Effect {
  bool defined = false;
  std::string reason{};  // of an undefined one
  double estimate = 0;
  double standard_error = 0;
  double degrees = 0;  // of freedom; infinite for a normal test
  double statistic = 0;
  double p_value = 1;
  double low = 0;  // infinite on the open side of a one-sided question
  double high = 0;

  static Effect undefined(std::string why);
};

// How a metric's value comes from the moments of an arm. kMean: one quantity. kRatio: numerator and
// denominator of each unit, for metrics whose unit (an event, a session) nests in the unit that was
// assigned. With a covariate (CUPED) the same quantities of the time before each unit's exposure
// follow those of the metric.
struct Shape {
  enum class Kind : std::uint8_t { kMean, kRatio } kind = Kind::kMean;
  bool covariate = false;
  int dimension() const { return (kind == Kind::kRatio ? 2 : 1) * (covariate ? 2 : 1); }
};

// The value of an arm without any adjustment.
double value_of(const Shape& shape, const Moments& arm);

// CUPED's theta: one for all arms, from the covariances within the arms (Deng et al. 2013; of
// ratios by their linear forms). 0 when the covariate never changes.
double pooled_theta(const Shape& shape, std::span<const Moments> arms);

// An effect and its variance by arm (delta method).
struct Contrast {
  bool defined = false;
  std::string reason{};
  double estimate = 0;
  double variance_control = 0;  // of the estimate, from the control's values
  double variance_treatment = 0;
  double count_control = 0;
  double count_treatment = 0;

  double variance() const { return variance_control + variance_treatment; }
  double degrees() const;  // Welch and Satterthwaite
};

// The difference between two arms, adjusted by `theta` times that of the covariates. A relative one
// is over the control's unadjusted value and has the terms of their covariance; it is undefined
// unless that value is more than five of its standard errors above 0. Undefined as well: fewer than
// two units in an arm, a ratio whose denominator is 0, no variance in either arm.
Contrast contrast_of(const Shape& shape, Scale scale, double theta, const Moments& control,
                     const Moments& treatment);

// Welch's t test of a contrast and its interval.
Effect test(const Contrast& contrast, const Question& question);

// Successes out of a count of units.
struct Proportion {
  double successes = 0;
  double count = 0;
};

// Score test and interval of a difference or ratio of proportions, with the restricted maximum
// likelihood under each value (Miettinen and Nurminen 1985 without their n/(n-1); Farrington and
// Manning 1990). At 0 it is the pooled z test. Holds for rare events; a relative effect is
// undefined without any success in the control.
Effect test(Scale scale, const Proportion& control, const Proportion& treatment,
            const Question& question);

// The most likely proportion of the control when the effect is `value`.
double restricted_control(Scale scale, const Proportion& control, const Proportion& treatment,
                          double value);

}  // namespace strata::platform::statistics
