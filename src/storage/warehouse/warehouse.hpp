#pragma once

// The warehouse: SQL over tables and lake files in an engine process of its own. Scripts commit as
// a whole and durably, reach files only with their caller's rights, and fail alone; versions,
// lineage, events and history follow in one commit. The contract in full stands at the class
// Warehouse.

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"
#include "storage/warehouse/engine_host.hpp"
#include "storage/warehouse/object_access.hpp"
#include "storage/warehouse/sql_text.hpp"
#include "wire/sql_engine.hpp"

namespace strata::storage::warehouse {

using wire::sql_engine::ColumnInfo;
using wire::sql_engine::Format;

// A file of the server's own that a statement may read besides the lake's objects.
struct LocalFile {
  std::string name;  // how the statement names it: "s3://BUCKET/KEY", with no legal bucket
  std::string path;  // absolute, on the file system of the data directory
  std::optional<kernel::NodeRef> source;  // what it is made from, for the lineage of who reads it
};

struct QueryRequest {
  std::string
      sql;  // one statement, or a script that runs as one transaction and answers its last result
  Json params;  // array or object of values for ?, $1 or $name; for single statements
  Format format = Format::kJson;
  std::uint64_t limit = 0;  // rows of the answer; 0 for all
  std::chrono::milliseconds timeout{300'000};
  std::string id;                // chosen by the caller so that it can cancel; made here when empty
  std::stop_token given_up;      // cancels it while its first bytes are waited for
  std::vector<LocalFile> local;  // never from outside of the server
};

struct QueryInfo {
  std::string id;
  std::string user;
  std::string sql;
  std::string statement;  // "SELECT", "CREATE TABLE"; the last one's of a script
  std::string state;  // "queued", "running", "finished", "failed", "cancelled" or "unknown" (the
                      // server died meanwhile, and no engine has told yet)
  Instant started;
  std::int64_t elapsed_us = 0;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  double cpu_ms = 0;
  double cost = 0;       // in the node's currency; 0 where no price is set
  double progress = -1;  // percent while it runs; -1 unknown
  std::string error;
  std::string error_code;
};

struct QueryOutcome;

struct TableInfo {
  std::string schema;
  std::string name;
  std::string kind;        // "table", "view" or "system view"
  std::int64_t rows = -1;  // -1 unknown
  std::vector<ColumnInfo> columns;
  std::int64_t version = 0;  // counts the statements that changed it
  Instant updated;
  std::string owner;
};

// The state of an object that was read or made, in the lineage.
kernel::NodeRef object_node(const LakeObject& object);

// What the last statement of a query saw and did.
struct QueryFacts {
  std::vector<ColumnInfo> columns;  // of the answer
  std::int64_t rows = 0;
  std::vector<LakeObject> objects_read;
  std::vector<wire::sql_engine::TableVersion> tables_read;
  std::vector<wire::sql_engine::TableVersion> tables_written;
};

// The bytes of an answer as they arrive. Destroyed before its end, it cancels the query. An error
// in the middle breaks the stream off, so that nobody takes a part for the whole.
class QueryStream : public ByteSource {
 public:
  virtual const std::string& id() const = 0;
  // Whole once all was read.
  virtual QueryFacts facts() const = 0;
};

// SQL over tables and over the lake's files, in an engine process of its own.
//
// Promises: a script's changes are committed as a whole before its answer ends, and survive power
// loss; a statement reaches lake objects with its caller's rights and no other files; what kills or
// exhausts the engine fails alone. After a commit follow, in one commit of the records: the
// versions of the changed tables, lineage (object and table -> query -> table and object), the
// event "table.committed" and the query's history, each statement of a script by itself. When the
// server or the engine dies in between, all that follows when the engine starts next. Costs: 33 MB
// and some 100 ms for the first query; the process ends after five idle minutes. At most kSlots
// queries run, of one user kUserSlots, and kMaxWaiting wait. Threads: all methods from any loop.
class Warehouse {
 public:
  static constexpr int kSlots = 4;
  static constexpr int kUserSlots = 3;  // one is left for the others, whatever a user does
  static constexpr int kMaxWaiting = 64;
  static constexpr std::size_t kMaxObjects = 10'000;  // that one query may name by patterns

  struct Ports {
    kernel::Records& records;
    kernel::Audit& audit;
    kernel::EventBus& events;
    kernel::Lineage& lineage;
    ObjectAccess& objects;
    BlockingPool& pool;
    TaskScope& scope;
    LoopGroup& loops;
    const Clock& clock;
    Random& random;
    kernel::Caller system;  // whose project the tables belong to
    // What so much processor time costs on this node; may be empty.
    std::function<double(std::chrono::microseconds cpu)> cost;
  };
  Warehouse(Ports ports, EngineHostOptions engine);
  ~Warehouse();
  static std::span<const kernel::Migration> migrations();

  // Marks queries that a dead server left running as unknown. Blocks.
  Status start();
  // Takes no new queries and cancels those that still run two seconds later. Does not block.
  void drain();
  // Lets the engine write all into its database and end, once the queries that run have ended, so
  // that the file can be copied. Blocks.
  void release() { host_.retire(); }
  // Ends the engine; queries that still run fail. Blocks.
  void stop();

  // Runs a script. Returns when its first bytes, or all of a short answer, are there: most errors
  // are seen here. Errors: kInvalidArgument, kUnsupported, field "sql:LINE:COLUMN";
  // kPermissionDenied (sql:query, lake:read for objects, lake:write for changes, and what a system
  // view needs), kResourceExhausted
  // (memory, or too many queries wait), kDeadlineExceeded, kCancelled, kUnavailable (the engine
  // died), kConflict (another transaction changed the same rows: retry), and the lake's.
  Task<Result<std::unique_ptr<QueryStream>>> query(const kernel::Caller& caller,
                                                   QueryRequest request);
  // The whole answer of a short query, for callers inside of the server. Errors: kTooLarge.
  Task<Result<Json>> query_json(const kernel::Caller& caller, QueryRequest request);

  // Errors: kNotFound, also for other users' queries unless the caller is an administrator.
  Task<Status> cancel(const kernel::Caller& caller, std::string id);
  Task<Result<QueryInfo>> find(const kernel::Caller& caller, std::string id);
  // Newest first, those that run included.
  Task<Result<std::vector<QueryInfo>>> history(const kernel::Caller& caller, int limit);
  Task<Result<std::vector<TableInfo>>> tables(const kernel::Caller& caller);
  // What the records say of one table, for work of the server's own: also of one that was dropped,
  // whose `info.updated` is when. Nothing for a table that never was.
  struct TableState {
    TableInfo info;
    bool dropped = false;
  };
  static Result<std::optional<TableState>> table_state(kernel::Reader& reader,
                                                       const ProjectId& project,
                                                       const std::string& schema,
                                                       const std::string& name);

  // A read-only view strata.NAME over Parquet files that another part of the server writes.
  struct SystemView {
    std::string name;
    kernel::Permission permission;    // without which nobody reads it, by whatever views of users
    std::string folder;               // below the data directory; nothing else is opened to SQL
    std::vector<ColumnInfo> columns;  // its shape while there are no files
    // The files that make up the view now, with absolute paths; may block. `fresh` with all that
    // was to be in it when it was asked for, for a script that names the view.
    std::function<std::vector<std::string>(bool fresh)> files;
  };
  // Before start().
  void add_system_view(SystemView view);

  EngineHost& engine() { return host_; }

 private:
  struct Run;
  class Stream;
  friend class Stream;

  Task<Result<void>> prepare(std::shared_ptr<Run> run);
  Task<Result<void>> begin(std::shared_ptr<Run> run);
  Task<Result<void>> materialise(std::shared_ptr<Run> run);
  struct Keys {
    std::vector<std::string> all;
    bool by_pattern = false;
  };
  Task<Result<Keys>> keys_of(std::shared_ptr<Run> run, LakePath path);
  Task<Result<std::string>> materialise_path(std::shared_ptr<Run> run, std::size_t statement,
                                             LakePath path, std::size_t number);
  Task<Result<std::string>> bring(std::shared_ptr<Run> run, std::size_t statement,
                                  const LocalFile& file);
  Task<Result<std::string>> prepare_output(std::shared_ptr<Run> run, std::size_t statement,
                                           LakePath target, std::size_t number);
  struct WrittenFile {
    std::size_t statement = 0;
    std::string bucket;
    std::string key;
    std::string path;
  };
  Result<std::vector<WrittenFile>> written_files(const Run& run) const;
  Task<Result<void>> store_outputs(std::shared_ptr<Run> run);
  void measure(Run& run) const;
  Task<Result<bool>> advance(std::shared_ptr<Run> run);
  Task<Result<void>> finish(std::shared_ptr<Run> run, std::optional<Error> error);
  Task<void> abandon(std::shared_ptr<Run> run);
  Task<Result<void>> record(std::shared_ptr<Run> run);
  QueryOutcome outcome_of(const Run& run) const;
  std::vector<std::string> take_recorded();
  Task<void> record_later(std::shared_ptr<Run> run);
  Task<Result<void>> admit(std::shared_ptr<Run> run);
  void leave(Run& run);
  Error explain(const Run& run, const wire::sql_engine::Failure& failure) const;
  Error engine_died(Run& run);
  std::string tail(const Run& run) const;
  void interrupt(Run& run, Code why);
  void interrupt_all();
  QueryInfo describe(const Run& run) const;
  Result<std::vector<wire::sql_engine::TableVersion>> reconcile(
      const std::vector<wire::sql_engine::TableFacts>& catalog,
      const std::vector<wire::sql_engine::CommitRecord>& commits);
  Task<void> watch_idle();

  Ports ports_;
  EngineHost host_;
  std::string data_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Run>> running_;
  int busy_ = 0;
  std::map<std::string, int> busy_of_;  // by user
  std::vector<std::string> recorded_;   // queries whose commits the engine need not keep any more
  int waiting_ = 0;
  std::atomic<bool> ended_{false};
  Signal freed_;
  Signal stopping_;
  std::vector<SystemView> views_;
};

}  // namespace strata::storage::warehouse
