#pragma once

#include <vector>

#include "doors/packages/package_routes.hpp"
#include "platform/signing/signing.hpp"

namespace strata::doors::packages {

// Signatures of versions, and the keys that a project trusts.
std::vector<http::Route> signing_routes(platform::signing::Signatures& signatures,
                                        http::ErrorForm error_form);

}  // namespace strata::doors::packages
