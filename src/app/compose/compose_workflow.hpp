#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// Pipelines: the scheduler, its node agent and the routes below /api/v1/flows. Blocks on the
// records.
Result<std::unique_ptr<Part>> make_workflow_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
