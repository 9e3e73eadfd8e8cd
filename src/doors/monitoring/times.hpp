#pragma once

#include <optional>
#include <string_view>

#include "doors/http/http.hpp"

namespace strata::doors::monitoring {

// A time of the query string, if it is there. Errors: kInvalidArgument naming it.
Result<std::optional<Instant>> time_of(const http::Authorized& call, std::string_view name);

}  // namespace strata::doors::monitoring
