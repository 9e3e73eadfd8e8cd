#include "kernel/lineage/lineage.hpp"

#include <array>
#include <limits>

#include "base/bytes.hpp"
#include "kernel/lineage/states.hpp"
#include "kernel/lineage/walk.hpp"

namespace strata::kernel {

namespace {

constexpr Migration kMigrations[] = {
    {"lineage", 1,
     "CREATE TABLE lineage_nodes (id INTEGER PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT "
     "NULL, name TEXT NOT NULL,"
     " version TEXT NOT NULL, digest TEXT NOT NULL, owner TEXT NOT NULL, time INTEGER NOT NULL, "
     "facts TEXT NOT NULL,"
     " UNIQUE (project, kind, name, version));"
     "CREATE TABLE lineage_edges (source INTEGER NOT NULL, target INTEGER NOT NULL, relation TEXT "
     "NOT NULL,"
     " time INTEGER NOT NULL, PRIMARY KEY (source, target, relation));"
     "CREATE INDEX lineage_edges_back ON lineage_edges (target);"}};

constexpr std::array<std::string_view, 19> kKinds = {"object",       "table",
                                                     "query",        "task",
                                                     "flow_run",     "run",
                                                     "dataset",      "model",
                                                     "logged_model", "endpoint",
                                                     "prediction",   "commit",
                                                     "environment",  "stream",
                                                     "feature_view", "feature_service",
                                                     "external_run", "external_dataset",
                                                     "scoring"};

// The id of a node, made on the spot when an edge names one that nobody reported yet.
Result<std::int64_t> node_id(Writer& writer, const ProjectId& project, const NodeRef& ref,
                             std::int64_t now) {
  const auto known = writer.first(
      "SELECT id FROM lineage_nodes WHERE project = ? AND kind = ? AND name = ? AND version = ?",
      {project.str(), ref.kind, ref.name, ref.version});
  if (!known) return known.error();
  if (*known) return (**known).integer(0);
  const auto made = writer.query(
      "INSERT INTO lineage_nodes (project, kind, name, version, digest, owner, time, facts)"
      " VALUES (?, ?, ?, ?, '', '', ?, '{}') RETURNING id",
      {project.str(), ref.kind, ref.name, ref.version, now});
  if (!made) return made.error();
  return made->front().integer(0);
}

Result<std::optional<Row>> find_row(Reader& r, const ProjectId& project, const NodeRef& ref,
                                    Instant as_of) {
  if (!ref.version.empty()) {
    return r.first(fmt::format("SELECT {} FROM lineage_nodes WHERE project = ? AND kind = ? AND "
                               "name = ? AND version = ?",
                               kLineageNodeColumns),
                   {project.str(), ref.kind, ref.name, ref.version});
  }
  return r.first(
      fmt::format(
          "SELECT {} FROM lineage_nodes WHERE project = ? AND kind = ? AND name = ? AND time <= ?"
          " ORDER BY time DESC, id DESC LIMIT 1",
          kLineageNodeColumns),
      {project.str(), ref.kind, ref.name, as_of.micros});
}

// The things of that name, of all kinds; as in SQL, a table may leave out the schema "main".
Result<std::vector<NodeRef>> things_of_name(Reader& r, const ProjectId& project,
                                            std::string_view name, std::string_view version) {
  const auto rows = r.query(
      fmt::format("SELECT DISTINCT kind, name FROM lineage_nodes WHERE project = ? AND kind IN "
                  "('{}') AND (name = ? OR (kind = 'table' AND name = ?)) AND (? = '' OR version = "
                  "?) ORDER BY kind, name",
                  fmt::join(kKinds, "', '")),
      {project.str(), name, fmt::format("main.{}", name), version, version});
  if (!rows) return rows.error();
  std::vector<NodeRef> found;
  for (const auto& row : *rows)
    found.push_back({row.text(0), row.text(1), std::string(version)});
  return found;
}

}  // namespace

std::string NodeRef::to_string() const {
  return version.empty() ? fmt::format("{}:{}", kind, name)
                         : fmt::format("{}:{}@{}", kind, name, version);
}

Result<NodeRef> NodeRef::parse(std::string_view text) {
  if (text.starts_with("s3://")) return parse(fmt::format("object:{}", text.substr(5)));
  const std::size_t colon = text.find(':');
  const std::string kind(text.substr(0, colon));
  const bool known = std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
  if (colon == std::string_view::npos || !known || colon + 1 == text.size()) {
    return invalid(
        "ref",
        fmt::format("'{}' names no thing: write kind:name or kind:name@version with a kind of {}",
                    printable(text), fmt::join(kKinds, ", ")));
  }
  const std::string_view rest = text.substr(colon + 1);
  const std::size_t at = rest.rfind('@');
  NodeRef ref{kind, std::string(rest.substr(0, at)), ""};
  if (at != std::string_view::npos) ref.version = rest.substr(at + 1);
  // As in SQL, a table without a schema is one of "main".
  if (kind == "table" && !ref.name.contains('.')) ref.name.insert(0, "main.");
  return ref;
}

Lineage::Lineage(Records& records, const Clock& clock) : records_(records), clock_(clock) {}

std::span<const Migration> Lineage::migrations() {
  return kMigrations;
}

Status Lineage::report(Writer& writer, const ProjectId& project, const LineageNode& node) {
  const std::int64_t time = node.time.micros != 0 ? node.time.micros : clock_.now().micros;
  const auto done = writer.execute(
      "INSERT INTO lineage_nodes (project, kind, name, version, digest, owner, time, facts) VALUES "
      "(?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT (project, kind, name, version) DO UPDATE SET"
      " digest = CASE WHEN lineage_nodes.digest = '' THEN excluded.digest ELSE "
      "lineage_nodes.digest END,"
      " owner = CASE WHEN lineage_nodes.owner = '' THEN excluded.owner ELSE lineage_nodes.owner "
      "END,"
      " facts = CASE WHEN lineage_nodes.facts = '{}' THEN excluded.facts ELSE lineage_nodes.facts "
      "END",
      {project.str(), node.ref.kind, node.ref.name, node.ref.version, node.digest, node.owner, time,
       node.facts.dump()});
  if (!done) return done.error();
  return {};
}

Status Lineage::report(Writer& writer, const ProjectId& project, const LineageEdge& edge) {
  const std::int64_t time = edge.time.micros != 0 ? edge.time.micros : clock_.now().micros;
  const auto source = node_id(writer, project, edge.from, time);
  if (!source) return source.error();
  const auto target = node_id(writer, project, edge.to, time);
  if (!target) return target.error();
  const auto done = writer.execute(
      "INSERT INTO lineage_edges (source, target, relation, time) VALUES (?, ?, ?, ?)"
      " ON CONFLICT DO NOTHING",
      {*source, *target, edge.relation, time});
  if (!done) return done.error();
  return {};
}

Task<Result<LineageNode>> Lineage::find(const ProjectId& project, const NodeRef& ref,
                                        std::optional<Instant> as_of) {
  const Instant until = as_of.value_or(Instant{std::numeric_limits<std::int64_t>::max()});
  const auto query = [&](Reader& r) -> Result<LineageNode> {
    const auto row = find_row(r, project, ref, until);
    if (!row) return row.error();
    if (!*row)
      return not_found(fmt::format("nothing is known of '{}'", printable(ref.to_string())));
    return read_lineage_node(**row);
  };
  co_return co_await records_.read(query);
}

Result<std::vector<NodeRef>> lineage_states(Reader& reader, const ProjectId& project,
                                            const NodeRef& ref, Instant as_of, Instant not_before,
                                            int limit) {
  auto row = find_row(reader, project, {ref.kind, ref.name, ""}, as_of);
  if (row && !*row) {
    row = reader.first(
        "SELECT kind, name, version FROM lineage_nodes WHERE project = ? AND kind = ? AND name = ? "
        "ORDER BY time, id LIMIT 1",
        {project.str(), ref.kind, ref.name});
  }
  if (!row) return row.error();
  if (*row) return std::vector<NodeRef>{{(*row)->text(0), (*row)->text(1), (*row)->text(2)}};
  if (ref.kind != "object") return std::vector<NodeRef>();
  // '0' is the character that follows '/'.
  const auto rows = reader.query(
      "SELECT n.kind, n.name, n.version FROM lineage_nodes n WHERE n.project = ? AND n.kind = ? "
      "AND "
      "n.name > ? AND n.name < ? AND n.time >= ? AND n.time = (SELECT MAX(m.time) FROM "
      "lineage_nodes m WHERE m.project = n.project AND m.kind = n.kind AND m.name = n.name AND "
      "m.time <= ?) ORDER BY n.name LIMIT ?",
      {project.str(), ref.kind, ref.name + "/", ref.name + "0", not_before.micros, as_of.micros,
       limit});
  if (!rows) return rows.error();
  std::vector<NodeRef> out;
  for (const auto& found : *rows)
    out.push_back({found.text(0), found.text(1), found.text(2)});
  return out;
}

Task<Result<NodeRef>> Lineage::named(const ProjectId& project, std::string_view text) {
  const auto query = [&](Reader& r) -> Result<NodeRef> {
    auto found = things_of_name(r, project, text, "");
    const std::size_t at = text.rfind('@');
    if (found && found->empty() && at != std::string_view::npos)
      found = things_of_name(r, project, text.substr(0, at), text.substr(at + 1));
    if (!found) return found.error();
    if (found->empty()) {
      return not_found(
          fmt::format("nothing is known of '{}': write a prediction's id, or kind:name or "
                      "kind:name@version with a kind of {}",
                      printable(text), fmt::join(kKinds, ", ")));
    }
    if (found->size() == 1) return found->front();
    std::string all;
    for (const auto& ref : *found)
      all += (all.empty() ? "" : " or ") + printable(ref.to_string());
    return invalid("ref", fmt::format("'{}' may be {}: write one of them", printable(text), all));
  };
  co_return co_await records_.read(query);
}

Task<Result<LineageGraph>> Lineage::walk(const ProjectId& project, const NodeRef& start,
                                         Direction direction, std::optional<Instant> as_of) {
  const Instant until = as_of.value_or(Instant{std::numeric_limits<std::int64_t>::max()});
  const auto query = [&](Reader& r) -> Result<LineageGraph> {
    const auto row = find_row(r, project, start, until);
    if (!row) return row.error();
    if (!*row)
      return not_found(fmt::format("nothing is known of '{}'", printable(start.to_string())));
    return LineageWalk(r, direction, until).from(**row);
  };
  co_return co_await records_.read(query);
}

}  // namespace strata::kernel
