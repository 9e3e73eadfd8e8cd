#include "doors/monitoring/monitoring_routes.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/monitoring/times.hpp"

namespace strata::doors::monitoring {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::monitoring::Monitoring;
using platform::monitoring::Span;

Result<std::optional<Instant>> time_of(const Authorized& call, std::string_view name) {
  const auto text = call.request().query_value(name);
  if (!text) return std::optional<Instant>();
  const auto time = parse_rfc3339(*text);
  if (time) return std::optional(*time);
  return invalid(
      std::string(name),
      fmt::format("{}: '{}' is no time; write it as 2026-11-17T10:32:00Z", name, printable(*text)));
}

namespace {

// A body of two samples: some millions of numbers.
constexpr std::uint64_t kCompareBytes = 64U << 20U;

Result<Span> span_of(const Authorized& call) {
  Span span;
  auto since = time_of(call, "since");
  if (!since) return std::move(since).error();
  auto until = time_of(call, "until");
  if (!until) return std::move(until).error();
  span.since = *since;
  span.until = *until;
  span.version = call.request().query_value("version").value_or("");
  return span;
}

Response shown(const Result<Json>& answer, const Authorized& call, const http::ErrorForm& form) {
  return answer ? Response::json(*answer) : form(answer.error(), call.request());
}

Task<Response> list(const Authorized& call, Monitoring& monitoring, const http::ErrorForm& form) {
  const auto answer = co_await monitoring.list(call.caller());
  co_return shown(answer, call, form);
}

Task<Response> report(const Authorized& call, Monitoring& monitoring, const http::ErrorForm& form) {
  const auto span = span_of(call);
  if (!span) co_return form(span.error(), call.request());
  const auto answer = co_await monitoring.report(call.caller(), call.param("name"), *span);
  co_return shown(answer, call, form);
}

Task<Response> series(const Authorized& call, Monitoring& monitoring, const http::ErrorForm& form) {
  const auto span = span_of(call);
  if (!span) co_return form(span.error(), call.request());
  const auto feature = call.request().query_value("feature");
  if (!feature) {
    co_return form(invalid("feature", "feature: say which one, for example inputs.area"),
                   call.request());
  }
  const auto answer =
      co_await monitoring.series(call.caller(), call.param("name"), std::string(*feature), *span);
  co_return shown(answer, call, form);
}

Task<Response> change(const Authorized& call, Monitoring& monitoring, const http::ErrorForm& form) {
  const auto body = co_await call.read_json();
  if (!body) co_return form(body.error(), call.request());
  const auto answer = co_await monitoring.change(call.caller(), call.param("name"), *body);
  co_return shown(answer, call, form);
}

Task<Response> compare(const Authorized& call, const http::ErrorForm& form) {
  const auto body = co_await call.read_json();
  if (!body) co_return form(body.error(), call.request());
  const auto answer = platform::monitoring::compare(*body);
  co_return shown(answer, call, form);
}

constexpr std::string_view kSpan =
    "since:string:from that time on (RFC 3339), else the window of the settings;"
    "until:string:up to that time, else until now;version:string:of the model, else the one that "
    "answered most";

}  // namespace

std::vector<Route> monitoring_routes(Monitoring& monitoring, http::ErrorForm form) {
  std::vector<Route> routes;
  const auto with = [&monitoring, form](auto operation) {
    return [&monitoring, form, operation](const Authorized& call) {
      return operation(call, monitoring, form);
    };
  };
  routes.emplace_back(Method::kGet, "/api/v1/monitors", Permission::kEndpointRead, http::Limits{},
                      with(&list),
                      http::Doc{"listMonitors", "All monitored endpoints, with open alarms",
                                "monitoring", "", "", ""});
  routes.emplace_back(
      Method::kGet, "/api/v1/monitors/{name}", Permission::kEndpointRead, http::Limits{},
      with(&report),
      http::Doc{"getMonitor", "How far inputs and outputs of an endpoint are from its reference",
                "monitoring", "", "", kSpan});
  routes.emplace_back(
      Method::kGet, "/api/v1/monitors/{name}/series", Permission::kEndpointRead, http::Limits{},
      with(&series),
      http::Doc{"getMonitorSeries", "One feature over time", "monitoring", "", "",
                "feature:string:inputs.NAME or outputs.NAME;since:string:from that time on;"
                "until:string:up to that time;version:string:of the model, else the one that "
                "answered most"});
  routes.emplace_back(Method::kPatch, "/api/v1/monitors/{name}", Permission::kEndpointWrite,
                      http::Limits{}, with(&change),
                      http::Doc{"changeMonitor",
                                "Set reference, window and limits; a reference counts the log anew",
                                "monitoring", platform::monitoring::settings_schema(), "", ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/monitors/compare", Permission::kSignedIn,
      http::Limits{.body = kCompareBytes},
      [form](const Authorized& call) { return compare(call, form); },
      http::Doc{"compareColumns", "Measures of drift between two sets of columns", "monitoring",
                platform::monitoring::compare_schema(), "", ""});
  return routes;
}

}  // namespace strata::doors::monitoring
