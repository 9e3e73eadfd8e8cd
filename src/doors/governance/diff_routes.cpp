#include "doors/governance/diff_routes.hpp"

#include <fmt/format.h>

namespace strata::doors::governance {

using http::Authorized;
using http::Response;
using platform::comparison::Comparison;

namespace {

Task<Response> diff(const Authorized& call, Comparison& comparison,
                    const http::ErrorForm& error_form) {
  const auto& request = call.request();
  for (const char* name : {"a", "b"}) {
    if (request.query_value(name).value_or("").empty()) {
      const Error error = invalid(
          name, fmt::format("{}: is missing; name a version as NAME@ALIAS or NAME/VERSION", name));
      co_return error_form(error, request);
    }
  }
  const auto answer =
      co_await comparison.diff(call.caller(), std::string(*request.query_value("a")),
                               std::string(*request.query_value("b")));
  if (!answer) co_return error_form(answer.error(), request);
  co_return Response::json(*answer);
}

}  // namespace

std::vector<http::Route> diff_routes(Comparison& comparison, http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  http::Route route(
      http::Method::kGet, "/api/v1/models/diff", kernel::Permission::kModelRead, http::Limits{},
      [&comparison, error_form = std::move(error_form)](const Authorized& call) {
        return diff(call, comparison, error_form);
      },
      http::Doc{"diffModels", "What differs between two versions, of one model or of two", "models",
                "", "",
                "a:string:NAME@ALIAS, NAME/VERSION, or NAME for its newest version;"
                "b:string:what it is compared with"});
  // Without it the path is that of a model with this name.
  routes.push_back(std::move(route).on_query("a"));
  return routes;
}

}  // namespace strata::doors::governance
