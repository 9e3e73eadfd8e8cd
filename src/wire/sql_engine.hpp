#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

// What the server and the SQL engine's process say to each other, as messages of
// runtime/message_socket.
//
// On the control socket the engine first says kCommitted for each commit that the server may not
// have recorded, then kReady or kFailed; the server answers kKnown, which also settles those
// commits, the engine kReady once more; then the server says kSession, with a socket along, for
// each query, and kQuit at the end. On a session's socket the server says kRun once and perhaps
// kCancel; the engine answers kProgress at any time, then kHead, kData as often as needed and
// kDone, or kFailed in place of whatever is still to come; or kExhausted, which asks to be killed:
// its process takes ever more memory and cannot be stopped.
namespace strata::wire::sql_engine {

enum class Say : char {
  kCommitted = 'O',
  kReady = 'R',
  kKnown = 'K',
  kFailed = 'F',
  kSession = 'S',
  kQuit = 'Q',
  kRun = 'X',
  kCancel = 'C',
  kProgress = 'P',
  kHead = 'H',
  kData = 'D',
  kDone = 'Z',
  kExhausted = 'E',
};

enum class Format : std::uint8_t { kJson, kCsv, kArrow, kParquet };
std::string_view format_name(Format format);

struct ColumnInfo {
  std::string name;
  std::string type;  // as the engine writes it: "DECIMAL(18,3)", "STRUCT(a INTEGER)"
  bool operator==(const ColumnInfo&) const = default;
};

struct TableFacts {
  std::string schema;
  std::string name;
  std::string kind = "table";  // or "view"
  bool exists = true;
  std::int64_t rows = -1;  // -1 unknown
  std::vector<ColumnInfo> columns;
  std::int64_t version = 0;  // 0 unknown
};

// One state of a table. Versions count the changes to the tables of that name in the order of their
// commits, also through a drop. 0: nothing is known of it.
struct TableVersion {
  std::string schema;
  std::string name;
  std::int64_t version = 0;
  auto operator<=>(const TableVersion&) const = default;
};

// A table or view that a statement names as what it changes.
struct TableChange {
  std::string schema;
  std::string name;
  bool keeps = false;    // what it held before stays part of it, as with INSERT
  std::string formerly;  // the name that it had before ALTER ... RENAME; in the same schema
  auto operator<=>(const TableChange&) const = default;
};

struct RunStatement {
  std::string sql;
  bool changes = false;
  bool returns_rows = false;
  bool transaction = false;
  bool drops = false;        // may take along tables that it does not name
  bool conditional = false;  // by IF EXISTS or IF NOT EXISTS: it may turn out to define nothing
  std::vector<TableChange> writes = {};
  std::string note = {};  // the server's own, for the record of a commit
};

// What one statement did, once its transaction has committed.
struct StatementEffect {
  struct Write {
    TableFacts table;
    std::optional<TableVersion> from;  // the state that it was made from, if it keeps any of it
  };
  int statement = 0;                // which of the request's
  std::vector<TableVersion> reads;  // as its transaction saw them
  std::vector<Write> writes;
};

// What a transaction did that changed tables, kept in the database by that same transaction until
// the server says that it is recorded: no commit loses its record, whoever dies.
struct CommitRecord {
  std::string query;
  std::string note;     // as in the request
  bool last = false;    // of the request's transactions
  Instant committed{};  // about: when the transaction began to
  std::vector<StatementEffect> effects;
  std::vector<std::string> notes;  // of the statement of each effect
};

// A view over local files that the engine brings up to date before a query.
struct SystemView {
  std::string name;                 // in the schema "strata"
  std::vector<std::string> files;   // Parquet, relative to the data directory
  std::vector<ColumnInfo> columns;  // its shape while there are no files
  bool named = false;               // in the script
  bool readable = false;            // by the session that asks
  std::string refusal = {};         // the error of a session that may not read it
};

struct RunRequest {
  std::string query;  // its id
  std::string note;   // the server's own, for the record of a commit
  std::vector<RunStatement> statements;
  Json params;  // array (by position), object (by name) or null
  Format format = Format::kJson;
  std::uint64_t limit = 0;  // rows of the last statement's result; 0 for all
  std::string result_file;  // where a Parquet result is written
  std::vector<SystemView> views;
  std::vector<std::string> recorded =
      {};  // earlier queries whose records of commits can be dropped
};

struct Head {
  std::vector<ColumnInfo> columns;
};

struct Done {
  std::int64_t rows = 0;
  bool truncated = false;
  double cpu_ms = 0;
  std::vector<StatementEffect> effects;
};

struct Failure {
  std::string message;   // without the engine's excerpt of the statement
  std::string kind;      // "out_of_memory", "interrupted", "conflict", "fatal", "permission",
                         // "not_found", "params", "other"
  int statement = 0;     // which of the request's
  std::int64_t at = -1;  // byte in that statement's text; -1 unknown
  bool recycle = false;  // the engine's process should be replaced
  std::vector<StatementEffect> effects =
      {};  // of transactions that the script committed before it failed
};

std::string encode(const RunRequest& request);
Result<RunRequest> decode_run(std::string_view payload);
std::string encode(const Head& head);
Result<Head> decode_head(std::string_view payload);
std::string encode(const Done& done);
Result<Done> decode_done(std::string_view payload);
std::string encode(const Failure& failure);
Result<Failure> decode_failure(std::string_view payload);
std::string encode(const CommitRecord& record);
Result<CommitRecord> decode_commit_record(std::string_view payload);
// The catalog, as kReady carries it.
std::string encode(const std::vector<TableFacts>& tables);
Result<std::vector<TableFacts>> decode_tables(std::string_view payload);
// Versions that the server knows and the engine does not, as kKnown carries them.
std::string encode(const std::vector<TableVersion>& versions);
Result<std::vector<TableVersion>> decode_versions(std::string_view payload);

Json to_json(const std::vector<ColumnInfo>& columns);
std::vector<ColumnInfo> columns_from(const Json& json);

}  // namespace strata::wire::sql_engine
