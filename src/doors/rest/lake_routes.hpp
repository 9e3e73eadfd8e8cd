#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "storage/lake/lake.hpp"

namespace strata::doors::rest {

// The lake for the browser UI and the command line: /api/v1/lake/buckets and what lies below.
// Errors are the REST door's.
std::vector<http::Route> lake_routes(storage::lake::Lake& lake);

}  // namespace strata::doors::rest
