#pragma once

#include "doors/governance/audit_routes.hpp"
#include "platform/models/models.hpp"

namespace strata::doors::governance {

// Aliases that move only with a second person: /api/v1/models/{name}/protections,
// /api/v1/models/{name}/aliases/{alias}/protection and /api/v1/alias-requests.
std::vector<http::Route> protection_routes(platform::models::Models& models,
                                           http::ErrorForm error_form);

}  // namespace strata::doors::governance
