#pragma once

#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::wire {

// Reads one Universal Binary JSON document (draft 12), whole. Arrays of one kind of floating point
// (`[$d#`, `[$D#`), which are many and long, come as their number of elements only.
// Errors: kMalformed with the byte, also for more than 64 levels and for what stands behind the
// document.
Result<Json> parse_ubjson(std::string_view bytes);

}  // namespace strata::wire
