#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.hpp"
#include "wire/inference/scoring.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::platform::inference {

// Whether `value` can be held by To; floating point may be rounded, nothing else may change.
template <class To, class From>
bool fit(From value, To& out) {
  if constexpr (std::is_floating_point_v<To>) {
    out = static_cast<To>(value);
    return true;
  } else if constexpr (std::is_floating_point_v<From>) {
    const double wide = static_cast<double>(value);
    const double limit = std::ldexp(1.0, std::numeric_limits<To>::digits);
    if (!(wide >= static_cast<double>(std::numeric_limits<To>::lowest()) && wide < limit))
      return false;
    if (std::trunc(wide) != wide) return false;
    out = static_cast<To>(value);
    return true;
  } else {
    if (!std::in_range<To>(value)) return false;
    out = static_cast<To>(value);
    return true;
  }
}

// The same values in another type. Errors: kInvalidArgument naming `what` and the first value that
// does not fit.
Result<wire::Tensor> convert(const wire::Tensor& from, wire::ElementType to, std::string_view what);

// The cells of a scoring payload as a tensor of type `to`. A missing cell is NaN where
// `nan_for_missing`, an empty text where `to` is kText and it may be missing, else an error.
// Errors: kInvalidArgument naming `what` ("column 'wind'") and the row.
struct CellRules {
  bool may_miss = false;
  bool texts_are_numbers = false;  // CSV has nothing but texts
  std::string_view type_name;      // for messages
  std::size_t first_row = 0;       // the number that messages give the first row
};
Result<wire::Tensor> convert(const wire::ScoringArray& array, const std::vector<std::string>& texts,
                             wire::ElementType to, const CellRules& rules, std::string_view what);

}  // namespace strata::platform::inference
