#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "storage/compute/compute.hpp"

namespace strata::doors::rest {

// /api/v1/nodes: inventory, measured speed and price.
std::vector<http::Route> node_routes(storage::compute::Compute& compute);

}  // namespace strata::doors::rest
