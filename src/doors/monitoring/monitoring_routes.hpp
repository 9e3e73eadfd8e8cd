#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/labels/labels.hpp"
#include "platform/monitoring/monitoring.hpp"
#include "platform/monitoring/performance.hpp"

namespace strata::doors::monitoring {

// How the API that the routes join shows an error.

// /api/v1/monitors: what endpoints are asked and answer, against a reference.
// POST /api/v1/monitors/compare: two sets of columns; keeps nothing.
std::vector<http::Route> monitoring_routes(platform::monitoring::Monitoring& monitoring,
                                           http::ErrorForm error_form);

// POST /api/v1/endpoints/{name}/labels: what turned out to be true of predictions.
// GET /api/v1/monitors/{name}/performance: how good they were.
std::vector<http::Route> performance_routes(platform::labels::Labels& labels,
                                            platform::monitoring::Performance& performance,
                                            http::ErrorForm error_form);

}  // namespace strata::doors::monitoring
