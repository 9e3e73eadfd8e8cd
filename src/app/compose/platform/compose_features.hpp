#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// The feature store with its routes. Blocks on the records.
Result<std::unique_ptr<Part>> make_features_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
