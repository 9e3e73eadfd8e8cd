#include "doors/experiments/flag_routes.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::doors::experiments {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::experiments::Change;
using platform::experiments::ClientKey;
using platform::experiments::Flags;
using platform::experiments::Kind;
using platform::experiments::Version;

namespace {

constexpr std::size_t kPage = 100;
constexpr int kVersions = 50;

constexpr std::string_view kSetSchema = R"({
  "type": "object", "required": ["definition", "reason"], "additionalProperties": false,
  "properties": {
    "definition": {"type": "object"},
    "reason": {"type": "string", "minLength": 1, "maxLength": 500},
    "version": {"type": "integer", "minimum": 0,
                "description": "the version that the change is of; 0 when there must be none"}
  }})";
constexpr std::string_view kStateSchema = R"({
  "type": "object", "required": ["state", "reason"], "additionalProperties": false,
  "properties": {
    "state": {"type": "string", "enum": ["on", "off", "killed"]},
    "reason": {"type": "string", "minLength": 1, "maxLength": 500},
    "version": {"type": "integer", "minimum": 0}
  }})";
constexpr std::string_view kEvaluateSchema = R"({
  "type": "object", "required": ["attributes"], "additionalProperties": false,
  "properties": {"attributes": {"type": "object"}}})";
constexpr std::string_view kKeySchema = R"({
  "type": "object", "required": ["name"], "additionalProperties": false,
  "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 100},
    "remote": {"type": "boolean",
               "description": "SDKs may only ask the server to evaluate, and never see rules"}}})";
constexpr std::string_view kAfterQuery = "page_token:string:where the page before ended";
constexpr std::string_view kRemoveQuery = "reason:string:why, kept with the version";
constexpr std::string_view kHistoryQuery = "before:integer:only versions below this one";

Json version_json(const Version& version) {
  Json out = Json::object({{"name", version.name}, {"version", version.number}});
  if (version.kind == Kind::kFlag) {
    const Json& rules = version.definition["rules"];
    out.set("state", platform::experiments::state_name(version.state));
    out.set("description", version.definition.text("description"));
    out.set("default", version.definition["default"]);
    out.set("rules", rules.is_array() ? rules : Json::array());
  } else {
    out.set("definition", version.definition);
  }
  out.set("digest", version.digest);
  out.set("by", version.actor);
  out.set("reason", version.reason);
  out.set("updated", to_rfc3339(version.time));
  if (version.deleted) out.set("deleted", true);
  return out;
}

Json key_json(const ClientKey& key) {
  return Json::object({{"id", key.id},
                       {"key", key.key},
                       {"name", key.name},
                       {"remote", key.remote},
                       {"by", key.created_by},
                       {"created", to_rfc3339(key.created)},
                       {"revoked", key.revoked ? Json(to_rfc3339(*key.revoked)) : Json()}});
}

Change change_of(const Json& body) {
  Change change{.reason = body.text("reason"), .version = {}};
  if (const Json* const version = body.find("version")) change.version = version->as_int();
  return change;
}

// The operations on one kind of things.
struct Things {
  Flags& flags;
  Kind kind;
  http::ErrorForm error_form;

  Response answer(const Authorized& call, const Result<Version>& version) const {
    if (!version) return error_form(version.error(), call.request());
    return Response::json(version_json(*version));
  }

  Response list(const Authorized& call, std::string_view name) const {
    const auto after = call.request().query_value("page_token").value_or("");
    const auto found = flags.list(call.caller().project, kind, after, kPage);
    Json items = Json::array();
    for (const Version& one : found)
      items.push(version_json(one));
    return Response::json(Json::object(
        {{std::string(name), std::move(items)},
         {"next_page_token", found.size() == kPage ? Json(found.back().name) : Json()}}));
  }

  Task<Response> set(const Authorized& call) const {
    const auto body = co_await call.read_json();
    if (!body) co_return error_form(body.error(), call.request());
    const auto made = co_await flags.set(call.caller(), kind, call.param("name"),
                                         (*body)["definition"], change_of(*body));
    co_return answer(call, made);
  }

  Task<Response> remove(const Authorized& call) const {
    Change change{.reason = std::string(call.request().query_value("reason").value_or("")),
                  .version = {}};
    const auto gone =
        co_await flags.remove(call.caller(), kind, call.param("name"), std::move(change));
    co_return answer(call, gone);
  }
};

Task<Response> set_state(const Authorized& call, const Things& things) {
  const auto body = co_await call.read_json();
  if (!body) co_return things.error_form(body.error(), call.request());
  const auto state = platform::experiments::parse_state(body->text("state"));
  if (!state) co_return things.error_form(state.error(), call.request());
  const auto made =
      co_await things.flags.set_state(call.caller(), call.param("name"), *state, change_of(*body));
  co_return things.answer(call, made);
}

Task<Response> history(const Authorized& call, const Things& things) {
  const auto before = query_integer(call.request(), "before", 0, 0, INT64_MAX);
  if (!before) co_return things.error_form(before.error(), call.request());
  const auto found = co_await things.flags.history(call.caller(), things.kind, call.param("name"),
                                                   *before, kVersions);
  if (!found) co_return things.error_form(found.error(), call.request());
  Json items = Json::array();
  for (const Version& one : *found)
    items.push(version_json(one));
  co_return Response::json(Json::object({{"versions", std::move(items)}}));
}

Task<Response> evaluate(const Authorized& call, const Things& things) {
  const auto body = co_await call.read_json();
  if (!body) co_return things.error_form(body.error(), call.request());
  wire::growthbook::Subject subject;
  subject.attributes = (*body)["attributes"];
  const auto snapshot = things.flags.snapshot(call.caller().project);
  const auto found = Flags::evaluate(*snapshot, call.param("name"), subject);
  if (!found) co_return things.error_form(found.error(), call.request());
  co_return Response::json(found->result.to_json());
}

Task<Response> create_key(const Authorized& call, const Things& things) {
  const auto body = co_await call.read_json();
  if (!body) co_return things.error_form(body.error(), call.request());
  const auto made =
      co_await things.flags.create_key(call.caller(), body->text("name"), body->boolean("remote"));
  if (!made) co_return things.error_form(made.error(), call.request());
  co_return Response::json(key_json(*made), 201);
}

Task<Response> revoke_key(const Authorized& call, const Things& things) {
  const auto gone = co_await things.flags.revoke_key(call.caller(), call.param("id"));
  if (!gone) co_return things.error_form(gone.error(), call.request());
  co_return Response::json(key_json(*gone));
}

Task<Response> list_keys(const Authorized& call, const Things& things) {
  Json items = Json::array();
  for (const ClientKey& key : things.flags.keys(call.caller().project))
    items.push(key_json(key));
  co_return Response::json(Json::object({{"keys", std::move(items)}}));
}

Doc doc(std::string_view operation, std::string_view summary, std::string_view schema = {},
        std::string_view query = {}) {
  return Doc{.operation = operation,
             .summary = summary,
             .tag = "flags",
             .request_schema = schema,
             .query_parameters = query};
}

// What flags, groups and holdouts have in common.
struct Names {
  std::string path;
  std::string_view items;
  Doc list, get, set, remove;
};

void add_things(std::vector<Route>& routes, const Things& things, const Names& names) {
  const std::string one = names.path + "/{name}";
  const auto list = [things, items = names.items](const Authorized& call) -> Task<Response> {
    co_return things.list(call, items);
  };
  const auto get = [things](const Authorized& call) -> Task<Response> {
    co_return things.answer(
        call, things.flags.find(call.caller().project, things.kind, call.param("name")));
  };
  const auto set = [things](const Authorized& call) {
    return things.set(call);
  };
  const auto remove = [things](const Authorized& call) {
    return things.remove(call);
  };
  routes.emplace_back(Method::kGet, names.path, Permission::kFlagRead, Limits{}, list, names.list);
  routes.emplace_back(Method::kGet, one, Permission::kFlagRead, Limits{}, get, names.get);
  routes.emplace_back(Method::kPut, one, Permission::kFlagWrite, Limits{}, set, names.set);
  routes.emplace_back(Method::kDelete, one, Permission::kFlagWrite, Limits{}, remove, names.remove);
}

}  // namespace

std::vector<Route> flag_routes(Flags& flags, http::ErrorForm error_form) {
  std::vector<Route> routes;
  const Things things{flags, Kind::kFlag, error_form};
  add_things(routes, things,
             {"/api/v1/flags", "flags",
              doc("listFlags", "Flags by name, a page at a time", {}, kAfterQuery),
              doc("getFlag", "One flag: its state, default and rules"),
              doc("setFlag", "Make a new version of a flag", kSetSchema),
              doc("deleteFlag", "Delete a flag; its versions stay", {}, kRemoveQuery)});
  add_things(routes, {flags, Kind::kGroup, error_form},
             {"/api/v1/flag-groups", "groups",
              doc("listFlagGroups", "Saved groups by name", {}, kAfterQuery),
              doc("getFlagGroup", "The values of a saved group"),
              doc("setFlagGroup", "Make a new version of a saved group", kSetSchema),
              doc("deleteFlagGroup", "Delete a saved group that no flag names", {}, kRemoveQuery)});
  add_things(routes, {flags, Kind::kHoldout, std::move(error_form)},
             {"/api/v1/flag-holdouts", "holdouts",
              doc("listFlagHoldouts", "Holdouts by name", {}, kAfterQuery),
              doc("getFlagHoldout", "The share that a holdout keeps from experiments"),
              doc("setFlagHoldout", "Keep a share of all units from every experiment", kSetSchema),
              doc("deleteFlagHoldout", "End a holdout", {}, kRemoveQuery)});
  const auto with = [things](auto operation) {
    return [things, operation](const Authorized& call) {
      return operation(call, things);
    };
  };
  routes.emplace_back(Method::kPost, "/api/v1/flags/{name}/state", Permission::kFlagWrite, Limits{},
                      with(&set_state),
                      doc("setFlagState", "Turn a flag on, off, or kill it", kStateSchema));
  routes.emplace_back(
      Method::kGet, "/api/v1/flags/{name}/versions", Permission::kFlagRead, Limits{},
      with(&history),
      doc("listFlagVersions", "The versions of a flag, newest first", {}, kHistoryQuery));
  routes.emplace_back(
      Method::kPost, "/api/v1/flags/{name}/evaluate", Permission::kFlagRead, Limits{},
      with(&evaluate),
      doc("evaluateFlag", "What a unit gets, and by which rule; no exposure", kEvaluateSchema));
  routes.emplace_back(Method::kGet, "/api/v1/flag-keys", Permission::kFlagRead, Limits{},
                      with(&list_keys), doc("listFlagKeys", "Client keys of the project"));
  routes.emplace_back(Method::kPost, "/api/v1/flag-keys", Permission::kFlagWrite, Limits{},
                      with(&create_key),
                      doc("createFlagKey", "Make a public key for SDKs", kKeySchema));
  routes.emplace_back(Method::kDelete, "/api/v1/flag-keys/{id}", Permission::kFlagWrite, Limits{},
                      with(&revoke_key), doc("revokeFlagKey", "Refuse SDKs with this key"));
  return routes;
}

}  // namespace strata::doors::experiments
