#pragma once

#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::platform::statistics {

// The JSON Schema of a question of planning.
std::string_view power_schema();

// How many units, what power, or what effect: of "effect" and "sample" (units of the control), the
// one that is not given, for a two-sided test with "alpha" (0.05) and "power" (0.8). By the normal
// approximation; of a proportion with the pooled variance under the null hypothesis (Fleiss, Levin
// and Paik 2003). "ratio" is treatment over control; "correlation" that of a CUPED covariate. With
// both given the answer is the power. Errors: kInvalidArgument naming the field.
Result<Json> plan_power(const Json& question);

}  // namespace strata::platform::statistics
