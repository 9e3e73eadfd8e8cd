#include "doors/governance/audit_routes.hpp"

namespace strata::doors::governance {

using http::Authorized;
using http::Response;
using kernel::Audit;

namespace {

Task<Response> head(const Authorized& call, Audit& audit, const http::ErrorForm& error_form) {
  const auto newest = co_await audit.head();
  if (!newest) co_return error_form(newest.error(), call.request());
  co_return Response::json(Json::object({{"sequence", newest->sequence}, {"hash", newest->hash}}));
}

Task<Response> verify(const Authorized& call, Audit& audit, const http::ErrorForm& error_form) {
  std::optional<kernel::ChainHead> kept;
  if (const auto since = call.request().query_value("since")) {
    auto parsed = kernel::parse_head(*since);
    if (!parsed) co_return error_form(parsed.error(), call.request());
    kept = *std::move(parsed);
  }
  const auto report = co_await audit.verify(std::move(kept));
  if (!report) co_return error_form(report.error(), call.request());
  co_return Response::json(kernel::report_json(*report));
}

}  // namespace

std::vector<http::Route> audit_routes(Audit& audit, http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  routes.emplace_back(
      http::Method::kGet, "/api/v1/audit/head", kernel::Permission::kAuditRead, http::Limits{},
      [&audit, error_form](const Authorized& call) { return head(call, audit, error_form); },
      http::Doc{"getAuditHead", "The newest entry of the audit log and the hash over all of it",
                "identity"});
  routes.emplace_back(
      http::Method::kGet, "/api/v1/audit/verify", kernel::Permission::kAuditRead, http::Limits{},
      [&audit, error_form = std::move(error_form)](const Authorized& call) {
        return verify(call, audit, error_form);
      },
      http::Doc{"verifyAudit", "Whether the audit log is what was written", "identity", "", "",
                "since:string:a head that was kept, SEQUENCE:HASH: the log has only grown since"});
  return routes;
}

}  // namespace strata::doors::governance
