#pragma once

#include <string>

#include "base/json.hpp"

namespace strata::app {

// The JSON in a file, or on standard input for "-". Errors: kNotFound, kMalformed naming the file.
Result<Json> read_json_input(const std::string& path);

}  // namespace strata::app
