#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/monitoring/monitoring.hpp"

namespace strata::doors::monitoring {

// How the API that the routes join shows an error.
using ErrorForm = std::function<http::Response(const Error&, const http::Request&)>;

// /api/v1/monitors: what endpoints are asked and answer, against a reference.
// POST /api/v1/monitors/compare: two sets of columns; keeps nothing.
std::vector<http::Route> monitoring_routes(platform::monitoring::Monitoring& monitoring,
                                           ErrorForm error_form);

}  // namespace strata::doors::monitoring
