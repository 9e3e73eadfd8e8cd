#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

// What the server and the SQL engine's process say to each other, as messages of
// runtime/message_socket.
//
// On the control socket the engine first says kReady or kFailed; the server says kSession, with a
// socket along, for each query, and kQuit at the end. On a session's socket the server says kRun
// once and perhaps kCancel; the engine answers kProgress at any time, then kHead, kData as often as
// needed and kDone, or kFailed in place of whatever is still to come.
namespace strata::wire::sql_engine {

enum class Say : char {
  kReady = 'R',
  kFailed = 'F',
  kSession = 'S',
  kQuit = 'Q',
  kRun = 'X',
  kCancel = 'C',
  kProgress = 'P',
  kHead = 'H',
  kData = 'D',
  kDone = 'Z',
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
};

struct RunStatement {
  std::string sql;
  bool changes = false;
  bool returns_rows = false;
  bool transaction = false;
};

// A view over local files that the engine brings up to date before a query that names it.
struct SystemView {
  std::string name;                 // in the schema "strata"
  std::vector<std::string> files;   // Parquet, relative to the data directory
  std::vector<ColumnInfo> columns;  // its shape while there are no files
};

struct RunRequest {
  std::vector<RunStatement> statements;
  Json params;  // array (by position), object (by name) or null
  Format format = Format::kJson;
  std::uint64_t limit = 0;  // rows of the last statement's result; 0 for all
  std::string result_file;  // where a Parquet result is written
  std::vector<std::pair<std::string, std::string>>
      writes;            // schema and name of the tables that may change
  bool defines = false;  // report the whole catalog afterwards
  std::vector<SystemView> views;
};

struct Head {
  std::vector<ColumnInfo> columns;
};

struct Done {
  std::int64_t rows = 0;
  bool truncated = false;
  double cpu_ms = 0;
  std::vector<std::pair<std::string, std::string>> reads;  // schema and name of the tables read
  std::vector<TableFacts> writes;
  bool has_catalog = false;
  std::vector<TableFacts> catalog;
};

struct Failure {
  std::string message;   // without the engine's excerpt of the statement
  std::string kind;      // "out_of_memory", "interrupted", "conflict", "fatal", "permission",
                         // "not_found", "other"
  int statement = 0;     // which of the request's
  std::int64_t at = -1;  // byte in that statement's text; -1 unknown
  bool recycle = false;  // the engine's process should be replaced
};

std::string encode(const RunRequest& request);
Result<RunRequest> decode_run(std::string_view payload);
std::string encode(const Head& head);
Result<Head> decode_head(std::string_view payload);
std::string encode(const Done& done);
Result<Done> decode_done(std::string_view payload);
std::string encode(const Failure& failure);
Result<Failure> decode_failure(std::string_view payload);
// The catalog, as kReady carries it.
std::string encode(const std::vector<TableFacts>& tables);
Result<std::vector<TableFacts>> decode_tables(std::string_view payload);

Json to_json(const std::vector<ColumnInfo>& columns);
std::vector<ColumnInfo> columns_from(const Json& json);

}  // namespace strata::wire::sql_engine
