#include "doors/rest/explain_routes.hpp"

#include "base/bytes.hpp"
#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::deployment::Deployment;
using platform::models::Models;
using platform::verdicts::Verdicts;

namespace {

Json deployment_json(const Deployment& deployment) {
  return Json::object(
      {{"endpoint", deployment.endpoint},
       {"deployment", deployment.number},
       {"version", deployment.version},
       {"digest", deployment.digest},
       {"package_digest", deployment.package_digest},
       {"since", to_rfc3339(deployment.since)},
       {"moved_by", deployment.moved_by.empty() ? Json() : Json(deployment.moved_by)}});
}

Task<Response> explain(const Authorized& call, Verdicts& verdicts) {
  std::optional<Instant> at;
  if (const auto text = call.request().query_value("at")) {
    auto time = parse_rfc3339(*text);
    if (!time) {
      co_return error_response(
          invalid("at", fmt::format("at: '{}' is no time; write it as 2026-11-17T10:32:00Z",
                                    printable(*text))),
          call.request());
    }
    at = *time;
  }
  auto found = co_await verdicts.explain(
      call.caller(), call.param("name"),
      std::string(call.request().query_value("subject").value_or("")), at);
  if (!found) co_return error_response(found.error(), call.request());
  Json answer = std::move(found->report);
  answer.set("at", at ? Json(to_rfc3339(*at)) : Json());
  answer.set("since", found->since ? Json(to_rfc3339(*found->since)) : Json());
  Json answered = Json::array();
  for (const auto& deployment : found->answered)
    answered.push(deployment_json(deployment));
  answer.set("answered", std::move(answered));
  co_return Response::json(answer);
}

Task<Response> set_owner(const Authorized& call, Models& models) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto model = co_await models.set_owner(call.caller(), call.param("name"),
                                               body->text("user"), body->text("team"));
  if (!model) co_return error_response(model.error(), call.request());
  co_return Response::json(
      Json::object({{"name", model->name}, {"owner", model->owner}, {"team", model->team}}));
}

constexpr std::string_view kOwnerSchema =
    R"json({"type":"object","required":["user"],"additionalProperties":false,
  "properties":{"user":{"type":"string","minLength":1},"team":{"type":"string"}}})json";

}  // namespace

std::vector<Route> explain_routes(Verdicts& verdicts, Models& models) {
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kGet, "/api/v1/models/{name}/explain", Permission::kModelRead, http::Limits{},
      [&](const Authorized& call) { return explain(call, verdicts); },
      http::Doc{"explainModel", "The five questions about a model: a verdict each, with evidence",
                "models", "", "",
                "subject:string:@ALIAS or the number of a version, else what an endpoint answers "
                "with;at:string:as it was at that time (RFC 3339)"});
  routes.emplace_back(
      Method::kPut, "/api/v1/models/{name}/owner", Permission::kModelWrite, http::Limits{},
      [&](const Authorized& call) { return set_owner(call, models); },
      http::Doc{"setModelOwner", "Make another person responsible for a model", "models",
                kOwnerSchema, "", ""});
  return routes;
}

}  // namespace strata::doors::rest
