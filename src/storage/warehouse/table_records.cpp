#include "storage/warehouse/table_records.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::storage::warehouse {

namespace {

using kernel::LineageEdge;
using kernel::LineageNode;
using kernel::NodeRef;
using wire::sql_engine::CommitRecord;
using wire::sql_engine::StatementEffect;
using wire::sql_engine::TableFacts;
using wire::sql_engine::TableVersion;

constexpr std::int64_t kMaxStatements = 1'000'000;  // of a script that could be sent to the engine

constexpr kernel::Migration kMigrations[] = {{"warehouse", 1, R"(
CREATE TABLE warehouse_queries (
  project TEXT NOT NULL,
  id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  sql TEXT NOT NULL,
  statement TEXT NOT NULL,
  state TEXT NOT NULL,
  started INTEGER NOT NULL,
  elapsed_us INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  cpu_ms REAL NOT NULL,
  cost REAL NOT NULL,
  error TEXT NOT NULL,
  error_code TEXT NOT NULL,
  PRIMARY KEY (project, id)
);
CREATE INDEX warehouse_queries_by_time ON warehouse_queries (project, started);
CREATE TABLE warehouse_tables (
  project TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  columns TEXT NOT NULL,
  schema_digest TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  owner TEXT NOT NULL,
  query TEXT NOT NULL,
  dropped INTEGER NOT NULL,
  PRIMARY KEY (project, schema_name, name)
);
)"},
                                             // Whether what the query committed is recorded.
                                             {"warehouse", 2, R"(
ALTER TABLE warehouse_queries ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
)"}};

std::string schema_digest(const TableFacts& facts) {
  return content_digest(wire::sql_engine::to_json(facts.columns).dump());
}

struct Known {
  std::int64_t version = 0;
  bool dropped = true;
  std::string digest;
};

Result<Known> known(kernel::Reader& reader, const ProjectId& project, const std::string& schema,
                    const std::string& name) {
  auto row = reader.first(
      "SELECT version, dropped, schema_digest FROM warehouse_tables WHERE project = ? AND "
      "schema_name = ? AND name = ?",
      {project.str(), schema, name});
  if (!row) return std::move(row).error();
  if (!*row) return Known{};
  return Known{(*row)->integer(0), (*row)->integer(1) != 0, (*row)->text(2)};
}

Status put_table(kernel::Writer& writer, const ProjectId& project, const TableFacts& facts,
                 std::int64_t version, Instant now, const std::string& owner,
                 const std::string& query) {
  auto done = writer.execute(
      "INSERT INTO warehouse_tables (project, schema_name, name, kind, row_count, columns, "
      "schema_digest, version, "
      "updated, owner, query, dropped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) "
      "ON CONFLICT (project, schema_name, name) DO UPDATE SET kind = excluded.kind, row_count = "
      "excluded.row_count, "
      "columns = excluded.columns, schema_digest = excluded.schema_digest, version = "
      "excluded.version, "
      "updated = excluded.updated, query = excluded.query, "
      "owner = CASE WHEN dropped = 1 THEN excluded.owner ELSE owner END, dropped = 0 "
      // Of two commits that come to be recorded out of their order, the later one stands.
      "WHERE excluded.version > warehouse_tables.version OR dropped = 1",
      {project.str(), facts.schema, facts.name, facts.kind, facts.rows,
       wire::sql_engine::to_json(facts.columns).dump(), schema_digest(facts), version, now.micros,
       owner, query});
  if (!done) return std::move(done).error();
  return {};
}

Status drop_table(kernel::Writer& writer, const ProjectId& project, const std::string& schema,
                  const std::string& name, std::int64_t version, Instant now) {
  auto done = writer.execute(
      "UPDATE warehouse_tables SET dropped = 1, updated = ? WHERE project = ? AND schema_name = ? "
      "AND name = ? AND version <= ?",
      {now.micros, project.str(), schema, name, version});
  if (!done) return std::move(done).error();
  return {};
}

std::string short_digest(const std::string& digest) {
  return digest.substr(digest.find(':') + 1).substr(0, 16);
}

NodeRef table_ref(const std::string& schema, const std::string& name, std::int64_t version) {
  return {"table", schema + "." + name, std::to_string(version)};
}

NodeRef table_ref(const TableVersion& table) {
  return table_ref(table.schema, table.name, table.version);
}

Status mark_settled(kernel::Writer& writer, const ProjectId& project, const std::string& id) {
  auto done = writer.execute(
      "UPDATE warehouse_queries SET settled = 1 WHERE project = ? AND id = ?", {project.str(), id});
  if (!done) return std::move(done).error();
  return {};
}

// What is known of a query beside its commits.
Result<QueryOutcome> lost_outcome(kernel::Reader& reader, const ProjectId& project,
                                  const CommitRecord& commit) {
  const Json note = parse_json(commit.note).value_or(Json());
  auto history = read_history(reader, project, "", commit.query, 1);
  if (!history) return std::move(history).error();
  QueryOutcome outcome;
  if (history->empty()) {
    outcome.info.id = commit.query;
    outcome.info.user = note.text("user");
    outcome.info.state = "unknown";
    outcome.info.started = commit.committed;
  } else {
    outcome.info = std::move(history->front());
  }
  outcome.project = project;
  outcome.caller.project = project;
  outcome.caller.user_name = note.text("user");
  outcome.caller.task = note.text("task");
  const auto count = std::clamp<std::int64_t>(note.integer("statements"), 0, kMaxStatements);
  outcome.statements.resize(static_cast<std::size_t>(count));
  return outcome;
}

Status add_commit(QueryOutcome& outcome, const CommitRecord& commit) {
  for (std::size_t i = 0; i < commit.effects.size() && i < commit.notes.size(); ++i) {
    const auto index = static_cast<std::size_t>(commit.effects[i].statement);
    if (commit.effects[i].statement < 0 || index >= outcome.statements.size())
      return internal("a commit names a statement that its query does not have");
    auto note = parse_json(commit.notes[i]);
    if (!note) return note.error().wrap("the note of a statement cannot be read");
    auto& statement = outcome.statements[index];
    statement = {note->text("head"), note->text("sql"), {}, false};
    for (const auto& source :
         (*note)["sources"].is_array() ? (*note)["sources"].as_array() : Json::Array{}) {
      auto ref = kernel::NodeRef::parse(source.as_string());
      if (!ref) return ref.error().wrap("the note of a statement names no source");
      statement.sources.push_back(*std::move(ref));
    }
    const Json& objects = (*note)["objects"];
    for (std::size_t k = 0; k < objects.size(); ++k) {
      const Json& object = objects.as_array()[k];
      statement.objects_read.push_back(
          {object.text("bucket"), object.text("key"),
           static_cast<std::uint64_t>(std::max<std::int64_t>(object.integer("size"), 0)),
           object.text("digest")});
    }
    outcome.effects.push_back(commit.effects[i]);
  }
  outcome.ended = commit.committed;
  auto note = parse_json(commit.note);
  if (!note) return note.error().wrap("the note of a commit cannot be read");
  // Files that it was still to write to the lake are lost with the one who would have stored them.
  if (commit.last && !note->boolean("outputs")) {
    outcome.info.state = "finished";
    outcome.info.error.clear();
    outcome.info.error_code.clear();
    outcome.info.elapsed_us =
        std::max(outcome.info.elapsed_us, commit.committed.micros - outcome.info.started.micros);
  }
  return {};
}

// Reports what one statement did: its part of the graph, the tables' new states, the events.
class Report {
 public:
  Report(kernel::Writer& writer, const RecordPorts& ports, const QueryOutcome& outcome,
         const StatementEffect& effect)
      : writer_(writer),
        audit_(ports.audit),
        events_(ports.events),
        lineage_(ports.lineage),
        outcome_(outcome),
        effect_(effect),
        statement_(outcome.statements[static_cast<std::size_t>(effect.statement)]),
        // The statements of a script are nodes of their own: what one reads is no source of what
        // another one makes.
        query_{
            "query", outcome.info.id,
            outcome.statements.size() > 1 ? std::to_string(effect.statement + 1) : std::string()} {}

  Status run() {
    STRATA_TRY(audit());
    for (const auto& write : effect_.writes) {
      if (!write.table.exists) STRATA_TRY(dropped(write.table));
    }
    const bool made = statement_.wrote_objects ||
                      std::any_of(effect_.writes.begin(), effect_.writes.end(),
                                  [](const auto& write) { return write.table.exists; });
    // Nothing follows from a query that only looked; what a step of a pipeline saw, its work may
    // rest upon.
    if (!made)
      return outcome_.caller.task.empty() ? Status() : reads({"task", outcome_.caller.task, ""});
    STRATA_TRY(statement());
    for (const auto& write : effect_.writes) {
      if (write.table.exists) STRATA_TRY(written(write));
    }
    return {};
  }

  Status object(const LakeObject& object, bool first) {
    STRATA_TRY(audit_one("object.copy", object_node(object)));
    if (first) STRATA_TRY(statement());
    return edge(query_, object_node(object), "wrote");
  }

 private:
  // The statement itself and what it was made from.
  Status statement() {
    LineageNode node{
        query_, "", outcome_.info.user, outcome_.ended,
        Json::object({{"sql", statement_.sql.substr(0, 4000)}, {"statement", statement_.head}})};
    STRATA_TRY(lineage_.report(writer_, outcome_.project, node));
    if (!outcome_.caller.task.empty())
      STRATA_TRY(edge({"task", outcome_.caller.task, ""}, query_, "ran"));
    return reads(query_);
  }

  // "CREATE TABLE" is "table.create"; what is no table or view is told by its query, whose text the
  // history keeps.
  Status audit() {
    const auto words = split(to_lower(statement_.head), ' ');
    for (const auto& [table, from] : effect_.writes) {
      const NodeRef ref = table_ref(table.schema, table.name, table.version);
      STRATA_TRY(audit_one(table.kind + "." + words[0], ref));
    }
    const bool defines = words[0] == "create" || words[0] == "drop" || words[0] == "alter";
    if (!defines || words.size() < 2 || words[1] == "table" || words[1] == "view") return {};
    return audit_one(words[1] + "." + words[0], query_);
  }
  Status audit_one(std::string_view action, const NodeRef& target) {
    return audit_.record(writer_, outcome_.caller, action, target.to_string(),
                         Json::object({{"query", outcome_.info.id}}));
  }

  Status reads(const NodeRef& reader) {
    for (const auto& object : statement_.objects_read)
      STRATA_TRY(edge(object_node(object), reader, "read"));
    for (const auto& source : statement_.sources)
      STRATA_TRY(edge(source, reader, "read"));
    for (const auto& table : effect_.reads) {
      // UPDATE reads the table that it changes; that it goes on from it says more.
      const bool goes_on =
          std::any_of(effect_.writes.begin(), effect_.writes.end(),
                      [&](const StatementEffect::Write& write) { return write.from == table; });
      if (table.version > 0 && !goes_on) STRATA_TRY(edge(table_ref(table), reader, "read"));
    }
    return {};
  }

  Status dropped(const TableFacts& facts) {
    auto before = known(writer_, outcome_.project, facts.schema, facts.name);
    if (!before) return std::move(before).error();
    if (before->dropped) return {};
    STRATA_TRY(drop_table(writer_, outcome_.project, facts.schema, facts.name, facts.version,
                          outcome_.ended));
    return events_.publish(writer_, outcome_.project, "table.dropped", subject(facts),
                           Json::object({{"query", outcome_.info.id}}));
  }

  Status written(const StatementEffect::Write& write) {
    const TableFacts& facts = write.table;
    STRATA_TRY(put_table(writer_, outcome_.project, facts, facts.version, outcome_.ended,
                         outcome_.info.user, outcome_.info.id));
    const NodeRef ref = table_ref(facts.schema, facts.name, facts.version);
    const std::string digest = schema_digest(facts);
    LineageNode node{ref, "", outcome_.info.user, outcome_.ended,
                     Json::object({{"kind", facts.kind},
                                   {"rows", facts.rows},
                                   {"schema_digest", digest},
                                   {"columns", wire::sql_engine::to_json(facts.columns)}})};
    STRATA_TRY(lineage_.report(writer_, outcome_.project, node));
    if (write.from && write.from->version > 0) {
      const bool renamed = write.from->schema != facts.schema || write.from->name != facts.name;
      STRATA_TRY(edge(table_ref(*write.from), query_, renamed ? "renamed" : "extended"));
    }
    STRATA_TRY(edge(query_, ref, "wrote"));
    return events_.publish(writer_, outcome_.project, "table.committed", subject(facts),
                           Json::object({{"version", facts.version},
                                         {"rows", facts.rows},
                                         {"schema_digest", digest},
                                         {"query", outcome_.info.id}}));
  }

  static std::string subject(const TableFacts& facts) {
    return "table:" + facts.schema + "." + facts.name;
  }
  Status edge(const NodeRef& from, const NodeRef& to, std::string relation) {
    return lineage_.report(writer_, outcome_.project,
                           LineageEdge{from, to, std::move(relation), outcome_.ended});
  }

  kernel::Writer& writer_;
  kernel::Audit& audit_;
  kernel::EventBus& events_;
  kernel::Lineage& lineage_;
  const QueryOutcome& outcome_;
  const StatementEffect& effect_;
  const StatementFacts& statement_;
  NodeRef query_;
};

}  // namespace

NodeRef object_node(const LakeObject& object) {
  return {"object", object.bucket + "/" + object.key, short_digest(object.digest)};
}

std::span<const kernel::Migration> warehouse_migrations() {
  return kMigrations;
}

Status insert_query(kernel::Writer& writer, const ProjectId& project, const QueryInfo& info) {
  auto done = writer.execute(
      "INSERT INTO warehouse_queries (project, id, user_name, sql, statement, state, started, "
      "elapsed_us, rows, bytes, "
      "cpu_ms, cost, error, error_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (project, id) DO UPDATE SET state = excluded.state, elapsed_us = "
      "excluded.elapsed_us, "
      "rows = excluded.rows, bytes = excluded.bytes, cpu_ms = excluded.cpu_ms, cost = "
      "excluded.cost, "
      "error = excluded.error, error_code = excluded.error_code",
      {project.str(), info.id, info.user, info.sql, info.statement, info.state, info.started.micros,
       info.elapsed_us, info.rows, info.bytes, info.cpu_ms, info.cost, info.error,
       info.error_code});
  if (!done) return std::move(done).error();
  return {};
}

Status commit_object(kernel::Writer& writer, const RecordPorts& ports, const QueryOutcome& outcome,
                     std::size_t statement, const LakeObject& object, bool first) {
  const auto number = static_cast<int>(statement);
  const auto effect = std::find_if(
      outcome.effects.begin(), outcome.effects.end(),
      [number](const StatementEffect& candidate) { return candidate.statement == number; });
  if (effect == outcome.effects.end())
    return internal("the SQL engine did not tell what a statement read that wrote an object");
  return Report(writer, ports, outcome, *effect).object(object, first);
}

Status commit_outcome(kernel::Writer& writer, const RecordPorts& ports,
                      const QueryOutcome& outcome) {
  auto before =
      writer.first("SELECT settled, state FROM warehouse_queries WHERE project = ? AND id = ?",
                   {outcome.project.str(), outcome.info.id});
  if (!before) return std::move(before).error();
  // A new engine may have come before this call, and told all there is to know.
  const bool settled = *before && (*before)->integer(0) != 0;
  if (settled && !outcome.whole && (*before)->text(1) == "finished") return {};
  STRATA_TRY(insert_query(writer, outcome.project, outcome.info));
  if (!outcome.whole || settled) return {};
  STRATA_TRY(mark_settled(writer, outcome.project, outcome.info.id));
  for (const auto& effect : outcome.effects) {
    if (effect.statement < 0 ||
        static_cast<std::size_t>(effect.statement) >= outcome.statements.size())
      continue;
    STRATA_TRY(Report(writer, ports, outcome, effect).run());
  }
  return {};
}

std::string note_of(const QueryOutcome& outcome, bool has_outputs) {
  return Json::object({{"user", outcome.caller.user_name},
                       {"task", outcome.caller.task},
                       {"statements", outcome.statements.size()},
                       {"outputs", has_outputs}})
      .dump();
}

std::string note_of(const StatementFacts& statement) {
  Json objects = Json::array();
  for (const auto& object : statement.objects_read) {
    objects.push(Json::object({{"bucket", object.bucket},
                               {"key", object.key},
                               {"size", object.size},
                               {"digest", object.digest}}));
  }
  Json sources = Json::array();
  for (const auto& source : statement.sources)
    sources.push(source.to_string());
  return Json::object({{"head", statement.head},
                       {"sql", statement.sql},
                       {"objects", std::move(objects)},
                       {"sources", std::move(sources)}})
      .dump();
}

Status settle_commits(kernel::Writer& writer, const RecordPorts& ports, const ProjectId& project,
                      const std::vector<CommitRecord>& commits) {
  std::vector<QueryOutcome> outcomes;  // one of each query, in the order of their first commits
  for (const auto& commit : commits) {
    auto found = std::find_if(outcomes.begin(), outcomes.end(), [&](const QueryOutcome& outcome) {
      return outcome.info.id == commit.query;
    });
    if (found == outcomes.end()) {
      auto outcome = lost_outcome(writer, project, commit);
      if (!outcome) return std::move(outcome).error();
      found = outcomes.insert(found, std::move(*outcome));
    }
    if (auto added = add_commit(*found, commit); !added) {
      // The catalog still tells what has changed, and SQL goes on.
      log::error("warehouse.commit",
                 Json::object({{"query", commit.query}, {"error", added.error().message}}));
    }
  }
  for (const auto& outcome : outcomes) {
    auto settled =
        writer.first("SELECT 1 FROM warehouse_queries WHERE project = ? AND id = ? AND settled = 1",
                     {project.str(), outcome.info.id});
    if (!settled) return std::move(settled).error();
    if (!*settled) STRATA_TRY(commit_outcome(writer, ports, outcome));
  }
  return {};
}

Result<std::vector<TableVersion>> reconcile_tables(kernel::Writer& writer, const ProjectId& project,
                                                   const std::vector<TableFacts>& catalog,
                                                   Instant now) {
  std::map<std::pair<std::string, std::string>, bool> present;
  for (const auto& facts : catalog) {
    present[{facts.schema, facts.name}] = true;
    auto before = known(writer, project, facts.schema, facts.name);
    if (!before) return std::move(before).error();
    const bool same = !before->dropped && before->digest == schema_digest(facts);
    if (same && facts.version <= before->version) continue;
    const std::int64_t version = std::max(facts.version, before->version + 1);
    STRATA_TRY(put_table(writer, project, facts, version, now, "", ""));
  }
  auto rows = writer.query(
      "SELECT schema_name, name, version, dropped FROM warehouse_tables WHERE project = ?",
      {project.str()});
  if (!rows) return std::move(rows).error();
  std::vector<TableVersion> versions;
  for (const auto& row : *rows) {
    versions.push_back({row.text(0), row.text(1), row.integer(2)});
    if (row.integer(3) != 0 || present.contains({row.text(0), row.text(1)})) continue;
    STRATA_TRY(drop_table(writer, project, row.text(0), row.text(1), row.integer(2), now));
  }
  return versions;
}

Status close_lost_queries(kernel::Writer& writer, const ProjectId& project) {
  auto done = writer.execute(
      "UPDATE warehouse_queries SET state = 'unknown', error = 'the server ended while this "
      "statement ran; its changes of tables are either all there or not at all, and lineage names "
      "the objects that it wrote', error_code = 'unavailable' WHERE state = 'running' "
      "AND project = ?",
      {project.str()});
  if (!done) return std::move(done).error();
  return {};
}

Result<std::vector<QueryInfo>> read_history(kernel::Reader& reader, const ProjectId& project,
                                            const std::string& user, const std::string& id,
                                            int limit) {
  auto rows = reader.query(
      "SELECT id, user_name, sql, statement, state, started, elapsed_us, rows, bytes, cpu_ms, "
      "cost, error, error_code "
      "FROM warehouse_queries WHERE project = ? AND (? = '' OR user_name = ?) AND (? = '' OR id = "
      "?) "
      "ORDER BY started DESC LIMIT ?",
      {project.str(), user, user, id, id, limit});
  if (!rows) return std::move(rows).error();
  std::vector<QueryInfo> out;
  for (const auto& row : *rows) {
    QueryInfo info;
    info.id = row.text(0);
    info.user = row.text(1);
    info.sql = row.text(2);
    info.statement = row.text(3);
    info.state = row.text(4);
    info.started = Instant{row.integer(5)};
    info.elapsed_us = row.integer(6);
    info.rows = row.integer(7);
    info.bytes = row.integer(8);
    info.cpu_ms = row.real(9);
    info.cost = row.real(10);
    info.error = row.text(11);
    info.error_code = row.text(12);
    out.push_back(std::move(info));
  }
  return out;
}

Result<std::vector<TableInfo>> read_tables(kernel::Reader& reader, const ProjectId& project) {
  auto rows = reader.query(
      "SELECT schema_name, name, kind, row_count, columns, version, updated, owner FROM "
      "warehouse_tables "
      "WHERE project = ? AND dropped = 0 ORDER BY schema_name, name",
      {project.str()});
  if (!rows) return std::move(rows).error();
  std::vector<TableInfo> out;
  for (const auto& row : *rows) {
    auto columns = parse_json(row.text(4));
    if (!columns) return columns.error().wrap("the columns of a table cannot be read");
    out.push_back({row.text(0), row.text(1), row.text(2), row.integer(3),
                   wire::sql_engine::columns_from(*columns), row.integer(5),
                   Instant{row.integer(6)}, row.text(7)});
  }
  return out;
}

Result<std::optional<Warehouse::TableState>> Warehouse::table_state(kernel::Reader& reader,
                                                                    const ProjectId& project,
                                                                    const std::string& schema,
                                                                    const std::string& name) {
  auto row = reader.first(
      "SELECT kind, row_count, columns, version, updated, owner, dropped FROM warehouse_tables "
      "WHERE project = ? AND schema_name = ? AND name = ?",
      {project.str(), schema, name});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<TableState>();
  auto columns = parse_json((*row)->text(2));
  if (!columns) return columns.error().wrap("the columns of a table cannot be read");
  TableState state;
  state.info = {schema,
                name,
                (*row)->text(0),
                (*row)->integer(1),
                wire::sql_engine::columns_from(*columns),
                (*row)->integer(3),
                Instant{(*row)->integer(4)},
                (*row)->text(5)};
  state.dropped = (*row)->integer(6) != 0;
  return std::optional(std::move(state));
}

}  // namespace strata::storage::warehouse
