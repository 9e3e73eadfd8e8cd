#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// Alarms, and who outside is told of them, with their routes. Blocks on the records.
Result<std::unique_ptr<Part>> make_alerts_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
