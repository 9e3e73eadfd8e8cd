#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::doors::rest {

// Pipelines, their runs, logs and outputs below /api/v1/flows and /api/v1/flow-runs.
std::vector<http::Route> flow_routes(resources::workflow::Workflows& workflows);

}  // namespace strata::doors::rest
