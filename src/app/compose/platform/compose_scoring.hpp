#pragma once

#include <memory>

#include "app/compose/compose_warehouse.hpp"
#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::app {

// Models over whole tables and objects, with their routes. Blocks on the records.
Result<std::unique_ptr<Part>> make_scoring_part(Core& core, doors::rest::RestDoor& rest,
                                                platform::deployment::Endpoints& endpoints,
                                                WarehousePart& warehouses);

}  // namespace strata::app
