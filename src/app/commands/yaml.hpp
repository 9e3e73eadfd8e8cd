#pragma once

#include <string>

#include "base/json.hpp"

namespace strata::app {

// A JSON value as a block-style YAML 1.2 document, ending with a line break.
std::string to_yaml(const Json& value);

}  // namespace strata::app
