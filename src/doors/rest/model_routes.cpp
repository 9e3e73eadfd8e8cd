#include "doors/rest/model_routes.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::models::Models;
using platform::models::Version;
using platform::tracking::Tracking;

namespace {

constexpr std::int64_t kMaxVersions = 500;

template <class T, class F>
Json list_of(const std::vector<T>& all, F encode) {
  Json list = Json::array();
  for (const auto& one : all)
    list.push(encode(one));
  return list;
}

Json tags_json(const std::vector<platform::models::KeyValue>& tags) {
  Json json = Json::object();
  for (const auto& tag : tags)
    json.set(tag.key, Json(tag.value));
  return json;
}

Json version_json(const Version& version) {
  return Json::object(
      {{"name", Json(version.name)},
       {"version", Json(version.version)},
       {"digest", Json(version.digest)},
       {"package_digest", Json(version.package_digest)},
       {"owner", Json(version.owner)},
       {"team", Json(version.team)},
       {"description", Json(version.description)},
       {"status", Json(version.status)},
       {"status_message", Json(version.status_message)},
       {"stage", Json(version.stage)},
       {"source", Json(version.source)},
       {"run_id", Json(version.run_id)},
       {"model_id", Json(version.model_id)},
       {"created", Json(to_rfc3339(Instant::from_millis(version.created_ms)))},
       {"updated", Json(to_rfc3339(Instant::from_millis(version.updated_ms)))},
       {"aliases", list_of(version.aliases, [](const std::string& alias) { return Json(alias); })},
       {"tags", tags_json(version.tags)}});
}

Json model_json(const platform::models::Model& model) {
  Json aliases = Json::object();
  for (const auto& alias : model.aliases)
    aliases.set(alias.name, Json(alias.version));
  std::int64_t newest = 0;
  for (const auto& version : model.latest)
    newest = std::max(newest, version.version);
  return Json::object({{"name", Json(model.name)},
                       {"description", Json(model.description)},
                       {"owner", Json(model.owner)},
                       {"team", Json(model.team)},
                       {"created", Json(to_rfc3339(Instant::from_millis(model.created_ms)))},
                       {"updated", Json(to_rfc3339(Instant::from_millis(model.updated_ms)))},
                       {"latest_version", newest == 0 ? Json() : Json(newest)},
                       {"aliases", std::move(aliases)},
                       {"tags", tags_json(model.tags)}});
}

Json move_json(const platform::models::AliasMove& move) {
  return Json::object({{"alias", Json(move.alias)},
                       {"from", move.from ? Json(*move.from) : Json()},
                       {"to", move.to ? Json(*move.to) : Json()},
                       {"digest", Json(move.digest)},
                       {"actor", Json(move.actor)},
                       {"time", Json(to_rfc3339(move.time))},
                       {"approved_by", move.approved_by.empty() ? Json() : Json(move.approved_by)},
                       {"request", move.request == 0 ? Json() : Json(move.request)},
                       {"override", move.override_of}});
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name)
    out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

Task<Response> list_models(const Authorized& call, Models& models) {
  const auto limit =
      query_integer(call.request(), "limit", 100, 1, platform::models::kMaxModelsPerPage);
  if (!limit) co_return error_response(limit.error(), call.request());
  platform::models::ModelSearch search;
  search.max_results = *limit;
  search.page_token = call.request().query_value("page_token").value_or("");
  if (const auto part = call.request().query_value("name"); part && !part->empty()) {
    search.filter = fmt::format("name ILIKE {}", quoted(fmt::format("%{}%", *part)));
  }
  const auto page = co_await models.search_models(call.caller(), std::move(search));
  if (!page) co_return error_response(page.error(), call.request());
  co_return Response::json(Json::object(
      {{"models", list_of(page->items, model_json)},
       {"next_page_token", page->next_page_token.empty() ? Json() : Json(page->next_page_token)}}));
}

// The newest versions, each with the latest metrics of the run that made it.
Task<Result<Json>> versions_of(const Authorized& call, Models& models, Tracking& tracking,
                               const std::string& name) {
  platform::models::ModelSearch search;
  search.filter = fmt::format("name = {}", quoted(name));
  search.order_by = {"version_number DESC"};
  search.max_results = kMaxVersions;
  auto page = co_await models.search_versions(call.caller(), std::move(search));
  if (!page) co_return std::move(page).error();
  Json list = Json::array();
  for (const auto& version : page->items) {
    Json json = version_json(version);
    Json metrics = Json::object();
    if (!version.run_id.empty()) {
      const auto run = co_await tracking.run(call.caller(), version.run_id);
      if (run) {
        for (const auto& metric : run->metrics)
          metrics.set(metric.key, Json(metric.value));
      }
    }
    json.set("metrics", std::move(metrics));
    list.push(std::move(json));
  }
  co_return list;
}

// MLflow keeps prompts among the registered models, marked by a tag; here they are none.
Task<Result<platform::models::Model>> model_of(const Authorized& call, Models& models) {
  const std::string name = call.param("name");
  auto model = co_await models.model(call.caller(), name);
  if (!model) co_return model;
  for (const auto& tag : model->tags) {
    if (tag.key != "mlflow.prompt.is_prompt" || tag.value != "true") continue;
    co_return not_found(fmt::format(
        "'{}' is a prompt and no model: MLflow's client has it (mlflow.genai)", printable(name)));
  }
  co_return model;
}

Task<Response> get_model(const Authorized& call, Models& models, Tracking& tracking) {
  const std::string name = call.param("name");
  const auto model = co_await model_of(call, models);
  if (!model) co_return error_response(model.error(), call.request());
  auto versions = co_await versions_of(call, models, tracking, name);
  if (!versions) co_return error_response(versions.error(), call.request());
  const auto moves = co_await models.alias_history(call.caller(), name);
  if (!moves) co_return error_response(moves.error(), call.request());
  Json answer = model_json(*model);
  answer.set("versions", std::move(*versions));
  answer.set("alias_history", list_of(*moves, move_json));
  co_return Response::json(answer);
}

Task<Response> list_files(const Authorized& call, Models& models) {
  const auto number = to_int(call.param("version"));
  if (!number)
    co_return error_response(invalid("version", "version: not an integer"), call.request());
  const auto version = co_await models.version(call.caller(), call.param("name"), *number);
  if (!version) co_return error_response(version.error(), call.request());
  const auto files = co_await models.version_files(call.caller(), call.param("name"), *number);
  if (!files) co_return error_response(files.error(), call.request());
  co_return Response::json(
      Json::object({{"digest", Json(version->digest)},
                    {"package_digest", Json(version->package_digest)},
                    {"files", list_of(*files, [](const platform::models::ModelFile& file) {
                       return Json::object({{"path", Json(file.path)},
                                            {"size", Json(file.size)},
                                            {"sha256", Json(file.sha256)}});
                     })}}));
}

Task<Response> set_alias(const Authorized& call, Models& models) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto model = co_await model_of(call, models);
  if (!model) co_return error_response(model.error(), call.request());
  const auto done =
      co_await models.set_alias(call.caller(), call.param("name"), call.param("alias"),
                                body->integer("version"), body->text("override"));
  if (!done) co_return error_response(done.error(), call.request());
  const auto version =
      co_await models.version_by_alias(call.caller(), call.param("name"), call.param("alias"));
  if (!version) co_return error_response(version.error(), call.request());
  co_return Response::json(version_json(*version));
}

Task<Response> delete_alias(const Authorized& call, Models& models) {
  const auto model = co_await model_of(call, models);
  if (!model) co_return error_response(model.error(), call.request());
  const auto done =
      co_await models.delete_alias(call.caller(), call.param("name"), call.param("alias"));
  if (!done) co_return error_response(done.error(), call.request());
  co_return Response::json(Json::object());
}

constexpr std::string_view kAliasSchema =
    R"json({"type":"object","required":["version"],"additionalProperties":false,
  "properties":{"version":{"type":"integer","minimum":1},
  "override":{"type":"string","maxLength":2000}}})json";

}  // namespace

std::vector<Route> model_routes(Models& models, Tracking& tracking) {
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kGet, "/api/v1/models", Permission::kModelRead, http::Limits{},
      [&](const Authorized& call) { return list_models(call, models); },
      http::Doc{"listModels", "Registered models", "models", "", "",
                "name:string:part of the name, in any case;limit:integer:most models of a page;"
                "page_token:string:where the page before ended"});
  routes.emplace_back(
      Method::kGet, "/api/v1/models/{name}", Permission::kModelRead, http::Limits{},
      [&](const Authorized& call) { return get_model(call, models, tracking); },
      http::Doc{"getModel",
                "A model with its versions, their metrics and the history of its aliases", "models",
                "", "", ""});
  routes.emplace_back(
      Method::kGet, "/api/v1/models/{name}/versions/{version}/files", Permission::kModelRead,
      http::Limits{}, [&](const Authorized& call) { return list_files(call, models); },
      http::Doc{"listModelFiles", "The frozen files of a version with their SHA-256", "models", "",
                "", ""});
  routes.emplace_back(
      Method::kPut, "/api/v1/models/{name}/aliases/{alias}", Permission::kModelWrite,
      http::Limits{}, [&](const Authorized& call) { return set_alias(call, models); },
      http::Doc{"setModelAlias", "Let an alias name a version", "models", kAliasSchema, "", ""});
  routes.emplace_back(
      Method::kDelete, "/api/v1/models/{name}/aliases/{alias}", Permission::kModelWrite,
      http::Limits{}, [&](const Authorized& call) { return delete_alias(call, models); },
      http::Doc{"deleteModelAlias", "Take an alias away", "models", "", "", ""});
  return routes;
}

}  // namespace strata::doors::rest
