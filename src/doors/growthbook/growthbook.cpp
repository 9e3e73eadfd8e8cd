#include "doors/growthbook/growthbook.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/growthbook/flag_stream.hpp"

namespace strata::doors::growthbook {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::experiments::Flags;
namespace gb = wire::growthbook;

namespace {

constexpr Limits kSmall{.body = 1U << 10U, .deadline = std::chrono::seconds(10)};
constexpr Limits kAttributes{.body = 256U << 10U, .deadline = std::chrono::seconds(10)};
constexpr Limits kEvents{.body = 1U << 20U, .deadline = std::chrono::seconds(20)};
// Who polls learns of a killed flag after so long at the latest; streams tell at once.
constexpr std::string_view kCache =
    "public, max-age=5, stale-while-revalidate=30, stale-if-error=36000";

bool knows(const http::Request& request, std::string_view etag) {
  const std::string field = request.headers.get("If-None-Match");
  for (const auto& one : split(field, ',')) {
    std::string_view tag = trim(one);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
  }
  return false;
}

Task<Response> preflight(const Authorized& /*call*/) {
  Response response = open_to_all(Response::empty(204));
  response.headers.set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  response.headers.set("Access-Control-Allow-Headers",
                       "Content-Type, Accept, If-None-Match, Last-Event-ID, Cache-Control");
  response.headers.set("Access-Control-Max-Age", "86400");
  co_return response;
}

// The experiment as a client may see it that is told of one variation only.
Json scrubbed(const Json& experiment, std::int64_t variation) {
  Json out = Json::object();
  for (const auto& [name, value] : experiment.as_object()) {
    if (name == "condition" || name == "parentConditions" || name == "filters") continue;
    out.set(name, value);
  }
  Json variations = Json::array();
  for (std::size_t i = 0; i < experiment["variations"].size(); ++i) {
    const bool shown = static_cast<std::int64_t>(i) == variation;
    variations.push(shown ? experiment["variations"].as_array()[i] : Json::object());
  }
  out.set("variations", std::move(variations));
  return out;
}

Json reduced(const platform::experiments::Evaluated& evaluated) {
  const Json& value = evaluated.result.value;
  Json out = Json::object({{"defaultValue", value}});
  Json tracks = Json::array();
  for (const auto& [experiment, result] : evaluated.exposures) {
    tracks.push(Json::object(
        {{"experiment", scrubbed(experiment, result.integer("variationId"))}, {"result", result}}));
  }
  if (tracks.size() == 0) return out;
  Json rules = Json::array();
  rules.push(Json::object({{"force", value}, {"tracks", std::move(tracks)}}));
  out.set("rules", std::move(rules));
  return out;
}

Result<gb::Subject> read_subject(const Json& body) {
  gb::Subject subject;
  for (const auto& [name, into] : {std::pair{"attributes", &subject.attributes},
                                   {"forcedVariations", &subject.forced_variations}}) {
    const Json* const value = body.find(name);
    if (value == nullptr || value->is_null()) continue;
    if (!value->is_object())
      return invalid(name, fmt::format("{}: must be an object, not {}", name, value->type_name()));
    *into = *value;
  }
  const Json& forced = body["forcedFeatures"];
  if (!forced.is_null() && !forced.is_array())
    return invalid("forcedFeatures", "forcedFeatures: must be a list of [key, value]");
  for (const Json& pair : forced.is_array() ? forced.as_array() : Json::Array()) {
    if (!pair.is_array() || pair.size() != 2 || !pair.as_array()[0].is_string())
      return invalid("forcedFeatures", "forcedFeatures: must be a list of [key, value]");
    subject.forced_features.set(pair.as_array()[0].as_string(), pair.as_array()[1]);
  }
  subject.url = body.text("url");
  return subject;
}

}  // namespace

Response open_to_all(Response response) {
  response.headers.set("Access-Control-Allow-Origin", "*");
  response.headers.set("Access-Control-Expose-Headers", "x-sse-support, x-unrecoverable, ETag");
  return response;
}

Response GrowthBookDoor::error(const Error& error, const http::Request& /*request*/) const {
  // GrowthBook's API answers 400 for a key that it does not know, and says that it is final.
  const bool key = error.code == Code::kNotFound;
  const int status = key ? 400 : http::status_of(error.code);
  Response response = open_to_all(
      Response::json(Json::object({{"status", status}, {"error", error.to_string()}}), status));
  if (key) response.headers.set("x-unrecoverable", "1");
  if (error.retry || status == 503) response.headers.set("Retry-After", "5");
  response.headers.set("Cache-Control", "no-store");
  return response;
}

Task<Response> GrowthBookDoor::features(const Authorized& call) {
  const auto key = flags_.key(call.param("key"));
  if (!key) co_return error(key.error(), call.request());
  if (key->remote)
    co_return error(Error(Code::kNotFound,
                          "this client key is for remote evaluation: set "
                          "remoteEval in the SDK, or make another key"),
                    call.request());
  const auto snapshot = flags_.snapshot(key->project);
  const bool same = knows(call.request(), snapshot->etag);
  Response response =
      open_to_all(same ? Response::empty(304)
                       : Response::text(200, snapshot->text, "application/json; charset=utf-8"));
  response.headers.set("ETag", snapshot->etag);
  response.headers.set("Cache-Control", std::string(kCache));
  response.headers.set("x-sse-support", "enabled");
  co_return response;
}

Task<Response> GrowthBookDoor::subscribe(const Authorized& call) {
  const auto key = flags_.key(call.param("key"));
  if (!key) co_return error(key.error(), call.request());
  auto place = StreamPlace::take(streams_, kMaxStreams);
  if (!place) {
    Error full(Code::kUnavailable, "too many event streams are open; poll, or come back later");
    full.retry = true;
    co_return error(full, call.request());
  }
  auto source = std::make_unique<FlagStream>(flags_, *key, clock_, draining_, *std::move(place),
                                             call.request().headers.get("Last-Event-ID"));
  Response response = open_to_all(Response::stream(std::move(source), "text/event-stream"));
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

Task<Response> GrowthBookDoor::evaluate(const Authorized& call) {
  const auto key = flags_.key(call.param("key"));
  if (!key) co_return error(key.error(), call.request());
  const auto body = co_await call.read_json();
  if (!body) co_return error(body.error(), call.request());
  auto subject = read_subject(*body);
  if (!subject) co_return error(subject.error(), call.request());
  const auto snapshot = flags_.snapshot(key->project);
  const auto all = Flags::evaluate_all(*snapshot, *subject);
  if (!all) co_return error(all.error(), call.request());
  Json features = Json::object();
  for (const auto& [name, evaluated] : *all)
    features.as_object().emplace_back(name, reduced(evaluated));
  Response response =
      open_to_all(Response::json(Json::object({{"status", 200},
                                               {"features", std::move(features)},
                                               {"dateUpdated", to_rfc3339(snapshot->updated)}})));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("x-sse-support", "enabled");
  co_return response;
}

Task<Response> GrowthBookDoor::track(const Authorized& call) {
  const auto key = flags_.key(call.request().query_value("client_key").value_or(""));
  if (!key) co_return error(key.error(), call.request());
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return error(body.error(), call.request());
  auto events = read_events(*body);
  if (!events) co_return error(events.error(), call.request());
  const auto count = static_cast<std::int64_t>(events->size());
  const auto done = co_await exposures_.record(key->project, *std::move(events));
  if (!done) co_return error(done.error(), call.request());
  co_return open_to_all(Response::json(Json::object({{"status", 200}, {"events", count}})));
}

std::vector<Route> GrowthBookDoor::routes() {
  std::vector<Route> routes;
  const auto add = [&](Method method, const char* path, Limits limits, auto operation) {
    routes.emplace_back(
        method, path, Permission::kPublic, limits,
        [this, operation](const Authorized& call) { return (this->*operation)(call); });
  };
  add(Method::kGet, "/api/features/{key}", kSmall, &GrowthBookDoor::features);
  add(Method::kGet, "/sub/{key}", kSmall, &GrowthBookDoor::subscribe);
  add(Method::kPost, "/api/eval/{key}", kAttributes, &GrowthBookDoor::evaluate);
  add(Method::kPost, "/track", kEvents, &GrowthBookDoor::track);
  for (const char* path : {"/api/features/{key}", "/sub/{key}", "/api/eval/{key}", "/track"})
    routes.emplace_back(Method::kOptions, path, Permission::kPublic, kSmall, &preflight);
  return routes;
}

}  // namespace strata::doors::growthbook
