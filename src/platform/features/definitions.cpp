#include "platform/features/definitions.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace strata::platform::features {

namespace {

// A duration as parse_duration() reads it.
Json millis(std::chrono::milliseconds time) {
  return fmt::format("{}ms", time.count());
}

void add_notes(Json& to, const Notes& notes) {
  if (!notes.description.empty()) to.set("description", notes.description);
  if (!notes.owner.empty()) to.set("owner", notes.owner);
  if (notes.tags.empty()) return;
  Json tags = Json::object();
  for (const auto& [name, value] : notes.tags)
    tags.set(name, value);
  to.set("tags", std::move(tags));
}

Json names_json(const std::vector<std::string>& names) {
  Json out = Json::array();
  for (const auto& name : names)
    out.push(name);
  return out;
}

Json columns_json(const std::vector<Column>& columns) {
  Json out = Json::object();
  for (const auto& column : columns)
    out.set(column.name, type_name(column.type));
  return out;
}

Json aggregate_json(const Feature& feature) {
  const Aggregate& aggregate = *feature.aggregate;
  Json out = Json::object({{"aggregate", function_name(aggregate.function)}});
  if (!feature.expression.empty()) out.set("of", feature.expression);
  if (!aggregate.where.empty()) out.set("where", aggregate.where);
  out.set("window", millis(aggregate.window));
  if (aggregate.tumbling) out.set("tumbling", true);
  return out;
}

Json features_json(const std::map<std::string, Feature>& features) {
  Json out = Json::object();
  for (const auto& [name, feature] : features) {
    Json one = feature.aggregate ? aggregate_json(feature)
                                 : Json::object({{"expression", feature.expression}});
    if (!feature.description.empty()) one.set("description", feature.description);
    out.set(name, std::move(one));
  }
  return out;
}

template <class T>
void add_all(Json& to, std::string_view name, const std::map<std::string, T>& all) {
  if (all.empty()) return;
  Json out = Json::object();
  for (const auto& [key, value] : all)
    out.set(key, to_json(value));
  to.set(name, std::move(out));
}

}  // namespace

std::string_view function_name(Aggregate::Function function) {
  constexpr std::array<std::string_view, 10> kNames = {"count", "sum",           "mean",   "min",
                                                       "max",   "variance",      "stddev", "first",
                                                       "last",  "count_distinct"};
  return kNames.at(static_cast<std::size_t>(function));
}

bool is_feature_name(std::string_view text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && text.size() <= 64 && letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

const Column* Source::find(std::string_view column) const {
  const auto at = std::ranges::find(columns, column, &Column::name);
  return at == columns.end() ? nullptr : &*at;
}

Json to_json(const Entity& entity) {
  Json out = Json::object({{"keys", columns_json(entity.keys)}});
  add_notes(out, entity.notes);
  return out;
}

Json to_json(const Source& source) {
  Json out = Json::object();
  if (source.kind == Source::Kind::kStream) out.set("stream", true);
  if (source.kind == Source::Kind::kTable) out.set("table", source.location);
  if (source.kind == Source::Kind::kObject) out.set("object", source.location);
  out.set("columns", columns_json(source.columns));
  out.set("timestamp", source.timestamp);
  if (!source.created.empty()) out.set("created", source.created);
  add_notes(out, source.notes);
  return out;
}

Json to_json(const View& view) {
  Json out = Json::object({{"entities", names_json(view.entities)}, {"source", view.source}});
  if (view.ttl) out.set("ttl", millis(*view.ttl));
  if (view.fresh) out.set("fresh", millis(*view.fresh));
  if (!view.event_id.empty()) out.set("event_id", names_json(view.event_id));
  out.set("features", features_json(view.features));
  add_notes(out, view.notes);
  return out;
}

Json to_json(const OnDemandView& view) {
  Json out = Json::object();
  if (!view.request.empty()) out.set("request", columns_json(view.request));
  out.set("features", features_json(view.features));
  add_notes(out, view.notes);
  return out;
}

Json to_json(const Service& service) {
  Json out = Json::object({{"features", names_json(service.features)}});
  add_notes(out, service.notes);
  return out;
}

Json to_json(const Definitions& definitions) {
  Json out = Json::object();
  add_all(out, "entities", definitions.entities);
  add_all(out, "sources", definitions.sources);
  add_all(out, "views", definitions.views);
  add_all(out, "on_demand", definitions.on_demand);
  add_all(out, "services", definitions.services);
  return out;
}

}  // namespace strata::platform::features
