#include "engines/duckdb/engine.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.hpp"
#include "engines/duckdb/encoder.hpp"
#include "engines/duckdb/kernel_functions.hpp"
#include "engines/duckdb/values.hpp"

namespace strata::engines::duckdb {

namespace {

using wire::sql_engine::ColumnInfo;
using wire::sql_engine::TableFacts;

std::string database_file(const EngineOptions& options) {
  return options.folder + "/strata.duckdb";
}

std::string name(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"') out += c;
    out += c;
  }
  return out + "\"";
}

double process_cpu_ms() {
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// A former engine may still be writing its log back after its server was killed. It holds a lock on
// the database until it ends; the server that waits for this process bounds the wait.
Status wait_for_former_engine(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? Status() : Status(from_errno(errno, "open", "database"));
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  int got = 0;
  do {
    got = ::fcntl(file, F_SETLKW, &lock);
  } while (got != 0 && errno == EINTR);
  const int number = errno;
  ::close(file);  // which gives the lock back
  if (got != 0) return from_errno(number, "fcntl", "database");
  return {};
}

// Statements that would set a variable are refused to users, by storage/warehouse/sql_text and by
// the session.
std::string variable_of(const wire::sql_engine::SystemView& view) {
  return "strata_view_" + view.name;
}

constexpr std::string_view kColumnsOf =
    "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
    "WHERE database_name = 'warehouse' AND NOT internal";

}  // namespace

std::string quote_text(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

std::string table_name(std::string_view schema, std::string_view table) {
  return "warehouse." + name(schema) + "." + name(table);
}

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  auto library = Library::load(options.library);
  if (!library) return std::move(library).error();
  std::unique_ptr<Engine> engine(new Engine(std::move(*library)));
  char* message = nullptr;
  if (engine->library_->open_ext(":memory:", &engine->database_, nullptr, &message) !=
      DuckDBSuccess) {
    const std::string reason = message != nullptr ? message : "unknown";
    engine->library_->free(message);
    return Error(Code::kUnavailable, "the SQL engine does not start: " + reason);
  }
  engine->memory_mb_ = options.memory_mb;
  STRATA_TRY(engine->configure(options));
  return engine;
}

std::int64_t Engine::resident_mb() {
  std::array<char, 64> text{};
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const auto got = ::read(file, text.data(), text.size());
  ::close(file);
  const std::string_view all(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  const auto parts = split(all, ' ');
  if (parts.size() < 2) return 0;
  return to_int(parts[1]).value_or(0) * (::sysconf(_SC_PAGESIZE) >> 10U) >> 10U;
}

Engine::~Engine() {
  if (database_ != nullptr) library_->close(&database_);
}

Status Engine::configure(const EngineOptions& options) {
  Connection connection(*library_);
  if (library_->connect(database_, connection.out()) != DuckDBSuccess)
    return internal("the SQL engine refuses connections");
  STRATA_TRY(register_kernels(*library_, connection));
  STRATA_TRY(wait_for_former_engine(database_file(options)));
  if (auto attached =
          run(connection, "ATTACH " + quote_text(database_file(options)) + " AS warehouse");
      !attached) {
    const bool held = attached.error().message.contains("lock");
    return Error(held ? Code::kUnavailable : Code::kDataLoss,
                 "the warehouse cannot be opened: " + attached.error().message);
  }
  STRATA_TRY(run(connection, "CREATE SCHEMA IF NOT EXISTS warehouse.strata"));
  STRATA_TRY(drop_system_views(connection));
  STRATA_TRY(commits_.open(ask(connection)));
  std::string folders = quote_text(options.spool);
  for (const auto& folder : options.view_folders)
    folders += ", " + quote_text(folder);
  const std::vector<std::string> settings = {
      "autoinstall_known_extensions = false",
      "autoload_known_extensions = false",
      "memory_limit = " + quote_text(std::to_string(options.memory_mb) + "MiB"),
      "threads = " + std::to_string(options.threads),
      "temp_directory = " + quote_text(options.spool + "/tmp"),
      "max_temp_directory_size = " + quote_text("20GiB"),
      "extension_directory = " + quote_text(options.spool),
      "home_directory = " + quote_text(options.spool),
      "secret_directory = " + quote_text(options.spool),
      "allow_persistent_secrets = false",
      "allow_community_extensions = false",
      "preserve_insertion_order = true",
      "TimeZone = 'UTC'",
      "allowed_directories = [" + folders + "]",
      "enable_external_access = false",
      "lock_configuration = true",  // last: nothing can be changed from here on
  };
  for (const auto& setting : settings)
    STRATA_TRY(run(connection, "SET GLOBAL " + setting));
  return {};
}

Result<Connection> Engine::connect() const {
  Connection connection(*library_);
  if (library_->connect(database_, connection.out()) != DuckDBSuccess) {
    return Error(Code::kUnavailable, "the SQL engine refuses connections");
  }
  STRATA_TRY(run(connection, "USE warehouse.main"));
  // The engine counts progress only where it would show a bar.
  STRATA_TRY(run(connection, "PRAGMA disable_print_progress_bar"));
  STRATA_TRY(run(connection, "PRAGMA enable_progress_bar"));
  return connection;
}

Status Engine::run(const Connection& connection, const std::string& sql) const {
  QueryResult result(*library_);
  if (library_->query(connection.get(), sql.c_str(), result.out()) == DuckDBSuccess) return {};
  const char* message = library_->result_error(result.out());
  return Error(Code::kInternal,
               message != nullptr ? message : "the SQL engine failed without a reason");
}

Commits::Ask Engine::ask(const Connection& connection) const {
  return [this, &connection](const std::string& sql) {
    return rows(connection, sql);
  };
}

Result<std::vector<std::vector<std::string>>> Engine::rows(const Connection& connection,
                                                           const std::string& sql) const {
  QueryResult result(*library_);
  if (library_->query(connection.get(), sql.c_str(), result.out()) != DuckDBSuccess) {
    return Error(Code::kInternal, library_->result_error(result.out()));
  }
  std::vector<CellReader> cells;
  for (idx_t i = 0; i < library_->column_count(result.out()); ++i) {
    const Type type(*library_, library_->column_logical_type(result.out(), i));
    cells.emplace_back(*library_, type.get());
  }
  std::vector<std::vector<std::string>> out;
  while (true) {
    Chunk chunk(*library_, library_->fetch_chunk(result.get()));
    if (!chunk) return out;
    for (idx_t i = 0; i < cells.size(); ++i)
      cells[i].attach(library_->data_chunk_get_vector(chunk.get(), i));
    for (idx_t row = 0; row < library_->data_chunk_get_size(chunk.get()); ++row) {
      std::vector<std::string> line(cells.size());
      for (std::size_t i = 0; i < cells.size(); ++i)
        cells[i].append_text(line[i], row);
      out.push_back(std::move(line));
    }
  }
}

Result<std::vector<TableFacts>> Engine::catalog(const Connection& connection) const {
  auto tables =
      rows(connection,
           "SELECT schema_name, table_name, 'table', estimated_size FROM duckdb_tables() "
           "WHERE database_name = 'warehouse' AND NOT internal AND NOT temporary AND schema_name "
           "<> 'strata' UNION ALL "
           "SELECT schema_name, view_name, 'view', -1 FROM duckdb_views() "
           "WHERE database_name = 'warehouse' AND NOT internal AND NOT temporary AND schema_name "
           "<> 'strata' ORDER BY 1, 2");
  if (!tables) return std::move(tables).error();
  auto columns = rows(connection, std::string(kColumnsOf) + " ORDER BY 1, 2, column_index");
  if (!columns) return std::move(columns).error();
  std::map<std::pair<std::string, std::string>, std::vector<ColumnInfo>> by_table;
  for (auto& row : *columns)
    by_table[{row[0], row[1]}].push_back({row[2], row[3]});
  std::vector<TableFacts> out;
  for (const auto& row : *tables) {
    out.push_back(
        {row[0], row[1], row[2], true, to_int(row[3]).value_or(-1), by_table[{row[0], row[1]}], 0});
  }
  commits_.number(out);
  return out;
}

Result<std::vector<TableFacts>> Engine::names(const Connection& connection,
                                              const std::string& condition) const {
  auto found = rows(
      connection,
      "SELECT schema_name, table_name, kind FROM (SELECT database_name, temporary, schema_name, "
      "table_name, 'table' AS kind FROM duckdb_tables() UNION ALL SELECT database_name, temporary, "
      "schema_name, view_name, 'view' FROM duckdb_views()) WHERE database_name = 'warehouse' AND "
      "NOT temporary" +
          condition);
  if (!found) return std::move(found).error();
  std::vector<TableFacts> out;
  for (const auto& row : *found)
    out.push_back({row[0], row[1], row[2], true, -1, {}, 0});
  return out;
}

Result<std::optional<TableFacts>> Engine::find(const Connection& connection,
                                               const std::string& schema,
                                               const std::string& table) const {
  auto found = names(connection, " AND lower(schema_name) = lower(" + quote_text(schema) +
                                     ") AND lower(table_name) = lower(" + quote_text(table) + ")");
  if (!found) return std::move(found).error();
  if (found->empty()) return std::optional<TableFacts>();
  return std::optional(std::move(found->front()));
}

Result<std::string> Engine::definitions(const Connection& connection) const {
  auto found = rows(connection,
                    "SELECT md5(string_agg(definition, ';' ORDER BY definition)) FROM (SELECT "
                    "concat_ws(' ', 'schema', schema_name) AS definition, database_name FROM "
                    "duckdb_schemas() UNION ALL SELECT sql, database_name FROM duckdb_tables() "
                    "UNION ALL SELECT sql, database_name FROM duckdb_views() UNION ALL SELECT "
                    "concat_ws(' ', 'macro', schema_name, function_name, parameters::VARCHAR, "
                    "macro_definition), database_name FROM duckdb_functions() UNION ALL SELECT "
                    "concat_ws(' ', 'type', schema_name, type_name), database_name FROM "
                    "duckdb_types() UNION ALL SELECT concat_ws(' ', 'sequence', schema_name, "
                    "sequence_name), database_name FROM duckdb_sequences() UNION ALL SELECT "
                    "concat_ws(' ', 'index', schema_name, index_name), database_name FROM "
                    "duckdb_indexes()) WHERE database_name = 'warehouse'");
  if (!found) return std::move(found).error();
  return found->empty() ? std::string() : std::move((*found)[0][0]);
}

Result<TableFacts> Engine::facts(const Connection& connection, const std::string& schema,
                                 const std::string& table) const {
  auto found = find(connection, schema, table);
  if (!found) return std::move(found).error();
  if (!*found) return TableFacts{schema, table, "table", false, -1, {}, 0};
  TableFacts out = std::move(**found);
  auto columns =
      rows(connection, std::string(kColumnsOf) + " AND schema_name = " + quote_text(out.schema) +
                           " AND table_name = " + quote_text(out.name) + " ORDER BY column_index");
  if (!columns) return std::move(columns).error();
  for (auto& row : *columns)
    out.columns.push_back({row[2], row[3]});
  if (out.kind == "table") {
    auto count = rows(connection, "SELECT count(*) FROM " + table_name(out.schema, out.name));
    if (count && !count->empty()) out.rows = to_int(count->front()[0]).value_or(-1);
  }
  return out;
}

Status Engine::refresh(const wire::sql_engine::SystemView& view) {
  const std::lock_guard lock(views_);
  auto& state = view_states_[view.name];
  if ((view.named ? state.made : state.looked) == view.files) return {};
  auto connection = connect();
  if (!connection) return std::move(connection).error();
  if (!view.named) {
    const auto others = is_defined_over(*connection, view);
    if (!others) return others.error();
    state.looked = view.files;
    if (!*others || state.made == view.files) return {};
  }
  // Its columns are those of the files that there are when it is made.
  // The types are the same whether there are files or not, whatever a file's own are; and a column
  // that older files lack is there.
  std::string columns, same;
  for (const auto& column : view.columns) {
    const std::string as = "::" + column.type + " AS " + name(column.name);
    columns += (columns.empty() ? "" : ", ") + ("NULL" + as);
    same += (same.empty() ? "" : ", ") + (name(column.name) + as);
  }
  const std::string files = fmt::format("coalesce(getvariable({}), error({}))",
                                        quote_text(variable_of(view)), quote_text(view.refusal));
  const std::string body =
      view.files.empty()
          ? "SELECT " + columns + " WHERE " + files + " IS NULL"
          : "SELECT * REPLACE (" + same + ") FROM (SELECT * FROM read_parquet(" + files +
                ", union_by_name = true) UNION ALL BY NAME SELECT " + columns + " WHERE false)";
  STRATA_TRY(allow(*connection, view));
  STRATA_TRY(run(*connection,
                 "CREATE OR REPLACE VIEW " + table_name("strata", view.name) + " AS " + body));
  state.made = state.looked = view.files;
  return {};
}

// Whether users defined something by which a script comes to the view without naming it.
Result<bool> Engine::is_defined_over(const Connection& connection,
                                     const wire::sql_engine::SystemView& view) const {
  auto found =
      rows(connection,
           "SELECT 1 FROM (SELECT sql FROM duckdb_views() WHERE NOT internal AND schema_name <> "
           "'strata' UNION ALL SELECT macro_definition FROM duckdb_functions() WHERE NOT internal) "
           "WHERE contains(lower(sql), " +
               quote_text(view.name) + ") LIMIT 1");
  if (!found) return std::move(found).error();
  return !found->empty();
}

// What an earlier life made, whose files may be others and open to everyone.
Status Engine::drop_system_views(const Connection& connection) const {
  auto views = rows(connection,
                    "SELECT view_name FROM duckdb_views() WHERE database_name = 'warehouse' AND "
                    "schema_name = 'strata'");
  if (!views) return std::move(views).error();
  for (const auto& view : *views)
    STRATA_TRY(run(connection, "DROP VIEW " + table_name("strata", view[0])));
  return {};
}

Status Engine::allow(const Connection& connection, const wire::sql_engine::SystemView& view) const {
  std::string files;
  for (const auto& file : view.files)
    files += (files.empty() ? "" : ", ") + quote_text(file);
  if (files.empty()) files = "''";
  return run(connection, fmt::format("SET VARIABLE {} = [{}]", variable_of(view), files));
}

Status Engine::checkpoint() {
  auto connection = connect();
  if (!connection) return std::move(connection).error();
  return run(*connection, "CHECKPOINT warehouse");
}

int Engine::Meter::begin() {
  const std::lock_guard lock(mutex_);
  settle();
  running_[next_] = 0;
  return next_++;
}

double Engine::Meter::end(int query) {
  const std::lock_guard lock(mutex_);
  settle();
  const double used = running_[query];
  running_.erase(query);
  return used;
}

void Engine::Meter::settle() {
  const double now = process_cpu_ms();
  for (auto& [query, used] : running_)
    used += (now - seen_) / static_cast<double>(running_.size());
  seen_ = now;
}

namespace {

// Whether a name that DuckDB would offer is one of its own catalog, which nobody here looks for.
bool is_own_name(std::string_view name) {
  const auto dot = name.rfind('.');
  const std::string_view bare = dot == std::string_view::npos ? name : name.substr(dot + 1);
  return std::ranges::any_of(std::array{"duckdb_", "pg_", "pragma_", "sqlite_"},
                             [&](std::string_view prefix) { return bare.starts_with(prefix); });
}

// The message without what its 'Did you mean "a", "b"?' offers of DuckDB's own catalog.
std::string without_own_names(std::string text) {
  constexpr std::string_view kHint = "\nDid you mean ";
  const auto begin = text.find(kHint);
  if (begin == std::string::npos) return text;
  const auto end = std::min(text.find('\n', begin + 1), text.size());
  const auto words = split(std::string_view(text).substr(begin, end - begin), '"');
  std::vector<std::string> kept;
  for (std::size_t i = 1; i + 1 < words.size(); i += 2) {  // what stands in quotes
    if (!is_own_name(words[i])) kept.push_back(fmt::format("\"{}\"", words[i]));
  }
  const std::string hint = kept.empty() ? "" : fmt::format("{}{}?", kHint, join(kept, " or "));
  return text.replace(begin, end - begin, hint);
}

}  // namespace

EngineMessage read_message(std::string_view message, std::string_view sql) {
  const auto excerpt = message.find("\nLINE ");
  if (excerpt == std::string_view::npos) return {without_own_names(std::string(trim(message))), -1};
  EngineMessage out{without_own_names(std::string(trim(message.substr(0, excerpt)))), -1};
  // "LINE 3: ...part of that line...\n             ^"
  const std::string_view rest = message.substr(excerpt + 6);
  const auto colon = rest.find(": ");
  const auto end = rest.find('\n');
  const auto caret = rest.find('^');
  const auto line = to_int(rest.substr(0, colon));
  if (colon == std::string_view::npos || end == std::string_view::npos ||
      caret == std::string_view::npos || !line)
    return out;
  std::string_view shown = rest.substr(colon + 2, end - colon - 2);
  const std::size_t offset = 5 + colon + 2;  // of the shown text in its line
  std::int64_t column =
      static_cast<std::int64_t>(caret - end - 1) - static_cast<std::int64_t>(offset);
  if (shown.starts_with("...")) {
    shown.remove_prefix(3);
    column -= 3;
  }
  if (shown.ends_with("...")) shown.remove_suffix(3);
  std::size_t begin = 0;
  for (std::int64_t i = 1; i < *line && begin != std::string_view::npos; ++i) {
    begin = sql.find('\n', begin);
    if (begin != std::string_view::npos) ++begin;
  }
  const auto place = begin == std::string_view::npos ? begin : sql.find(shown, begin);
  if (place == std::string_view::npos || column < 0) return out;
  // The caret counts characters, places count bytes.
  std::size_t at = place;
  for (std::int64_t i = 0; i < column && at < sql.size(); ++i) {
    ++at;
    while (at < sql.size() && (static_cast<unsigned char>(sql[at]) & 0xC0U) == 0x80U)
      ++at;
  }
  out.at = static_cast<std::int64_t>(at);
  return out;
}

}  // namespace strata::engines::duckdb
