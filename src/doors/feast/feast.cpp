#include "doors/feast/feast.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "platform/features/values.hpp"

namespace strata::doors::feast {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::features::Features;
using platform::features::OnlineAnswer;
using platform::features::OnlineRequest;
using platform::features::Presence;
using platform::features::PushRequest;

namespace {

constexpr Limits kLarge{.body = 16U << 20U};

// The classes of Feast's Python client that it makes exceptions of.
std::string_view class_of(Code code) {
  if (code == Code::kNotFound) return "FeastObjectNotFoundException";
  if (code == Code::kPermissionDenied) return "FeastPermissionError";
  return "";
}

Response error_response(const Error& error) {
  const std::string_view name = class_of(error.code);
  const std::string text =
      name.empty()
          ? error.to_string()
          : Json::object(
                {{"module", "feast.errors"}, {"class", name}, {"message", error.to_string()}})
                .dump();
  Response response = Response::json(Json(text), http::status_of(error.code));
  if (error.code == Code::kUnauthenticated)
    response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  return response;
}

// {"column": [values]} as rows; a column of another length than the first is refused.
Result<Json> rows_of(const Json& frame) {
  if (!frame.is_object() || frame.size() == 0)
    return invalid("df", "df: expected an object, column to a list of values");
  std::size_t count = 0;
  for (const auto& [name, values] : frame.as_object()) {
    const std::string field = "df." + printable(name);
    if (!values.is_array()) return invalid(field, field + ": expected a list of values");
    count = std::max(count, values.size());
  }
  Json rows = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    Json row = Json::object();
    for (const auto& [name, values] : frame.as_object()) {
      const std::string field = "df." + printable(name);
      if (values.size() != count)
        return invalid(field, field + ": has fewer values than other columns");
      row.set(name, values.as_array()[i]);
    }
    rows.push(std::move(row));
  }
  return rows;
}

Result<OnlineRequest> request_of(const Json& body) {
  OnlineRequest out;
  out.service = body.text("feature_service");
  out.entities = body["entities"];
  out.full_names = body.boolean("full_feature_names");
  if (!body["features"].is_array()) return out;
  for (const Json& name : body["features"].as_array()) {
    std::string text = name.is_string() ? name.as_string() : "";
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos)
      return invalid("features", "features: write each as view:feature");
    text[colon] = '.';
    out.features.push_back(std::move(text));
  }
  return out;
}

Json column_json(Json values, Json statuses, Json times) {
  return Json::object({{"values", std::move(values)},
                       {"statuses", std::move(statuses)},
                       {"event_timestamps", std::move(times)}});
}

Json answer_json(const OnlineAnswer& answer, bool full_names) {
  const std::string epoch = platform::features::show_micros(0);
  Json names = Json::array();
  Json results = Json::array();
  for (std::size_t at = 0; at < answer.input.columns.size(); ++at) {
    const auto& column = answer.input.columns[at];
    if (std::ranges::find(answer.service.keys, column) == answer.service.keys.end()) continue;
    names.push(column.name);
    Json values = Json::array(), statuses = Json::array(), times = Json::array();
    for (const auto& row : answer.input.rows) {
      values.push(platform::features::to_json(row[at]));
      statuses.push(presence_name(row[at].present ? Presence::kPresent : Presence::kNull));
      times.push(epoch);
    }
    results.push(column_json(std::move(values), std::move(statuses), std::move(times)));
  }
  for (std::size_t at = 0; at < answer.service.features.size(); ++at) {
    const auto& feature = answer.service.features[at];
    names.push(full_names ? feature.view + "__" + feature.feature : feature.feature);
    Json values = Json::array(), statuses = Json::array(), times = Json::array();
    for (const auto& row : answer.rows) {
      values.push(platform::features::to_json(row[at].value));
      statuses.push(presence_name(row[at].presence));
      times.push(platform::features::show_micros(row[at].event));
    }
    results.push(column_json(std::move(values), std::move(statuses), std::move(times)));
  }
  return Json::object({{"metadata", Json::object({{"feature_names", std::move(names)}})},
                       {"results", std::move(results)},
                       {"status", true}});
}

Task<Response> get_online(const Authorized& call, Features& features) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error());
  auto request = request_of(*body);
  if (!request) co_return error_response(request.error());
  const bool full_names = request->full_names;
  const auto answer = co_await features.online(call.caller(), *std::move(request));
  if (!answer) co_return error_response(answer.error());
  co_return Response::json(answer_json(*answer, full_names));
}

// One log has all that is pushed, so "online" and "offline" are the same place.
Task<Response> push(const Authorized& call, Features& features) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error());
  const auto rows = rows_of((*body)["df"]);
  if (!rows) co_return error_response(rows.error());
  PushRequest request{body->text("push_source_name"), call.request().headers.get("Idempotency-Key"),
                      *rows, Json()};
  const auto pushed = co_await features.push(call.caller(), std::move(request));
  if (!pushed) co_return error_response(pushed.error());
  co_return Response::json(Json());
}

Task<Response> write_online(const Authorized& call, Features& features) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error());
  const auto rows = rows_of((*body)["df"]);
  if (!rows) co_return error_response(rows.error());
  const std::string view = body->text("feature_view_name");
  const auto pushed = co_await features.push_features(call.caller(), view, *rows);
  if (!pushed) co_return error_response(pushed.error());
  co_return Response::json(Json());
}

}  // namespace

Response FeastDoor::error(const Error& error, const http::Request& request) const {
  static_cast<void>(request);
  return error_response(error);
}

std::vector<Route> FeastDoor::routes() {
  std::vector<Route> routes;
  const auto add = [&](std::string pattern, Permission permission,
                       Task<Response> (*handler)(const Authorized&, Features&)) {
    routes.emplace_back(
        Method::kPost, std::move(pattern), permission, kLarge,
        [this, handler](const Authorized& call) { return handler(call, features_); });
  };
  add("/get-online-features", Permission::kFeatureRead, &get_online);
  add("/push", Permission::kFeatureWrite, &push);
  add("/write-to-online-store", Permission::kFeatureWrite, &write_online);
  return routes;
}

}  // namespace strata::doors::feast
