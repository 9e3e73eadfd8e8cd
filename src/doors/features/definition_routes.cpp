#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/features/feature_routes.hpp"

namespace strata::doors::features {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::features::Change;
using platform::features::Column;
using platform::features::Document;
using platform::features::Features;
using platform::features::Listed;
using platform::features::Page;
using platform::features::Planned;
using platform::features::Search;
using platform::features::Shown;

namespace {

constexpr std::uint64_t kMaxBody = 4U << 20;

constexpr std::string_view kBody =
    R"({"type":"object","properties":{"yaml":{"type":"string"},"file":{"type":"string"},
"definitions":{"type":"object"}},"additionalProperties":false})";

Json texts(const std::vector<std::string>& values) {
  Json out = Json::array();
  for (const auto& value : values)
    out.push(value);
  return out;
}

Json columns_json(const std::vector<Column>& columns) {
  Json out = Json::array();
  for (const auto& column : columns)
    out.push(Json::object({{"name", column.name}, {"type", type_name(column.type)}}));
  return out;
}

Json listed_json(const Listed& one) {
  return Json::object({{"kind", one.kind},
                       {"name", one.name},
                       {"version", one.version},
                       {"number", one.number},
                       {"owner", one.definition.text("owner")},
                       {"description", one.definition.text("description")},
                       {"updated", to_rfc3339(one.updated)},
                       {"updated_by", one.updated_by},
                       {"equal_to", texts(one.equal_to)},
                       {"definition", one.definition}});
}

Json planned_json(const Planned& planned) {
  Json changes = Json::array();
  for (std::size_t i = 0; i < planned.changes.size(); ++i) {
    const Change& change = planned.changes[i];
    changes.push(Json::object({{"kind", change.kind},
                               {"name", change.name},
                               {"change", change_name(change.what)},
                               {"version", change.version},
                               {"previous", change.previous},
                               {"changed_features", texts(change.changed)},
                               {"removed_features", texts(change.removed)},
                               {"equal_to", texts(change.equal_to)},
                               {"services", texts(change.services)},
                               {"models", texts(planned.models[i])}}));
  }
  return Json::object({{"changes", std::move(changes)}});
}

Json shown_json(const Shown& shown) {
  Json features = Json::array();
  for (const auto& one : shown.features) {
    features.push(
        Json::object({{"view", one.view}, {"name", one.feature}, {"type", type_name(one.type)}}));
  }
  Json versions = Json::array();
  for (const auto& one : shown.versions) {
    versions.push(Json::object({{"version", one.version},
                                {"number", one.number},
                                {"created", to_rfc3339(one.created)},
                                {"created_by", one.created_by},
                                {"plan", one.plan}}));
  }
  Json out = listed_json(shown.listed);
  out.set("features", std::move(features));
  out.set("keys", columns_json(shown.keys));
  out.set("request", columns_json(shown.request));
  out.set("readers", texts(shown.readers));
  out.set("versions", std::move(versions));
  return out;
}

Result<Document> document_of(const Json& body) {
  const bool yaml = body["yaml"].is_string();
  if (yaml == body["definitions"].is_object())
    return invalid("yaml", "yaml: send either yaml (text) or definitions (an object)");
  return yaml ? platform::features::read_features_yaml(body.text("yaml"),
                                                       body.text("file", "features.yaml"))
              : platform::features::read_features_json(body["definitions"]);
}

using Verb = Task<Result<Planned>> (Features::*)(const kernel::Caller&,
                                                 const platform::features::Definitions&);

Task<Response> take(const Authorized& call, Features& features, Verb verb,
                    const http::ErrorForm& error_form) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_form(body.error(), call.request());
  const auto document = document_of(*body);
  if (!document) co_return error_form(document.error(), call.request());
  const auto planned = co_await (features.*verb)(call.caller(), document->definitions);
  if (planned) co_return Response::json(planned_json(*planned));
  const std::string file = body->text("file", "features.yaml");
  co_return error_form(platform::features::located(planned.error(), file, document->places),
                       call.request());
}

Result<Search> search_of(const http::Request& request) {
  const auto value = [&](std::string_view name) {
    return std::string(request.query_value(name).value_or(""));
  };
  Search out{value("q"),          value("kind"),   value("owner"), value("column"),
             value("expression"), value("source"), value("after"), 100};
  const auto limit = query_integer(request, "limit", 100, 1, 1000);
  if (!limit) return limit.error();
  out.limit = static_cast<int>(*limit);
  return out;
}

Task<Response> list(const Authorized& call, Features& features, const http::ErrorForm& error_form) {
  const auto search = search_of(call.request());
  if (!search) co_return error_form(search.error(), call.request());
  const auto page = co_await features.list(call.caller(), *search);
  if (!page) co_return error_form(page.error(), call.request());
  Json items = Json::array();
  for (const auto& one : page->items)
    items.push(listed_json(one));
  co_return Response::json(
      Json::object({{"items", std::move(items)},
                    {"features", texts(page->features)},
                    {"next", page->next.empty() ? Json() : Json(page->next)}}));
}

Task<Response> show(const Authorized& call, Features& features, const http::ErrorForm& error_form) {
  const std::string kind = call.param("kind");
  const std::string name = call.param("name");
  const auto shown = co_await features.show(call.caller(), kind, name);
  if (!shown) co_return error_form(shown.error(), call.request());
  co_return Response::json(shown_json(*shown));
}

}  // namespace

std::vector<Route> definition_routes(Features& features, const http::ErrorForm& error_form) {
  Features* const store = &features;
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kPost, "/api/v1/features/plan", Permission::kFeatureRead, Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) {
        return take(call, *store, &Features::plan, error_form);
      },
      http::Doc{"planFeatures", "What applying definitions would change", "features", kBody, "",
                ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/features/apply", Permission::kFeatureWrite, Limits{.body = kMaxBody},
      [store, error_form](const Authorized& call) {
        return take(call, *store, &Features::apply, error_form);
      },
      http::Doc{"applyFeatures", "Take definitions over those that stand, as a whole", "features",
                kBody, "", ""});
  routes.emplace_back(
      Method::kGet, "/api/v1/features", Permission::kFeatureRead, Limits{},
      [store, error_form](const Authorized& call) { return list(call, *store, error_form); },
      http::Doc{"listFeatures", "Definitions, searched by text, owner, column or computation",
                "features", "", "",
                "q:string:text in names, descriptions, features and tags;kind:string:entity, "
                "source, view, on_demand or service;owner:string:who owns it;column:string:column "
                "of a source that it reads;expression:string:what computes the same;source:string:"
                "of the columns in expression;after:string:next of the page before;limit:integer:"
                "at most so many, up to 1000"});
  routes.emplace_back(
      Method::kGet, "/api/v1/features/{kind}/{name}", Permission::kFeatureRead, Limits{},
      [store, error_form](const Authorized& call) { return show(call, *store, error_form); },
      http::Doc{"getFeature", "One definition with its versions and readers", "features", "", "",
                ""});
  return routes;
}

}  // namespace strata::doors::features
