#include "doors/alerts/alert_routes.hpp"

namespace strata::doors::alerts {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::alerts::Alerts;

namespace {

constexpr std::int64_t kMostListed = 1000;
constexpr std::string_view kRouteSchema = R"({
  "type": "object", "required": ["name", "kind", "url"], "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "kind": {"type": "string", "enum": ["webhook", "alertmanager"]},
    "url": {"type": "string", "maxLength": 2000,
      "description": "http or https; of an Alertmanager the address before /api/v2"},
    "matchers": {"type": "array", "maxItems": 20, "items": {"type": "string"},
      "description": "label=value or label!=value, all must hold; default: every alarm"},
    "send_resolved": {"type": "boolean", "description": "tell the end too; default true"},
    "wait": {"type": "string",
      "description": "alarms of one subject within it go in one request; default 2s"},
    "repeat": {"type": "string",
      "description": "an open alarm is sent again after it; default 4h, alertmanager 1m"},
    "bearer": {"type": "string", "description": "token of the receiver; never shown again"},
    "header": {"type": "string", "description": "Name: value, instead of bearer"}
  }})";
constexpr std::string_view kSilenceSchema = R"({
  "type": "object", "required": ["matchers", "reason"], "additionalProperties": false,
  "properties": {
    "matchers": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"type": "string"}},
    "from": {"type": "string", "description": "RFC 3339; default now"},
    "until": {"type": "string", "description": "RFC 3339; or for"},
    "for": {"type": "string", "description": "a duration such as 2h"},
    "reason": {"type": "string", "minLength": 1, "maxLength": 2000}
  }})";

Response shown(const Result<Json>& answer, const Authorized& call, const http::ErrorForm& form,
               int status = 200) {
  return answer ? Response::json(*answer, status) : form(answer.error(), call.request());
}

Response done(const Status& status, const Authorized& call, const http::ErrorForm& form) {
  return status ? Response::json(Json::object()) : form(status.error(), call.request());
}

Task<Response> list_alerts(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto& request = call.request();
  const auto limit = query_integer(request, "limit", 200, 1, kMostListed);
  if (!limit) co_return form(limit.error(), request);
  const auto open = request.query_value("open").value_or("false");
  if (open != "true" && open != "false")
    co_return form(invalid("open", "open: true or false is needed"), request);
  const auto answer = co_await alerts.alarms(call.caller(), open == "true", *limit);
  co_return shown(answer, call, form);
}

Task<Response> list_deliveries(const Authorized& call, Alerts& alerts,
                               const http::ErrorForm& form) {
  const auto& request = call.request();
  const auto limit = query_integer(request, "limit", 200, 1, kMostListed);
  if (!limit) co_return form(limit.error(), request);
  const std::string state(request.query_value("state").value_or(""));
  const auto answer = co_await alerts.deliveries(call.caller(), state, *limit);
  co_return shown(answer, call, form);
}

Task<Response> list_routes(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto answer = co_await alerts.routes(call.caller());
  co_return shown(answer, call, form);
}

Task<Response> add_route(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto body = co_await call.read_json();
  if (!body) co_return form(body.error(), call.request());
  const auto answer = co_await alerts.add_route(call.caller(), *body);
  co_return shown(answer, call, form, 201);
}

Task<Response> remove_route(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto status = co_await alerts.remove_route(call.caller(), call.param("name"));
  co_return done(status, call, form);
}

Task<Response> test_route(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto answer = co_await alerts.test_route(call.caller(), call.param("name"));
  co_return shown(answer, call, form);
}

Task<Response> list_silences(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto answer = co_await alerts.silences(call.caller());
  co_return shown(answer, call, form);
}

Task<Response> add_silence(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto body = co_await call.read_json();
  if (!body) co_return form(body.error(), call.request());
  const auto answer = co_await alerts.add_silence(call.caller(), *body);
  co_return shown(answer, call, form, 201);
}

Task<Response> remove_silence(const Authorized& call, Alerts& alerts, const http::ErrorForm& form) {
  const auto status = co_await alerts.remove_silence(call.caller(), call.param("id"));
  co_return done(status, call, form);
}

}  // namespace

std::vector<http::Route> alert_routes(Alerts& alerts, http::ErrorForm form) {
  std::vector<http::Route> routes;
  const auto add = [&](Method method, std::string_view path, Permission permission, auto operation,
                       Doc doc) {
    routes.emplace_back(
        method, std::string(path), permission, Limits{},
        [&alerts, form, operation](const Authorized& call) {
          return operation(call, alerts, form);
        },
        doc);
  };
  constexpr Permission kRead = Permission::kEndpointRead, kWrite = Permission::kEndpointWrite;
  add(Method::kGet, "/api/v1/alerts", kRead, &list_alerts,
      Doc{"listAlerts", "Alarms: the open ones, then those that ended, newest first", "alerts", "",
          "", "open:boolean:the open ones only;limit:integer:at most so many"});
  add(Method::kGet, "/api/v1/alerts/deliveries", kRead, &list_deliveries,
      Doc{"listAlertDeliveries", "What was, is and could not be sent, newest first", "alerts", "",
          "", "state:string:pending, sent, failed or silenced;limit:integer:at most so many"});
  add(Method::kGet, "/api/v1/alerts/routes", kRead, &list_routes,
      Doc{"listAlertRoutes", "Who is told of alarms", "alerts", "", "", ""});
  add(Method::kPost, "/api/v1/alerts/routes", kWrite, &add_route,
      Doc{"addAlertRoute", "Tell a receiver of alarms", "alerts", kRouteSchema, "", ""});
  add(Method::kDelete, "/api/v1/alerts/routes/{name}", kWrite, &remove_route,
      Doc{"removeAlertRoute", "Tell it no more; what waits is dropped", "alerts", "", "", ""});
  add(Method::kPost, "/api/v1/alerts/routes/{name}/test", kWrite, &test_route,
      Doc{"testAlertRoute", "Send a test alarm now", "alerts", "", "", ""});
  add(Method::kGet, "/api/v1/alerts/silences", kRead, &list_silences,
      Doc{"listAlertSilences", "Silences that are not over", "alerts", "", "", ""});
  add(Method::kPost, "/api/v1/alerts/silences", kWrite, &add_silence,
      Doc{"addAlertSilence", "Send nothing of some alarms for a time", "alerts", kSilenceSchema, "",
          ""});
  add(Method::kDelete, "/api/v1/alerts/silences/{id}", kWrite, &remove_silence,
      Doc{"removeAlertSilence", "End a silence", "alerts", "", "", ""});
  return routes;
}

}  // namespace strata::doors::alerts
