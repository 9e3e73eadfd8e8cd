#include "doors/ofrep/ofrep.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/text.hpp"

namespace strata::doors::ofrep {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Caller;
using kernel::Permission;
using platform::experiments::Evaluated;
using platform::experiments::Flags;
using platform::experiments::Snapshot;
using platform::experiments::State;
namespace gb = wire::growthbook;

namespace {

constexpr Limits kContext{.body = 256U << 10U, .deadline = std::chrono::seconds(10)};
constexpr std::string_view kClientKey = "sdk-";
constexpr std::string_view kInvalidContext = "context";

std::string_view error_code(const Error& error) {
  if (error.code == Code::kMalformed) return "PARSE_ERROR";
  if (error.code == Code::kNotFound) return "FLAG_NOT_FOUND";
  if (error.field.starts_with(kInvalidContext)) return "INVALID_CONTEXT";
  return "GENERAL";
}

Result<gb::Subject> read_context(const std::string& body) {
  const auto parsed = parse_json(body.empty() ? "{}" : body);
  if (!parsed) return parsed.error();
  if (!parsed->is_object()) return Error(Code::kMalformed, "the body must be a JSON object");
  const Json& context = (*parsed)["context"];
  gb::Subject subject;
  if (context.is_null()) return subject;
  if (!context.is_object())
    return invalid("context",
                   fmt::format("context: must be an object, not {}", context.type_name()));
  const Json& key = context["targetingKey"];
  if (!key.is_null() && !key.is_string())
    return invalid("context.targetingKey",
                   fmt::format("context.targetingKey: must be a text, not {}", key.type_name()));
  subject.attributes = context;
  if (key.is_string() && context.find("id") == nullptr) subject.attributes.set("id", key);
  return subject;
}

const Json* rule_of(const Snapshot& snapshot, const std::string& flag, const std::string& id) {
  const Json* const feature = snapshot.payload->feature(flag);
  if (feature == nullptr || id.empty() || !(*feature)["rules"].is_array()) return nullptr;
  for (const Json& rule : (*feature)["rules"].as_array()) {
    if (rule.text("id") == id) return &rule;
  }
  return nullptr;
}

// Why a value is what it is, in OpenFeature's words.
std::string_view reason_of(const Snapshot& snapshot, const std::string& flag,
                           const gb::FeatureResult& result) {
  const auto state = snapshot.states.find(flag);
  if (state != snapshot.states.end() && state->second != State::kOn) return "DISABLED";
  if (result.source == "experiment") return "SPLIT";
  const bool ruled = (*snapshot.payload->feature(flag))["rules"].size() > 0;
  if (result.source != "force") return ruled ? "UNKNOWN" : "STATIC";
  const Json* const rule = rule_of(snapshot, flag, result.rule_id);
  return rule != nullptr && rule->find("condition") == nullptr && rule->find("range") != nullptr
             ? "SPLIT"
             : "TARGETING_MATCH";
}

Json success(const Snapshot& snapshot, const std::string& flag, const Evaluated& evaluated) {
  const gb::FeatureResult& result = evaluated.result;
  std::string variant = result.source == "experiment" ? result.experiment_result.text("key")
                        : result.source == "force"    ? result.rule_id
                                                      : "default";
  if (variant.empty()) variant = result.source;
  Json metadata = Json::object({{"source", result.source}});
  if (const auto version = snapshot.versions.find(flag); version != snapshot.versions.end())
    metadata.set("version", version->second);
  if (result.source == "experiment") metadata.set("experiment", result.experiment.text("key"));
  Json out = Json::object({{"key", flag}});
  if (!result.value.is_null()) out.set("value", result.value);
  out.set("reason", reason_of(snapshot, flag, result));
  out.set("variant", variant);
  out.set("metadata", std::move(metadata));
  return out;
}

// A killed flag: the value in the caller's code holds.
Json killed(const std::string& flag) {
  return Json::object({{"key", flag}, {"reason", "DISABLED"}, {"variant", "killed"}});
}

bool is_killed(const Snapshot& snapshot, const std::string& flag) {
  const auto state = snapshot.states.find(flag);
  return state != snapshot.states.end() && state->second == State::kKilled;
}

}  // namespace

Response OfrepDoor::error(const Error& error, const http::Request& request) const {
  int status = http::status_of(error.code);
  if (error.code == Code::kResourceExhausted && !error.retry) status = 400;  // the context's fault
  Json body = Json::object({{"errorCode", error_code(error)}, {"errorDetails", error.to_string()}});
  if (const auto key = request.param("key"); !key.empty()) body.set("key", key);
  Response response = Response::json(body, status);
  if (error.retry || status == 429 || status == 503) response.headers.set("Retry-After", "5");
  if (status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  return response;
}

// A client key stands for a caller that may read flags of its project and nothing else.
Task<Result<Caller>> OfrepDoor::authenticate(http::Request& request,
                                             const kernel::Identity& identity) {
  const std::string header = request.headers.get("Authorization");
  std::string given = request.headers.get("X-API-Key");
  if (given.empty() && equal_ignoring_case(std::string_view(header).substr(0, 7), "Bearer "))
    given = trim(std::string_view(header).substr(7));
  if (!given.starts_with(kClientKey)) {
    if (request.headers.get("X-API-Key").empty())
      co_return co_await Door::authenticate(request, identity);
    co_return identity.authenticate(given, request.headers.get("Strata-Project"));
  }
  const auto key = flags_.key(given);
  if (!key) co_return Error(Code::kUnauthenticated, key.error().message);
  Caller caller = identity.system_caller();
  caller.user_name = "client key " + key->name;
  caller.project = key->project;
  caller.permissions.reset();
  for (const Permission granted :
       {Permission::kPublic, Permission::kSignedIn, Permission::kFlagRead})
    caller.permissions.set(static_cast<std::size_t>(granted));
  caller.scope = caller.permissions;
  co_return caller;
}

Task<Response> OfrepDoor::one(const Authorized& call) {
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return error(body.error(), call.request());
  auto subject = read_context(*body);
  if (!subject) co_return error(subject.error(), call.request());
  const std::string flag = call.param("key");
  const auto snapshot = flags_.snapshot(call.caller().project);
  if (is_killed(*snapshot, flag)) co_return Response::json(killed(flag));
  const auto evaluated = Flags::evaluate(*snapshot, flag, *subject);
  if (!evaluated) co_return error(evaluated.error(), call.request());
  auto exposures = platform::experiments::exposures_of(evaluated->exposures, "ofrep");
  const auto kept = co_await exposures_.record_new(call.caller().project, std::move(exposures));
  if (!kept) co_return error(kept.error(), call.request());
  co_return Response::json(success(*snapshot, flag, *evaluated));
}

Task<Response> OfrepDoor::all(const Authorized& call) {
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return error(body.error(), call.request());
  auto subject = read_context(*body);
  if (!subject) co_return error(subject.error(), call.request());
  const auto snapshot = flags_.snapshot(call.caller().project);
  const std::string etag =
      "\"" + content_digest(snapshot->etag + subject->attributes.dump()).substr(7, 32) + "\"";
  if (call.request().headers.get("If-None-Match") == etag) {
    Response response = Response::empty(304);
    response.headers.set("ETag", etag);
    co_return response;
  }
  const auto evaluated = Flags::evaluate_all(*snapshot, *subject);
  if (!evaluated) co_return error(evaluated.error(), call.request());
  Json flags = Json::array();
  for (const auto& [flag, result] : *evaluated)
    flags.push(success(*snapshot, flag, result));
  for (const auto& [flag, state] : snapshot->states) {
    if (state == State::kKilled) flags.push(killed(flag));
  }
  Response response = Response::json(
      Json::object({{"flags", std::move(flags)},
                    {"metadata", Json::object({{"revision", snapshot->revision},
                                               {"updated", to_rfc3339(snapshot->updated)}})}}));
  response.headers.set("ETag", etag);
  co_return response;
}

std::vector<Route> OfrepDoor::routes() {
  std::vector<Route> routes;
  routes.emplace_back(Method::kPost, "/ofrep/v1/evaluate/flags/{key}", Permission::kFlagRead,
                      kContext, [this](const Authorized& call) { return one(call); });
  routes.emplace_back(Method::kPost, "/ofrep/v1/evaluate/flags", Permission::kFlagRead, kContext,
                      [this](const Authorized& call) { return all(call); });
  return routes;
}

}  // namespace strata::doors::ofrep
