#pragma once

#include <vector>

#include "doors/experiments/statistics_routes.hpp"
#include "platform/experiments/experiments.hpp"

namespace strata::doors::experiments {

// /api/v1/experiments: start, stop, list and report those on rules of flags.
std::vector<http::Route> experiment_routes(platform::experiments::Experiments& experiments,
                                           http::ErrorForm error_form);

}  // namespace strata::doors::experiments
