#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "kernel/audit/audit.hpp"

namespace strata::doors::governance {

// How the API that the routes join shows an error.

// GET /api/v1/audit/head and /api/v1/audit/verify, for who may read the audit log.
std::vector<http::Route> audit_routes(kernel::Audit& audit, http::ErrorForm error_form);

}  // namespace strata::doors::governance
