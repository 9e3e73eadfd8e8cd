#pragma once

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/predictions/predictions.hpp"

namespace strata::app {

// Adds why and impact to `rest`; predictions are found in `log`, everything else in the lineage
// graph.
void add_lineage(Core& core, doors::rest::RestDoor& rest,
                 platform::predictions::PredictionLog& log);

}  // namespace strata::app
