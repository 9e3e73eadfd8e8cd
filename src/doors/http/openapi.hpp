#pragma once

#include "base/json.hpp"
#include "doors/http/router.hpp"

namespace strata::http {

// The OpenAPI 3.1 document of every route of a port, made from the same rows that the
// router matches, so that it cannot name what is not offered. `types` are the named schemas that
// the rows refer to.
Json openapi_document(const Router& router, Json types);

}  // namespace strata::http
