#pragma once

#include <string_view>

#include "base/json.hpp"
#include "platform/drift/drift.hpp"

namespace strata::platform::monitoring {

std::string_view kind_name(drift::Kind kind);
// Adds the distance of two profiles, and their bins, as the API shows them.
void add_distance(Json& out, const drift::Profile& reference, const drift::Profile& current,
                  bool with_bins = true);

}  // namespace strata::platform::monitoring
