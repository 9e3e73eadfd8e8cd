#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"

namespace strata::doors::experiments {

// How the API that the routes join shows an error.

// POST /api/v1/experiments/analyze: a plan and sufficient statistics in, a decision out.
// POST /api/v1/experiments/plan: units, power or effect of one to come. They keep nothing, so they
// take no permission but to be signed in.
std::vector<http::Route> statistics_routes(http::ErrorForm error_form);

}  // namespace strata::doors::experiments
