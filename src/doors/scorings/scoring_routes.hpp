#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/scoring/scoring.hpp"

namespace strata::doors::scorings {

// How the API that the routes join shows an error.

// /api/v1/scorings. A scoring writes a table or object, so it takes lake:write; and model:read and
// sql:query, as it reads a model and a table.
std::vector<http::Route> scoring_routes(platform::scoring::Scorings& scorings,
                                        http::ErrorForm error_form);

}  // namespace strata::doors::scorings
