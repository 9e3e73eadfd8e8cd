#pragma once

#include <span>

namespace strata::platform::statistics {

// Whether units were assigned in the ratio that was asked for. Arms of weight 0 count neither in
// the total nor in the degrees of freedom; units in one of them are `misplaced`. Count units that
// were assigned, before any filter that the treatment can influence.
struct SampleRatio {
  double total = 0;      // units in arms with a weight
  double degrees = 0;    // 0 when there is nothing to compare
  double statistic = 0;  // Pearson's chi-squared
  double p_value = 1;
  double misplaced = 0;  // units in arms without one
};

// Pearson's test, for one look at the end. `counts` and `weights` have one entry for each arm.
SampleRatio sample_ratio(std::span<const double> counts, std::span<const double> weights);

// The p-value of a sequential test that holds at every look: a multinomial likelihood under a
// Dirichlet mixture of concentration 100 around the weights, over that under the weights (Lindon
// and Malek 2022).
SampleRatio sequential_sample_ratio(std::span<const double> counts,
                                    std::span<const double> weights);

}  // namespace strata::platform::statistics
