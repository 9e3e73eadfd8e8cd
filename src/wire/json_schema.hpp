#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::wire {

// Checks `value` against a JSON Schema (draft 2020-12, the subset that our own documents use: type,
// properties, required, additionalProperties, items, enum, minimum, maximum, minLength, maxLength,
// maxItems). Unknown members get a suggestion. Errors: kInvalidArgument with the path of the member
// as its field ("steps.train.retries").
Status check_schema(const Json& schema, const Json& value);

}  // namespace strata::wire
