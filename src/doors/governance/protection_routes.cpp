#include "doors/governance/protection_routes.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::doors::governance {

using http::Authorized;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::models::AliasRequest;
using platform::models::Models;
using platform::models::Protection;

namespace {

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json protection_json(const Protection& protection) {
  Json approvers = Json::array();
  for (const auto& one : protection.approvers)
    approvers.push(Json(one));
  return Json::object({{"alias", protection.alias},
                       {"approvers", std::move(approvers)},
                       {"questions", protection.questions},
                       {"protected_by", protection.by},
                       {"time", to_rfc3339(protection.time)}});
}

Json request_json(const AliasRequest& request) {
  return Json::object({{"id", request.id},
                       {"model", request.model},
                       {"alias", request.alias},
                       {"action", request.action},
                       {"from", request.from ? Json(*request.from) : Json()},
                       {"to", request.to ? Json(*request.to) : Json()},
                       {"digest", request.digest},
                       {"requested_by", request.requester},
                       {"time", to_rfc3339(request.time)},
                       {"expires", to_rfc3339(request.expires)},
                       {"state", request.state},
                       {"decided_by", text_or_null(request.decided_by)},
                       {"decided", request.decided ? Json(to_rfc3339(*request.decided)) : Json()},
                       {"reason", text_or_null(request.reason)},
                       {"override", request.override_of},
                       {"settings", request.settings}});
}

Task<Response> protect(const Authorized& call, Models& models, const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  platform::models::ProtectionDraft draft;
  draft.questions = body->boolean("questions");
  if (const Json* approvers = body->find("approvers")) {
    for (const auto& one : approvers->as_array())
      draft.approvers.push_back(one.as_string());
  }
  const auto made = co_await models.protect_alias(call.caller(), call.param("name"),
                                                  call.param("alias"), std::move(draft));
  if (!made) co_return error_form(made.error(), call.request());
  co_return Response::json(protection_json(*made));
}

Task<Response> unprotect(const Authorized& call, Models& models,
                         const http::ErrorForm& error_form) {
  const auto done =
      co_await models.unprotect_alias(call.caller(), call.param("name"), call.param("alias"));
  if (!done) co_return error_form(done.error(), call.request());
  co_return Response::json(Json::object());
}

Task<Response> list_protections(const Authorized& call, Models& models,
                                const http::ErrorForm& error_form) {
  const auto all = co_await models.protections(call.caller(), call.param("name"));
  if (!all) co_return error_form(all.error(), call.request());
  Json list = Json::array();
  for (const auto& one : *all)
    list.push(protection_json(one));
  co_return Response::json(Json::object({{"protections", std::move(list)}}));
}

Task<Response> list_requests(const Authorized& call, Models& models,
                             const http::ErrorForm& error_form) {
  const auto& request = call.request();
  platform::models::RequestFilter filter;
  filter.model = std::string(request.query_value("model").value_or(""));
  const std::string state(request.query_value("state").value_or("all"));
  if (state != "all" && state != "waiting") {
    co_return error_form(invalid("state", "state: write waiting, or all"), request);
  }
  filter.waiting = state == "waiting";
  const auto limit = query_integer(request, "limit", 100, 1, 500);
  if (!limit) co_return error_form(limit.error(), request);
  const auto before = query_integer(request, "before", 0, 0, INT64_MAX);
  if (!before) co_return error_form(before.error(), request);
  filter.limit = *limit;
  filter.before = *before;
  const auto found = co_await models.alias_requests(call.caller(), std::move(filter));
  if (!found) co_return error_form(found.error(), request);
  Json list = Json::array();
  for (const auto& one : *found)
    list.push(request_json(one));
  co_return Response::json(Json::object({{"requests", std::move(list)}}));
}

Task<Response> decide(const Authorized& call, Models& models, const http::ErrorForm& error_form,
                      bool approve) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  const auto id = to_int(call.param("id"));
  if (!id) co_return error_form(invalid("id", "id: not an integer"), call.request());
  const std::string reason = body->text("reason");
  const auto decided = approve ? co_await models.approve(call.caller(), *id, reason)
                               : co_await models.refuse(call.caller(), *id, reason);
  if (!decided) co_return error_form(decided.error(), call.request());
  co_return Response::json(request_json(*decided));
}

constexpr std::string_view kProtectionSchema =
    R"json({"type":"object","additionalProperties":false,"properties":{
  "approvers":{"type":"array","maxItems":50,"items":{"type":"string","minLength":1}},
  "questions":{"type":"boolean"}}})json";
constexpr std::string_view kDecisionSchema =
    R"json({"type":"object","additionalProperties":false,
  "properties":{"reason":{"type":"string","maxLength":2000}}})json";

}  // namespace

std::vector<http::Route> protection_routes(Models& models, http::ErrorForm form) {
  std::vector<http::Route> routes;
  const auto add = [&](Method method, const char* path, Permission needs, auto handler,
                       http::Doc doc) {
    routes.emplace_back(
        method, path, needs, http::Limits{},
        [&models, form, handler](const Authorized& call) { return handler(call, models, form); },
        doc);
  };
  add(Method::kPut, "/api/v1/models/{name}/aliases/{alias}/protection", Permission::kModelWrite,
      &protect,
      http::Doc{"protectModelAlias", "Let an alias move only when a second person approves",
                "models", kProtectionSchema, "", ""});
  add(Method::kDelete, "/api/v1/models/{name}/aliases/{alias}/protection", Permission::kModelWrite,
      &unprotect,
      http::Doc{"unprotectModelAlias", "Ask to end an alias's protection", "models", "", "", ""});
  add(Method::kGet, "/api/v1/models/{name}/protections", Permission::kModelRead, &list_protections,
      http::Doc{"listProtections", "The protected aliases of a model", "models", "", "", ""});
  add(Method::kGet, "/api/v1/alias-requests", Permission::kModelRead, &list_requests,
      http::Doc{"listAliasRequests", "What was asked of protected aliases, newest first", "models",
                "", "",
                "model:string:only of this model;state:string:waiting, or all;"
                "before:integer:only smaller ids;limit:integer:at most so many, 1 to 500"});
  add(
      Method::kPost, "/api/v1/alias-requests/{id}/approve", Permission::kModelWrite,
      [](const Authorized& call, Models& m, const http::ErrorForm& f) {
        return decide(call, m, f, true);
      },
      http::Doc{"approveAliasRequest", "Approve what another person asked of a protected alias",
                "models", kDecisionSchema, "", ""});
  add(
      Method::kPost, "/api/v1/alias-requests/{id}/refuse", Permission::kModelWrite,
      [](const Authorized& call, Models& m, const http::ErrorForm& f) {
        return decide(call, m, f, false);
      },
      http::Doc{"refuseAliasRequest", "Refuse it, or take one's own request back", "models",
                kDecisionSchema, "", ""});
  return routes;
}

}  // namespace strata::doors::governance
