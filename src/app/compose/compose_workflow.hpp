#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/tracking/tracking.hpp"
#include "resources/workflow/workflow.hpp"
#include "storage/compute/compute.hpp"

namespace strata::app {

// The part with the scheduler and its node agent.
class FlowPart : public Part {
 public:
  virtual resources::workflow::Workflows& workflows() = 0;
};

// Pipelines: the scheduler, its node agent and the routes below /api/v1/flows. Blocks on the
// records.
// `node` prices tasks, and the runs of `tracking` that were made inside of one.
Result<std::unique_ptr<FlowPart>> make_workflow_part(Core& core, doors::rest::RestDoor& rest,
                                                     const storage::compute::Compute& node,
                                                     platform::tracking::Tracking& tracking);

}  // namespace strata::app
