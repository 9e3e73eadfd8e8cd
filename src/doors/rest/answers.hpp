#pragma once

#include <string_view>

#include "base/json.hpp"

namespace strata::doors::rest {

// What Strata's own API answers, as JSON Schemas: the named types of the OpenAPI document, which
// clients are generated from. A test holds real answers against them.
Json answer_types();

// The schema of the answer of an operation, or nothing where it answers no JSON or none is said.
std::string_view answer_of(std::string_view operation);

}  // namespace strata::doors::rest
