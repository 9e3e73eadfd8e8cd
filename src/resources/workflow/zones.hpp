#pragma once

#include <string>

#include "wire/flow/tzdata.hpp"

namespace strata::resources::workflow {

// A zone of /usr/share/zoneinfo, read once. Errors: kNotFound, kInvalidArgument for a name that is
// none. Blocks.
Result<wire::TimeZone> load_zone(const std::string& name);

}  // namespace strata::resources::workflow
