#pragma once

#include <memory>
#include <vector>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// Builds all parts of the server in their order and adds their routes to Strata's own API. Blocks.
Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
