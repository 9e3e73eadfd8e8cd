#include "doors/experiments/statistics_routes.hpp"

#include "platform/statistics/statistics.hpp"

namespace strata::doors::experiments {

using http::Authorized;
using http::Response;

namespace {

Task<Response> analyze(const Authorized& call, const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  const auto report = platform::statistics::analyze(*body);
  if (!report) co_return error_form(report.error(), call.request());
  co_return Response::json(*report);
}

Task<Response> plan(const Authorized& call, const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  const auto answer = platform::statistics::plan_power(*body);
  if (!answer) co_return error_form(answer.error(), call.request());
  co_return Response::json(*answer);
}

}  // namespace

std::vector<http::Route> statistics_routes(http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  routes.emplace_back(
      http::Method::kPost, "/api/v1/experiments/analyze", kernel::Permission::kSignedIn,
      http::Limits{}, [error_form](const Authorized& call) { return analyze(call, error_form); },
      http::Doc{"analyzeExperiment", "Decide an experiment from statistics of each arm",
                "experiments", platform::statistics::analysis_schema(), "", ""});
  routes.emplace_back(
      http::Method::kPost, "/api/v1/experiments/plan", kernel::Permission::kSignedIn,
      http::Limits{},
      [error_form = std::move(error_form)](const Authorized& call) {
        return plan(call, error_form);
      },
      http::Doc{"planExperiment", "Units, power or effect of an experiment to come", "experiments",
                platform::statistics::power_schema(), "", ""});
  return routes;
}

}  // namespace strata::doors::experiments
