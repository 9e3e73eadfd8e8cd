#include "doors/scorings/scoring_routes.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/time.hpp"

namespace strata::doors::scorings {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::scoring::Draft;
using platform::scoring::ScoringInfo;
using platform::scoring::Scorings;

namespace {

constexpr std::int64_t kMostListed = 200;
constexpr std::int64_t kMostWait = 20;
constexpr std::string_view kDraftSchema = R"({
  "type": "object", "required": ["model", "input", "output"], "additionalProperties": false,
  "properties": {
    "model": {"type": "string", "description": "models:/NAME@ALIAS or models:/NAME/VERSION"},
    "input": {"type": "string", "maxLength": 2000,
      "description": "TABLE, SCHEMA.TABLE, a view, or s3://bucket/key"},
    "output": {"type": "string", "maxLength": 2000,
      "description": "TABLE, SCHEMA.TABLE, or s3://bucket/key ending with .parquet, .csv or .json"},
    "mode": {"type": "string", "enum": ["create", "replace", "append"],
      "description": "default: create a table, replace an object"},
    "keep": {"type": "array", "maxItems": 2000, "items": {"type": "string"},
      "description": "columns of the input in the output; default: all"},
    "features": {"type": "array", "maxItems": 2000, "items": {"type": "string"},
      "description": "for a model of one tensor: its columns in order"},
    "prediction": {"type": "string", "minLength": 1, "maxLength": 200,
      "description": "name of the predictions' column, or how several begin"}
  }})";

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json scoring_json(const ScoringInfo& info) {
  Json json = info.draft.to_json();
  json.set("id", info.id);
  json.set("reference", info.draft.model);
  json.set("model", info.model);
  json.set("version", info.version);
  json.set("digest", info.digest);
  json.set("state", info.state);
  json.set("actor", info.actor);
  json.set("created", to_rfc3339(info.created));
  json.set("updated", to_rfc3339(info.updated));
  json.set("rows", info.rows);
  json.set("total", info.total < 0 ? Json() : Json(info.total));
  Json sources = Json::array();
  for (const auto& source : info.sources)
    sources.push(source);
  json.set("sources", std::move(sources));
  json.set("result", text_or_null(info.result));
  json.set("error", info.error.empty() ? Json()
                                       : Json::object({{"code", info.error_code},
                                                       {"field", text_or_null(info.error_field)},
                                                       {"message", info.error}}));
  return json;
}

Task<Response> start_scoring(const Authorized& call, Scorings& scorings,
                             const http::ErrorForm& failed) {
  const auto body = co_await call.read_json();
  if (!body) co_return failed(body.error(), call.request());
  const auto begun = co_await scorings.begin(call.caller(), Draft::from_json(*body));
  if (!begun) co_return failed(begun.error(), call.request());
  co_return Response::json(scoring_json(*begun), 201);
}

Task<Response> list_scorings(const Authorized& call, Scorings& scorings,
                             const http::ErrorForm& failed) {
  const auto& request = call.request();
  const auto limit = query_integer(request, "limit", 50, 1, kMostListed);
  if (!limit) co_return failed(limit.error(), request);
  const auto all = co_await scorings.list(call.caller(), static_cast<std::size_t>(*limit));
  if (!all) co_return failed(all.error(), request);
  Json list = Json::array();
  for (const auto& info : *all)
    list.push(scoring_json(info));
  co_return Response::json(Json::object({{"scorings", std::move(list)}}));
}

Task<Response> get_scoring(const Authorized& call, Scorings& scorings,
                           const http::ErrorForm& failed) {
  const auto wait = query_integer(call.request(), "wait", 0, 0, kMostWait);
  if (!wait) co_return failed(wait.error(), call.request());
  const auto info =
      co_await scorings.settled(call.caller(), call.param("id"), std::chrono::seconds(*wait));
  if (!info) co_return failed(info.error(), call.request());
  co_return Response::json(scoring_json(*info));
}

Task<Response> cancel_scoring(const Authorized& call, Scorings& scorings,
                              const http::ErrorForm& failed) {
  const auto info = co_await scorings.cancel(call.caller(), call.param("id"));
  if (!info) co_return failed(info.error(), call.request());
  co_return Response::json(scoring_json(*info));
}

}  // namespace

std::vector<http::Route> scoring_routes(Scorings& scorings, http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  const auto with = [&](auto operation) {
    return [&scorings, error_form, operation](const Authorized& call) {
      return operation(call, scorings, error_form);
    };
  };
  routes.emplace_back(Method::kPost, "/api/v1/scorings", Permission::kLakeWrite, Limits{},
                      with(&start_scoring),
                      Doc{"startScoring", "Run a model over a whole table or object", "scorings",
                          kDraftSchema, "", ""});
  routes.emplace_back(Method::kGet, "/api/v1/scorings", Permission::kModelRead, Limits{},
                      with(&list_scorings),
                      Doc{"listScorings", "Scorings, newest first", "scorings", "", "",
                          "limit:integer:at most so many"});
  routes.emplace_back(
      Method::kGet, "/api/v1/scorings/{id}", Permission::kModelRead, Limits{}, with(&get_scoring),
      Doc{"getScoring", "One scoring: how far it is, what it read and what it made", "scorings", "",
          "", "wait:integer:answer when it is over, after so many seconds at the latest"});
  routes.emplace_back(
      Method::kPost, "/api/v1/scorings/{id}/cancel", Permission::kLakeWrite, Limits{},
      with(&cancel_scoring),
      Doc{"cancelScoring", "End a scoring; nothing is written", "scorings", "", "", ""});
  return routes;
}

}  // namespace strata::doors::scorings
