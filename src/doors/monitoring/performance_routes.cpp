#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/monitoring/monitoring_routes.hpp"
#include "doors/monitoring/times.hpp"

namespace strata::doors::monitoring {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::labels::Labels;
using platform::monitoring::Performance;
using platform::monitoring::PerformanceQuery;

namespace {

constexpr std::uint64_t kLabelBytes = 16U << 20U;

Result<PerformanceQuery> query_of(const Authorized& call) {
  PerformanceQuery query;
  const auto& request = call.request();
  auto since = time_of(call, "since");
  if (!since) return std::move(since).error();
  auto until = time_of(call, "until");
  if (!until) return std::move(until).error();
  query.since = *since;
  query.until = *until;
  query.version = request.query_value("version").value_or("");
  query.output = request.query_value("output").value_or("");
  query.label = request.query_value("label").value_or("label");
  query.kind = request.query_value("kind").value_or("");
  if (const auto text = request.query_value("threshold")) {
    const auto number = to_double(*text);
    if (!number) {
      return invalid("threshold", fmt::format("threshold: '{}' is no number; give one from 0 to 1",
                                              printable(*text, 40)));
    }
    query.threshold = *number;
  }
  return query;
}

Task<Response> push(const Authorized& call, Labels& labels, const http::ErrorForm& form) {
  auto body = co_await call.read_unpacked_body();
  if (!body) co_return form(body.error(), call.request());
  std::string type(call.request().headers.get("Content-Type"));
  const auto answer =
      co_await labels.push(call.caller(), call.param("name"), *std::move(body), std::move(type));
  if (!answer) co_return form(answer.error(), call.request());
  co_return Response::json(*answer);
}

Task<Response> report(const Authorized& call, Performance& performance,
                      const http::ErrorForm& form) {
  auto query = query_of(call);
  if (!query) co_return form(query.error(), call.request());
  const auto answer =
      co_await performance.report(call.caller(), call.param("name"), *std::move(query));
  if (!answer) co_return form(answer.error(), call.request());
  co_return Response::json(*answer);
}

}  // namespace

std::vector<Route> performance_routes(Labels& labels, Performance& performance,
                                      http::ErrorForm form) {
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kPost, "/api/v1/endpoints/{name}/labels", Permission::kEndpointWrite,
      http::Limits{.body = kLabelBytes},
      [&labels, form](const Authorized& call) { return push(call, labels, form); },
      http::Doc{"pushLabels",
                "Tell what turned out to be true of predictions; also as application/x-ndjson and "
                "text/csv",
                "monitoring", platform::labels::labels_schema(), "", ""});
  routes.emplace_back(
      Method::kGet, "/api/v1/monitors/{name}/performance", Permission::kEndpointRead,
      http::Limits{},
      [&performance, form](const Authorized& call) { return report(call, performance, form); },
      http::Doc{"getPerformance", "How good answers were, by their labels", "monitoring", "", "",
                "since:string:answered from that time on (RFC 3339), else seven days ago;"
                "until:string:answered before that time, else now;version:string:of the model, "
                "else the one that answered most;output:string:which one, for example "
                "outputs.score, where there are several;label:string:name of the labels, else "
                "label;kind:string:regression, binary or classes, else by the labels;"
                "threshold:number:from which score on the answer is 1, else 0.5"});
  return routes;
}

}  // namespace strata::doors::monitoring
