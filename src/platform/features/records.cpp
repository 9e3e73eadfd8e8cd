#include "platform/features/records.hpp"

#include <array>

#include <fmt/format.h>

namespace strata::platform::features {

using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"features", 1, R"sql(
CREATE TABLE feature_projects (project TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE feature_definitions (project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  definition TEXT NOT NULL, version TEXT NOT NULL, number INTEGER NOT NULL,
  updated_us INTEGER NOT NULL, updated_by TEXT NOT NULL, PRIMARY KEY (project, kind, name));
CREATE TABLE feature_versions (project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  version TEXT NOT NULL, number INTEGER NOT NULL, definition TEXT NOT NULL, plan TEXT NOT NULL,
  created_us INTEGER NOT NULL, created_by TEXT NOT NULL,
  PRIMARY KEY (project, kind, name, version));
)sql"}}};

template <class T>
const T* value_of(const std::map<std::string, T>& all, const std::string& name) {
  const auto at = all.find(name);
  return at == all.end() ? nullptr : &at->second;
}

// The number of the version: its own if it was there before, else the next.
Result<std::int64_t> write_version(Writer& writer, const kernel::Caller& by, const Change& change,
                                   const Json& definition, const Json& plan, Instant now) {
  const std::string project = by.project.str();
  auto known = writer.first(
      "SELECT number FROM feature_versions WHERE project = ? AND kind = ? AND name = ? AND "
      "version = ?",
      {project, change.kind, change.name, change.version});
  if (!known) return std::move(known).error();
  if (*known) return (*known)->integer(0);
  auto last = writer.first(
      "SELECT COALESCE(MAX(number), 0) FROM feature_versions WHERE project = ? AND kind = ? AND "
      "name = ?",
      {project, change.kind, change.name});
  if (!last) return std::move(last).error();
  const std::int64_t number = (*last)->integer(0) + 1;
  STRATA_TRY(writer.execute(
      "INSERT INTO feature_versions (project, kind, name, version, number, definition, plan, "
      "created_us, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {project, change.kind, change.name, change.version, number, definition.dump(), plan.dump(),
       now.micros, by.user_name}));
  return number;
}

const Json& plan_of(const Catalog& catalog, const Change& change) {
  static const Json none;
  if (change.kind == "service") return catalog.services.at(change.name).plan;
  const PlannedView* const view = value_of(catalog.views, change.name);
  return view == nullptr ? none : view->plan;
}

kernel::NodeRef source_node(const std::string& name, const Source& source) {
  if (source.kind == Source::Kind::kTable) return {"table", source.location, ""};
  if (source.kind == Source::Kind::kObject) return {"object", source.location.substr(5), ""};
  return {"stream", name, ""};
}

}  // namespace

std::span<const kernel::Migration> feature_migrations() {
  return kMigrations;
}

Json definition_of(const Catalog& catalog, const Change& change) {
  const Definitions& all = catalog.definitions;
  if (change.kind == "entity") return to_json(all.entities.at(change.name));
  if (change.kind == "source") return to_json(all.sources.at(change.name));
  if (change.kind == "view") return to_json(all.views.at(change.name));
  if (change.kind == "on_demand") return to_json(all.on_demand.at(change.name));
  return to_json(all.services.at(change.name));
}

Status write_change(Writer& writer, const kernel::Caller& by, const Catalog& catalog,
                    const Change& change, Instant now) {
  const Json definition = definition_of(catalog, change);
  std::int64_t number = 0;
  if (!change.version.empty()) {
    const auto written =
        write_version(writer, by, change, definition, plan_of(catalog, change), now);
    if (!written) return written.error();
    number = *written;
  }
  return writer
      .execute(
          "INSERT INTO feature_definitions (project, kind, name, definition, version, number, "
          "updated_us, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, kind, "
          "name) DO UPDATE SET definition = excluded.definition, version = excluded.version, "
          "number = excluded.number, updated_us = excluded.updated_us, updated_by = "
          "excluded.updated_by",
          {by.project.str(), change.kind, change.name, definition.dump(), change.version, number,
           now.micros, by.user_name})
      .and_then([](auto) { return Status(); });
}

Status report_lineage(Writer& writer, kernel::Lineage& lineage, const kernel::Caller& by,
                      const Catalog& catalog, const Change& change, Instant now) {
  if (change.version.empty()) return {};
  const auto view_node = [&](const std::string& name) {
    return kernel::NodeRef{"feature_view", name, catalog.views.at(name).version};
  };
  const auto edge = [&](const kernel::NodeRef& from, const kernel::NodeRef& to,
                        std::string_view relation) {
    return lineage.report(writer, by.project, {from, to, std::string(relation), now});
  };
  const Json facts = Json::object({{"kind", change.kind}});
  if (change.kind == "service") {
    const PlannedService& service = catalog.services.at(change.name);
    const kernel::NodeRef node{"feature_service", change.name, service.version};
    STRATA_TRY(
        lineage.report(writer, by.project, {node, service.version, by.user_name, now, facts}));
    for (const auto& feature : service.features)
      STRATA_TRY(edge(view_node(feature.view), node, "served"));
    return {};
  }
  const PlannedView& view = catalog.views.at(change.name);
  const kernel::NodeRef node = view_node(change.name);
  STRATA_TRY(lineage.report(writer, by.project, {node, view.version, by.user_name, now, facts}));
  for (const auto& read : view.reads)
    STRATA_TRY(edge(view_node(read), node, "computed"));
  if (view.on_demand) return {};
  return edge(source_node(view.source, catalog.definitions.sources.at(view.source)), node, "read");
}

Result<std::vector<Listed>> read_listed(Reader& reader, const std::string& project) {
  const auto rows = reader.query(
      "SELECT kind, name, version, number, updated_by, updated_us, definition FROM "
      "feature_definitions WHERE project = ? ORDER BY kind, name",
      {project});
  if (!rows) return rows.error();
  std::vector<Listed> out;
  for (const auto& row : *rows) {
    auto definition = parse_json(row.text(6));
    if (!definition) return definition.error().wrap("features: a stored definition is damaged");
    out.push_back({row.text(0),
                   row.text(1),
                   row.text(2),
                   row.integer(3),
                   row.text(4),
                   Instant{row.integer(5)},
                   *std::move(definition),
                   {}});
  }
  return out;
}

Result<std::vector<Version>> read_versions(Reader& reader, const std::string& project,
                                           const std::string& kind, const std::string& name) {
  const auto rows = reader.query(
      "SELECT version, created_by, number, created_us, plan FROM feature_versions WHERE project = "
      "? AND kind = ? AND name = ? ORDER BY number DESC LIMIT 1000",
      {project, kind, name});
  if (!rows) return rows.error();
  std::vector<Version> out;
  for (const auto& row : *rows) {
    auto plan = parse_json(row.text(4));
    if (!plan) return plan.error().wrap("features: a stored plan is damaged");
    out.push_back(
        {row.text(0), row.text(1), row.integer(2), Instant{row.integer(3)}, *std::move(plan)});
  }
  return out;
}

}  // namespace strata::platform::features
