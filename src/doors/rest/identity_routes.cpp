#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Audit;
using kernel::Identity;
using kernel::Permission;

namespace {

Json user_json(const kernel::User& user) {
  return Json::object({{"id", user.id.str()},
                       {"name", user.name},
                       {"team", user.team},
                       {"role", kernel::role_name(user.role)},
                       {"disabled", user.disabled},
                       {"created", to_rfc3339(user.created)}});
}

Json token_json(const kernel::TokenInfo& token) {
  return Json::object({{"id", token.id.str()},
                       {"user", token.user_name},
                       {"access_key_id", token.access_key_id},
                       {"scope", token.scope},
                       {"project", token.project},
                       {"created", to_rfc3339(token.created)},
                       {"expires", token.expires ? Json(to_rfc3339(*token.expires)) : Json()},
                       {"revoked", token.revoked ? Json(to_rfc3339(*token.revoked)) : Json()}});
}

// None for a task, whose rights are those of its run.
std::optional<kernel::TokenInfo> token_of(const kernel::Caller& caller, const Identity& identity) {
  for (auto& token : identity.tokens_seen_by(caller)) {
    if (token.id == caller.token) return std::move(token);
  }
  return std::nullopt;
}

Task<Response> get_me(const Authorized& call, const Identity& identity, const std::string& data) {
  Json permissions = Json::array();
  for (std::size_t i = 0; i < call.caller().permissions.size(); ++i) {
    if (call.caller().permissions.test(i))
      permissions.push(kernel::permission_name(static_cast<Permission>(i)));
  }
  const auto& caller = call.caller();
  const auto token = token_of(caller, identity);
  const auto end = token ? token->expires : std::nullopt;
  co_return Response::json(Json::object(
      {{"user", caller.user_name},
       {"team", caller.team},
       {"project", caller.project.str()},
       {"scope", token ? Json(token->scope) : Json()},
       {"expires", end ? Json(to_rfc3339(*end)) : Json()},
       {"permissions", permissions},
       {"data", caller.may(Permission::kAdmin) && !data.empty() ? Json(data) : Json()}}));
}

Task<Response> list_users(const Authorized& call, Identity& identity) {
  Json users = Json::array();
  for (const auto& user : identity.users_seen_by(call.caller()))
    users.push(user_json(user));
  co_return Response::json(Json::object({{"users", users}}));
}

Task<Response> create_user(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto role = kernel::parse_role(body->text("role", "member"));
  if (!role) co_return error_response(role.error(), call.request());
  const auto user = co_await identity.create_user(call.caller(), body->text("name"),
                                                  body->text("team", "default"), *role);
  if (!user) co_return error_response(user.error(), call.request());
  co_return Response::json(user_json(*user), 201);
}

Task<Response> set_disabled(const Authorized& call, Identity& identity, bool disabled) {
  const auto user =
      co_await identity.set_user_disabled(call.caller(), call.param("name"), disabled);
  if (!user) co_return error_response(user.error(), call.request());
  co_return Response::json(user_json(*user));
}

Task<Response> list_tokens(const Authorized& call, Identity& identity) {
  Json tokens = Json::array();
  for (const auto& token : identity.tokens_seen_by(call.caller()))
    tokens.push(token_json(token));
  co_return Response::json(Json::object({{"tokens", tokens}}));
}

Task<Response> create_token(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  kernel::TokenRequest request;
  request.user_name = body->text("user", call.caller().user_name);
  request.scope = body->text("scope", "all");
  request.project = body->text("project");
  if (const std::string expires = body->text("expires"); !expires.empty()) {
    const auto lifetime = parse_duration(expires);
    if (!lifetime)
      co_return error_response(invalid("expires", lifetime.error().message), call.request());
    constexpr std::chrono::days kLongest{3650};
    if (*lifetime <= std::chrono::milliseconds::zero() || *lifetime > kLongest) {
      co_return error_response(
          invalid("expires",
                  fmt::format("expires: '{}' must be more than nothing and at most 3650d; leave it "
                              "out for a token without end",
                              printable(expires))),
          call.request());
    }
    request.lifetime = *lifetime;
  }
  const auto issued = co_await identity.create_token(call.caller(), request);
  if (!issued) co_return error_response(issued.error(), call.request());
  Json answer = token_json(issued->info);
  answer.set("token", issued->token);
  answer.set("secret_access_key", issued->secret_access_key);
  co_return Response::json(answer, 201);
}

Task<Response> revoke_token(const Authorized& call, Identity& identity) {
  const auto done = co_await identity.revoke_token(call.caller(), TokenId(call.param("id")));
  if (!done) co_return error_response(done.error(), call.request());
  co_return Response::json(Json::object({{"revoked", call.param("id")}}));
}

Task<Response> list_audit(const Authorized& call, Audit& audit) {
  const auto limit = query_integer(call.request(), "limit", 100, 1, 1000);
  const auto before = query_integer(call.request(), "before", 0, 0, INT64_MAX);
  if (!limit) co_return error_response(limit.error(), call.request());
  if (!before) co_return error_response(before.error(), call.request());
  Audit::Filter filter;
  filter.limit = static_cast<int>(*limit);
  filter.before = *before;
  filter.actor = std::string(call.request().query_value("actor").value_or(""));
  filter.action = std::string(call.request().query_value("action").value_or(""));
  filter.target = std::string(call.request().query_value("target").value_or(""));
  filter.project = std::string(call.request().query_value("project").value_or(""));
  const auto entries = co_await audit.list(filter);
  if (!entries) co_return error_response(entries.error(), call.request());
  co_return Response::json(Json::object({{"entries", entries_json(*entries)}}));
}

constexpr std::string_view kUserSchema =
    R"({"type":"object","required":["name"],"additionalProperties":false,
  "properties":{"name":{"type":"string","minLength":1,"maxLength":64},
  "team":{"type":"string","minLength":1,"maxLength":64},
  "role":{"type":"string","enum":["viewer","member","admin"]}}})";
constexpr std::string_view kTokenSchema = R"({"type":"object","additionalProperties":false,
  "properties":{"user":{"type":"string","minLength":1,"maxLength":64},
  "scope":{"type":"string","minLength":1,"maxLength":1000},
  "project":{"type":"string","minLength":1,"maxLength":64},
  "expires":{"type":"string","minLength":1,"maxLength":40}}})";

}  // namespace

std::vector<Route> identity_routes(Identity& identity, Audit& audit, std::string data) {
  Identity* const people = &identity;
  Audit* const log = &audit;
  return {
      {Method::kGet,
       "/api/v1/me",
       Permission::kSignedIn,
       {},
       [people, data = std::move(data)](const Authorized& call) {
         return get_me(call, *people, data);
       },
       {"getMe", "Who the caller is and what it may do", "identity"}},
      {Method::kGet,
       "/api/v1/users",
       Permission::kSignedIn,
       {},
       [people](const Authorized& call) { return list_users(call, *people); },
       {"listUsers", "Users with a role in the caller's project, an admin's view shows everyone",
        "identity"}},
      {Method::kPost,
       "/api/v1/users",
       Permission::kAdmin,
       {},
       [people](const Authorized& call) { return create_user(call, *people); },
       {"createUser", "Create a user", "identity", kUserSchema}},
      {Method::kPost,
       "/api/v1/users/{name}/disable",
       Permission::kAdmin,
       {},
       [people](const Authorized& call) { return set_disabled(call, *people, true); },
       {"disableUser", "Disable a user: all of its tokens stop working at once", "identity"}},
      {Method::kPost,
       "/api/v1/users/{name}/enable",
       Permission::kAdmin,
       {},
       [people](const Authorized& call) { return set_disabled(call, *people, false); },
       {"enableUser", "Enable a disabled user again", "identity"}},
      {Method::kGet,
       "/api/v1/tokens",
       Permission::kSignedIn,
       {},
       [people](const Authorized& call) { return list_tokens(call, *people); },
       {"listTokens", "The caller's tokens, an admin's view shows everyone's", "identity"}},
      {Method::kPost,
       "/api/v1/tokens",
       Permission::kSignedIn,
       {},
       [people](const Authorized& call) { return create_token(call, *people); },
       {"createToken", "Create a token; its secrets are in this answer only", "identity",
        kTokenSchema}},
      {Method::kDelete,
       "/api/v1/tokens/{id}",
       Permission::kSignedIn,
       {},
       [people](const Authorized& call) { return revoke_token(call, *people); },
       {"revokeToken", "Revoke a token, named by its id or access key id", "identity"}},
      {Method::kGet,
       "/api/v1/audit",
       Permission::kAuditRead,
       {},
       [log](const Authorized& call) { return list_audit(call, *log); },
       {"listAudit", "Who changed what, newest first", "identity", "", "",
        "limit:integer:entries to return;before:integer:only entries with a smaller "
        "sequence;actor:string:user name;"
        "action:string:exact action;target:string:prefix of the target;"
        "project:string:only of this project and those that name none"}},
  };
}

std::vector<Route> operation_routes(metrics::Registry& metrics, std::function<Status()> ready,
                                    std::function<Json()> document) {
  const auto openapi = [document = std::move(document)](const Authorized&) {
    return [](Json body) -> Task<Response> {
      co_return Response::json(body);
    }(document());
  };
  metrics::Registry* const registry = &metrics;
  const auto healthz = [](const Authorized&) -> Task<Response> {
    co_return Response::text(200, "ok\n");
  };
  const auto readyz = [ready = std::move(ready)](const Authorized& call) {
    return [](Status status, const http::Request& request) -> Task<Response> {
      if (!status) co_return error_response(status.error(), request);
      co_return Response::text(200, "ready\n");
    }(ready(), call.request());
  };
  const auto render = [registry](const Authorized&) {
    return [](metrics::Registry& all) -> Task<Response> {
      co_return Response::text(200, all.render(), "text/plain; version=0.0.4; charset=utf-8");
    }(*registry);
  };
  return {{Method::kGet,
           "/healthz",
           Permission::kPublic,
           {},
           healthz,
           {"healthz", "The process answers", "operation"}},
          {Method::kGet,
           "/readyz",
           Permission::kPublic,
           {},
           readyz,
           {"readyz", "Every part is ready for work", "operation"}},
          {Method::kGet,
           "/metrics",
           Permission::kMetricsRead,
           {},
           render,
           {"metrics", "Prometheus text exposition", "operation"}},
          {Method::kGet,
           "/api/openapi.json",
           Permission::kPublic,
           {},
           openapi,
           {"openapi", "This document", "operation"}}};
}

}  // namespace strata::doors::rest
