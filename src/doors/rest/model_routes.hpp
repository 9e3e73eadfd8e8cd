#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::doors::rest {

// The model store as the UI and the command line see it: models with owners, digests, metrics and
// the history of aliases.
std::vector<http::Route> model_routes(platform::models::Models& models,
                                      platform::tracking::Tracking& tracking);

}  // namespace strata::doors::rest
