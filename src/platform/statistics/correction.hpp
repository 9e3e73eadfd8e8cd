#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::platform::statistics {

// How the tests of one family (each goal in each treatment arm) are corrected for being many.
// Bonferroni and Holm bound the chance of any false discovery, Benjamini-Hochberg and
// Benjamini-Yekutieli (under any dependence) the expected share of false ones.
enum class Correction : std::uint8_t { kNone, kBonferroni, kHolm, kHochberg, kYekutieli };

struct Corrected {
  std::vector<double> p_values;  // adjusted, each at most 1
  std::vector<bool> rejected;    // adjusted p <= alpha
  std::vector<double> alphas;    // the interval of each test at level 1 - this agrees with it
};

// Adjusts a family. Intervals: Bonferroni's cover all effects at once; Holm's are those of the step
// at which each test was decided, so they agree with it and need not cover all at once; those of
// the last two have the false coverage rate of Benjamini and Yekutieli (2005) for what is rejected.
Corrected correct(Correction method, std::span<const double> p_values, double alpha);

// Errors: kInvalidArgument naming the known ones.
Result<Correction> parse_correction(std::string_view text);
std::string_view correction_name(Correction correction);

}  // namespace strata::platform::statistics
