#pragma once

#include "app/compose/compose_warehouse.hpp"
#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// Flags and exposures with their part of Strata's own API and the doors for SDKs; SQL reads
// strata.exposures and strata.events. Before the warehouse starts. Blocks.
Result<std::unique_ptr<Part>> make_flags_part(Core& core, doors::rest::RestDoor& rest,
                                              WarehousePart& warehouse);

}  // namespace strata::app
