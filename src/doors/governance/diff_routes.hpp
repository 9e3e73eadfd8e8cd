#pragma once

#include "doors/governance/audit_routes.hpp"
#include "platform/comparison/comparison.hpp"

namespace strata::doors::governance {

// GET /api/v1/models/diff?a=&b=
std::vector<http::Route> diff_routes(platform::comparison::Comparison& comparison,
                                     http::ErrorForm error_form);

}  // namespace strata::doors::governance
