#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/release/release.hpp"

namespace strata::doors::releases {

// How the API that the routes join shows an error.

// /api/v1/releases. A release changes what an endpoint answers, so it takes endpoint:write, and to
// start one model:write as well, since it ends with a move of the alias.
std::vector<http::Route> release_routes(platform::release::Releases& releases,
                                        http::ErrorForm error_form);

}  // namespace strata::doors::releases
