#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/alerts/alerts.hpp"

namespace strata::doors::alerts {

// /api/v1/alerts. To change routes and silences takes what the settings of monitors take,
// endpoint:write.
std::vector<http::Route> alert_routes(platform::alerts::Alerts& alerts, http::ErrorForm form);

}  // namespace strata::doors::alerts
