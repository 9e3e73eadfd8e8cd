#pragma once

#include <functional>
#include <string>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/models/models.hpp"

namespace strata::doors::packages {

// How the API that the routes join shows an error.

// The number in a path. Errors: kInvalidArgument.
Result<std::int64_t> version_of(const http::Authorized& call);

// The manifest of a version's package. `flavors` are those that the server can run itself, the
// preferred first: what serves a package is a fact about the server, not about the package.
std::vector<http::Route> package_routes(platform::models::Models& models,
                                        std::vector<std::string> flavors,
                                        http::ErrorForm error_form);

}  // namespace strata::doors::packages
