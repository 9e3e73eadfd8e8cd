#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/models/models.hpp"
#include "platform/verdicts/verdicts.hpp"

namespace strata::doors::rest {

// The five questions about a model, and who is responsible for it.
std::vector<http::Route> explain_routes(platform::verdicts::Verdicts& verdicts,
                                        platform::models::Models& models);

}  // namespace strata::doors::rest
