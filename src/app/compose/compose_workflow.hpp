#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/tracking/tracking.hpp"
#include "storage/compute/compute.hpp"

namespace strata::app {

// Pipelines: the scheduler, its node agent and the routes below /api/v1/flows. Blocks on the
// records.
// `node` prices tasks, and the runs of `tracking` that were made inside of one.
Result<std::unique_ptr<Part>> make_workflow_part(Core& core, doors::rest::RestDoor& rest,
                                                 const storage::compute::Compute& node,
                                                 platform::tracking::Tracking& tracking);

}  // namespace strata::app
