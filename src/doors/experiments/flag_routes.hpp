#pragma once

#include <vector>

#include "doors/experiments/statistics_routes.hpp"
#include "platform/experiments/experiments.hpp"

namespace strata::doors::experiments {

// /api/v1/flags, /api/v1/flag-groups, /api/v1/flag-holdouts and /api/v1/flag-keys.
std::vector<http::Route> flag_routes(platform::experiments::Flags& flags,
                                     http::ErrorForm error_form);

}  // namespace strata::doors::experiments
