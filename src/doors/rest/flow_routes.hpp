#pragma once

#include <functional>
#include <string>
#include <vector>

#include "doors/http/http.hpp"
#include "resources/workflow/workflow.hpp"
#include "storage/compute/compute.hpp"

namespace strata::doors::rest {

// Pipelines, their runs, logs and outputs below /api/v1/flows and /api/v1/flow-runs.
// `node` prices what attempts reserved. Both outlive the routes.
std::vector<http::Route> flow_routes(resources::workflow::Workflows& workflows,
                                     const storage::compute::Compute& node);

// The MLflow run that a step of a pipeline logged: which step it was and what the node's time cost
// while the run lasted. Empty task for a run that none did.
struct RunCost {
  std::string task;  // "<flow run>/<step>"
  Instant from, to;  // `to` is 0 while the run goes on
  storage::compute::Cost cost;
};
using FindRunCost =
    std::function<Task<Result<RunCost>>(const kernel::Caller& caller, std::string run_id)>;
std::vector<http::Route> run_cost_routes(FindRunCost find);

}  // namespace strata::doors::rest
