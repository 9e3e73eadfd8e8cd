#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "storage/warehouse/object_access.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::storage::warehouse {

// One statement of a query, beside what the engine tells of it.
struct StatementFacts {
  std::string head;  // "CREATE TABLE"
  std::string sql;
  std::vector<LakeObject> objects_read;
  bool wrote_objects = false;                 // each was told of when it was made
  std::vector<kernel::NodeRef> sources = {};  // what the server's own files that it read stand for
};

// What a query leaves behind, for the records.
struct QueryOutcome {
  QueryInfo info;
  bool whole = true;  // nothing that it committed is missing here
  ProjectId project;
  kernel::Caller caller;  // with its task, when a step of a pipeline asked
  Instant ended;
  std::vector<StatementFacts> statements;
  std::vector<wire::sql_engine::StatementEffect> effects;  // of its committed transactions
};

// Where what a query did is told.
struct RecordPorts {
  kernel::Audit& audit;
  kernel::EventBus& events;
  kernel::Lineage& lineage;
};

// Rows of warehouse_queries and warehouse_tables. All calls belong into a read or write of the
// records.
Status insert_query(kernel::Writer& writer, const ProjectId& project, const QueryInfo& info);
// The edge and the audit entry of one object that a statement made; with the first one, what the
// statement read. Belongs into the write that makes the object.
Status commit_object(kernel::Writer& writer, const RecordPorts& ports, const QueryOutcome& outcome,
                     std::size_t statement, const LakeObject& object, bool first);
// History, versions, lineage, audit log and events of one query.
Status commit_outcome(kernel::Writer& writer, const RecordPorts& ports,
                      const QueryOutcome& outcome);
// Records what was committed while nobody recorded it: the server or the engine died in between.
// Takes what the engine kept of it; commits that are recorded already are passed over.
Status settle_commits(kernel::Writer& writer, const RecordPorts& ports, const ProjectId& project,
                      const std::vector<wire::sql_engine::CommitRecord>& commits);
// The parts of an outcome that the engine keeps for settle_commits().
std::string note_of(const QueryOutcome& outcome, bool has_outputs);
std::string note_of(const StatementFacts& statement);
// Brings the list of tables in line with what the engine has; the versions that stand then, those
// of dropped tables included.
Result<std::vector<wire::sql_engine::TableVersion>> reconcile_tables(
    kernel::Writer& writer, const ProjectId& project,
    const std::vector<wire::sql_engine::TableFacts>& catalog, Instant now);
// Queries that no server runs any more.
Status close_lost_queries(kernel::Writer& writer, const ProjectId& project);

// `user` empty for all users'.
Result<std::vector<QueryInfo>> read_history(kernel::Reader& reader, const ProjectId& project,
                                            const std::string& user, const std::string& id,
                                            int limit);
Result<std::vector<TableInfo>> read_tables(kernel::Reader& reader, const ProjectId& project);

std::span<const kernel::Migration> warehouse_migrations();

}  // namespace strata::storage::warehouse
