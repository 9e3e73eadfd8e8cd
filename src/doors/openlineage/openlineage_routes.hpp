#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/external/external.hpp"

namespace strata::doors::openlineage {

// How the API that the routes join shows an error.

// POST /api/v1/lineage takes one event of OpenLineage, /api/v1/lineage/batch a list; GET
// /api/v1/lineage/jobs, /runs and /datasets tell what is known of jobs that run elsewhere.
// Spec: https://openlineage.io/spec/2-0-2/OpenLineage.yml.
std::vector<http::Route> openlineage_routes(platform::external::ExternalLineage& external,
                                            http::ErrorForm error_form);

}  // namespace strata::doors::openlineage
