#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::platform::deployment {
class Endpoints;
}
namespace strata::platform::predictions {
class PredictionLog;
}

namespace strata::app {

class WarehousePart;

// Monitoring of what endpoints are asked and answer, and labels, with their routes; SQL reads
// strata.labels. Before the warehouse starts.
Result<std::unique_ptr<Part>> make_monitoring_part(Core& core, doors::rest::RestDoor& rest,
                                                   platform::predictions::PredictionLog& log,
                                                   platform::deployment::Endpoints& endpoints,
                                                   WarehousePart& warehouse);

}  // namespace strata::app
