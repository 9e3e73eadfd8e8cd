#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/features/features.hpp"

namespace strata::doors::features {

// How the API that the routes join shows an error.

// Definitions below /api/v1/features. `features` must outlive the routes.
std::vector<http::Route> definition_routes(platform::features::Features& features,
                                           const http::ErrorForm& error_form);

// Rows into streams and vectors out.
std::vector<http::Route> online_routes(platform::features::Features& features,
                                       const http::ErrorForm& error_form);

}  // namespace strata::doors::features
