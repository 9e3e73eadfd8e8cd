#pragma once

#include <memory>

#include "app/compose/compose_warehouse.hpp"
#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/models/models.hpp"
#include "platform/verdicts/verdicts.hpp"

namespace strata::app {

// Guarded releases, with their routes. Blocks on the records.
Result<std::unique_ptr<Part>> make_release_part(Core& core, doors::rest::RestDoor& rest,
                                                platform::models::Models& models,
                                                platform::deployment::Endpoints& endpoints,
                                                platform::verdicts::Verdicts& verdicts,
                                                WarehousePart& warehouses);

}  // namespace strata::app
