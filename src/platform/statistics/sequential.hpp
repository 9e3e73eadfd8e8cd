#pragma once

#include "platform/statistics/effect.hpp"

namespace strata::platform::statistics {

// Inference that may be looked at after every unit and stopped at any time.

// What fixes a normal mixture: narrowest at `units` in both arms together and level 1 - alpha. It
// must be fixed before the first unit is seen.
struct Tuning {
  double units = 1'000;
  double alpha = 0.05;
};

// The normal mixture of Robbins (1970), as asymptotic confidence sequence (Waudby-Smith et al.
// 2021) or mixture SPRT. Holds only for arms that are large enough for a normal approximation. A
// one-sided bound is the root of the half-normal mixture and agrees with its p-value.
Effect sequential_test(const Contrast& contrast, const Question& question, const Tuning& tuning);

// Exact for independent successes at any count, however small, and under any mixture of the arms:
// the likelihood under a Beta(1/2, 1/2) mixture of each arm over the greatest likelihood that the
// value allows is at most 1 in expectation (universal inference, Wasserman et al. 2020). For rates
// of errors against a concurrent control. On the relative scale undefined without successes in the
// control.
Effect sequential_test(Scale scale, const Proportion& control, const Proportion& treatment,
                       const Question& question);

// The logarithm of the evidence of both tests against the null value, one-sided, without an
// interval: for whoever looks after every unit. At -log(alpha) the test's p-value is alpha. 0 while
// the effect lies on the side of the null hypothesis, or is undefined.
double sequential_evidence(const Contrast& contrast, const Question& question,
                           const Tuning& tuning);
double sequential_evidence(const Proportion& control, const Proportion& treatment,
                           const Question& question);

}  // namespace strata::platform::statistics
