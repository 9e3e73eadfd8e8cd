#pragma once

#include <span>

#include "base/result.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::inference {

// Whether the "params" of a request are what the signature says, by MLflow's rules: those that it
// does not name are passed over, as are all when it names none; null fits every type, and a whole
// number a float or double. What is inside an object is not looked at. The models that are served
// take no parameters, so the values themselves go nowhere.
// Errors: kInvalidArgument naming the parameter.
Status check_params(std::span<const wire::ParamSpec> specs, const wire::ScoringRequest& request);

}  // namespace strata::platform::inference
