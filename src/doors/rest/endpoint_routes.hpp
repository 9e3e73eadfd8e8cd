#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/deployment/deployment.hpp"
#include "runtime/pool.hpp"

namespace strata::doors::rest {

// Endpoints and the prediction log.
std::vector<http::Route> endpoint_routes(platform::deployment::Endpoints& endpoints,
                                         BlockingPool& pool);

}  // namespace strata::doors::rest
