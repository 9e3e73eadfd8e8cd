#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.hpp"
#include "doors/http/http.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/identity/identity.hpp"

namespace strata::doors::rest {

// Strata's own HTTP API under /api/v1, with health, metrics and the OpenAPI document beside it.
// Errors are
// {"error": {"code", "message", "field", "request_id"}}.
class RestDoor final : public http::Door {
 public:
  // Takes over route groups that other areas made (lake_routes and so on).
  void add(std::vector<http::Route> routes);
  std::string_view protocol() const override { return "Strata"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  std::vector<http::Route> routes() override { return std::move(routes_); }

 private:
  std::vector<http::Route> routes_;
};

// Whether a client of this API sent the request, by its path and its token.
bool is_for_api(const http::Request& request);

// An Error as it stands in this API's answers.
http::Response error_response(const Error& error, const http::Request& request);
// The answer for a result that has a JSON form; the error form when it failed.
http::Response reply(const Result<Json>& result, const http::Request& request, int status = 200);

// Entries of the audit log as they stand in this API's answers.
Json entries_json(const std::vector<kernel::AuditEntry>& entries);

// Users, tokens, the caller itself and the audit log. Administrators are told that the command line
// finds the server by `--data` and this directory; with an empty one it needs not be told.
std::vector<http::Route> identity_routes(kernel::Identity& identity, kernel::Audit& audit,
                                         std::string data);

// Projects, teams and who is in them.
std::vector<http::Route> tenant_routes(kernel::Identity& identity);

// /healthz, /readyz, /metrics and /api/openapi.json. `ready` says why the server is not ready, or
// nothing; `document` makes the OpenAPI document.
std::vector<http::Route> operation_routes(metrics::Registry& metrics, std::function<Status()> ready,
                                          std::function<Json()> document);

}  // namespace strata::doors::rest
