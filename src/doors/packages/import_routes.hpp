#pragma once

#include <vector>

#include "doors/packages/package_routes.hpp"

namespace strata::doors::packages {

// Files of a version, checked as they are sent, and versions made of files that come from
// elsewhere.
std::vector<http::Route> import_routes(platform::models::Models& models,
                                       http::ErrorForm error_form);

}  // namespace strata::doors::packages
