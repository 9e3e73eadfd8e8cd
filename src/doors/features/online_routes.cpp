#include <optional>

#include "doors/features/feature_routes.hpp"
#include "platform/features/values.hpp"

namespace strata::doors::features {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::features::Features;
using platform::features::OnlineAnswer;
using platform::features::OnlineRequest;
using platform::features::PushRequest;

namespace {

constexpr std::uint64_t kMaxBody = 16U << 20;

constexpr std::string_view kPushBody =
    R"({"type":"object","properties":{"rows":{"type":"array"},"deletes":{"type":"array"},
"idempotency_key":{"type":"string"}},"additionalProperties":false})";
constexpr std::string_view kOnlineBody =
    R"({"type":"object","properties":{"service":{"type":"string"},
"features":{"type":"array","items":{"type":"string"}},"entities":{"type":"object"}},
"required":["entities"],"additionalProperties":false})";

constexpr std::string_view kHistoricalBody =
    R"({"type":"object","properties":{"service":{"type":"string"},
"features":{"type":"array","items":{"type":"string"}},"entities":{"type":"object"},
"known_at":{"type":"string"}},"required":["entities"],"additionalProperties":false})";

constexpr std::string_view kWhyBody =
    R"({"type":"object","properties":{"name":{"type":"string"},"entities":{"type":"object"},
"at":{"type":"string"}},"required":["name","entities"],"additionalProperties":false})";

// Feature by feature, as its values are used; each list has one member a row.
Json feature_json(const OnlineAnswer& answer, std::size_t at) {
  Json values = Json::array();
  Json statuses = Json::array();
  Json times = Json::array();
  for (const auto& row : answer.rows) {
    values.push(platform::features::to_json(row[at].value));
    statuses.push(presence_name(row[at].presence));
    const bool known = row[at].presence != platform::features::Presence::kMissing;
    times.push(known ? Json(platform::features::show_micros(row[at].event)) : Json());
  }
  const auto& feature = answer.service.features[at];
  return Json::object({{"view", feature.view},
                       {"name", feature.feature},
                       {"type", type_name(feature.type)},
                       {"values", std::move(values)},
                       {"statuses", std::move(statuses)},
                       {"event_times", std::move(times)}});
}

Json answer_json(const OnlineAnswer& answer) {
  Json features = Json::array();
  for (std::size_t i = 0; i < answer.service.features.size(); ++i)
    features.push(feature_json(answer, i));
  return Json::object({{"version", answer.service.version},
                       {"time", platform::features::show_micros(answer.time.micros)},
                       {"sequence", answer.sequence},
                       {"features", std::move(features)}});
}

Task<Response> push(const Authorized& call, Features& features, const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  std::string key = body->text("idempotency_key");
  if (key.empty()) key = call.request().headers.get("Idempotency-Key");
  PushRequest request{call.param("stream"), std::move(key), (*body)["rows"], (*body)["deletes"]};
  const auto pushed = co_await features.push(call.caller(), std::move(request));
  if (!pushed) co_return error_form(pushed.error(), call.request());
  co_return Response::json(
      Json::object({{"sequence", pushed->sequence}, {"repeated", pushed->repeated}}));
}

OnlineRequest request_of(const Json& body) {
  OnlineRequest request;
  request.service = body.text("service");
  if (const Json& names = body["features"]; names.is_array()) {
    for (const Json& name : names.as_array())
      request.features.push_back(name.as_string());
  }
  request.entities = body["entities"];
  return request;
}

Task<Response> online(const Authorized& call, Features& features,
                      const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  auto request = request_of(*body);
  const auto answer = co_await features.online(call.caller(), std::move(request));
  if (!answer) co_return error_form(answer.error(), call.request());
  co_return Response::json(answer_json(*answer));
}

// "asked" (or nothing), "now", or a time.
Result<platform::features::KnownAt> known_at_of(const std::string& text) {
  if (text.empty() || text == "asked") return platform::features::KnownAt{};
  if (text == "now") return platform::features::KnownAt{false, {}};
  const auto time =
      platform::features::value_of(Json(text), platform::expressions::Type::kTimestamp, "known_at");
  if (time) return platform::features::KnownAt{false, Instant{time->integer}};
  return invalid("known_at",
                 "known_at: use \"asked\", \"now\" or a time such as "
                 "\"2026-01-31T12:00:00Z\"");
}

Task<Response> historical(const Authorized& call, Features& features,
                          const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  const auto known_at = known_at_of(body->text("known_at"));
  if (!known_at) co_return error_form(known_at.error(), call.request());
  auto request = request_of(*body);
  const auto answer = co_await features.historical(call.caller(), std::move(request), *known_at);
  if (!answer) co_return error_form(answer.error(), call.request());
  co_return Response::json(answer_json(*answer));
}

Json why_json(const platform::features::Why& why) {
  using platform::features::show_micros;
  Json rows = Json::array();
  for (const auto& row : why.rows) {
    rows.push(Json::object({{"event", show_micros(row.event)},
                            {"created", show_micros(row.created)},
                            {"received", show_micros(row.received)},
                            {"sequence", row.place.sequence},
                            {"row", static_cast<std::int64_t>(row.place.row)},
                            {"pushed_by", row.pushed_by},
                            {"reason", reason_name(row.reason)}}));
  }
  Json out = Json::object({{"view", why.view}, {"name", why.feature}});
  if (why.window) {
    out.set("window_after", show_micros(why.window->first));
    out.set("window_until", show_micros(why.window->second));
  }
  out.set("rows", std::move(rows));
  out.set("not_shown", static_cast<std::int64_t>(why.not_shown));
  return out;
}

Json explained_json(const platform::features::Explained& explained) {
  Json values = Json::array();
  for (const auto& [feature, value] : explained.values) {
    values.push(Json::object({{"view", feature.view},
                              {"name", feature.feature},
                              {"value", platform::features::to_json(value.value)},
                              {"status", presence_name(value.presence)}}));
  }
  Json features = Json::array();
  for (const auto& why : explained.features)
    features.push(why_json(why));
  return Json::object({{"time", platform::features::show_micros(explained.time.micros)},
                       {"sequence", explained.sequence},
                       {"values", std::move(values)},
                       {"features", std::move(features)}});
}

Task<Response> why(const Authorized& call, Features& features, const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  std::optional<Instant> at;
  const auto time =
      platform::features::value_of((*body)["at"], platform::expressions::Type::kTimestamp, "at");
  if (!time) co_return error_form(time.error(), call.request());
  if (time->present) at = Instant{time->integer};
  const auto explained =
      co_await features.why(call.caller(), body->text("name"), (*body)["entities"], at);
  if (!explained) co_return error_form(explained.error(), call.request());
  co_return Response::json(explained_json(*explained));
}

}  // namespace

std::vector<Route> online_routes(Features& features, const http::ErrorForm& error_form) {
  Features* const store = &features;
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kPost, "/api/v1/features/streams/{stream}/push", Permission::kFeatureWrite,
      Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) { return push(call, *store, error_form); },
      http::Doc{"pushFeatures", "Add rows to a stream, durable when it answers", "features",
                kPushBody, "", ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/features/online", Permission::kFeatureRead, Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) { return online(call, *store, error_form); },
      http::Doc{"getOnlineFeatures", "Features of some keys as of now", "features", kOnlineBody, "",
                ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/features/historical", Permission::kFeatureRead,
      Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) { return historical(call, *store, error_form); },
      http::Doc{"getHistoricalFeatures", "Features of some keys as they were at some times",
                "features", kHistoricalBody, "", ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/features/why", Permission::kFeatureRead, Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) { return why(call, *store, error_form); },
      http::Doc{"explainFeatures",
                "Which rows gave features of a key their values, and why others "
                "did not",
                "features", kWhyBody, "", ""});
  return routes;
}

}  // namespace strata::doors::features
