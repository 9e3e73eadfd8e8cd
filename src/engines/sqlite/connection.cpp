#include "engines/sqlite/connection.hpp"

#include <fmt/format.h>

namespace strata::engines::sqlite {

using kernel::Blob;
using kernel::Row;
using kernel::Rows;
using kernel::SqlArgs;
using kernel::SqlValue;

namespace {

constexpr std::size_t kMaxStatements = 512;

// Leaves the statement ready for its next use, whatever way the call ends.
class Reset {
 public:
  explicit Reset(sqlite3_stmt* statement) : statement_(statement) {}
  ~Reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Reset(const Reset&) = delete;

 private:
  sqlite3_stmt* statement_;
};

int bind_one(sqlite3_stmt* statement, int at, const SqlValue& value) {
  const auto size = [](const std::string& s) {
    return static_cast<sqlite3_uint64>(s.size());
  };
  if (const auto* i = std::get_if<std::int64_t>(&value.get()))
    return sqlite3_bind_int64(statement, at, *i);
  if (const auto* d = std::get_if<double>(&value.get()))
    return sqlite3_bind_double(statement, at, *d);
  if (const auto* s = std::get_if<std::string>(&value.get())) {
    return sqlite3_bind_text64(statement, at, s->data(), size(*s), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* b = std::get_if<Blob>(&value.get())) {
    return sqlite3_bind_blob64(statement, at, b->bytes.data(), size(b->bytes), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, at);
}

SqlValue cell(sqlite3_stmt* statement, int i) {
  const auto bytes = [&](const void* data) {
    return std::string(static_cast<const char*>(data),
                       static_cast<std::size_t>(sqlite3_column_bytes(statement, i)));
  };
  switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
      return SqlValue(static_cast<std::int64_t>(sqlite3_column_int64(statement, i)));
    case SQLITE_FLOAT:
      return SqlValue(sqlite3_column_double(statement, i));
    case SQLITE_TEXT:
      return SqlValue(bytes(sqlite3_column_text(statement, i)));
    case SQLITE_BLOB: {
      const void* data = sqlite3_column_blob(statement, i);
      return SqlValue(Blob{data == nullptr ? std::string() : bytes(data)});
    }
    default:
      return {};
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, bool writable,
                                                     const std::string& vfs) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_NOMUTEX |
                    (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
  const char* const port = vfs.empty() ? nullptr : vfs.c_str();
  const int outcome = sqlite3_open_v2(path.c_str(), &db, flags, port);
  auto connection = std::unique_ptr<Connection>(new Connection(db));
  if (outcome != SQLITE_OK)
    return Error(Code::kUnavailable, fmt::format("open {}: {}", path, sqlite3_errmsg(db)));
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, 10'000);
  std::string setup = "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY;";
  if (writable)
    setup += "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;";
  STRATA_TRY(connection->script(setup));
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_)
    sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Error Connection::error(std::string_view sql) const {
  const int number = sqlite3_extended_errcode(db_);
  const std::string text = sqlite3_errmsg(db_);
  switch (number & 0xFF) {
    case SQLITE_CONSTRAINT:
      if (number == SQLITE_CONSTRAINT_UNIQUE || number == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return Error(Code::kAlreadyExists, text);
      }
      return Error(Code::kConflict, text);
    case SQLITE_FULL:
      return Error(Code::kNoSpace, "the disk that holds the records is full");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(Code::kDataLoss, "the records are damaged: " + text);
    default:
      return internal(fmt::format("records: {} in: {}", text, sql));
  }
}

Result<sqlite3_stmt*> Connection::prepare(std::string_view sql) {
  const auto known = statements_.find(std::string(sql));
  if (known != statements_.end()) return known->second;
  if (statements_.size() >= kMaxStatements) {
    for (auto& [text, statement] : statements_)
      sqlite3_finalize(statement);
    statements_.clear();
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    return error(sql);
  }
  if (statement == nullptr) return internal("an empty statement");
  statements_.emplace(std::string(sql), statement);
  return statement;
}

Status Connection::bind(sqlite3_stmt* statement, const SqlArgs& args) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (wanted != static_cast<int>(args.size())) {
    return internal(fmt::format("{} arguments for {} places in: {}", args.size(), wanted,
                                sqlite3_sql(statement)));
  }
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (bind_one(statement, static_cast<int>(i) + 1, args[i]) != SQLITE_OK)
      return error(sqlite3_sql(statement));
  }
  return {};
}

Result<Rows> Connection::query(std::string_view sql, const SqlArgs& args) {
  const auto statement = prepare(sql);
  if (!statement) return statement.error();
  const Reset reset(*statement);
  STRATA_TRY(bind(*statement, args));
  Rows rows;
  const int columns = sqlite3_column_count(*statement);
  while (true) {
    const int outcome = sqlite3_step(*statement);
    if (outcome == SQLITE_DONE) return rows;
    if (outcome != SQLITE_ROW) return error(sql);
    std::vector<SqlValue> cells;
    cells.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i)
      cells.push_back(cell(*statement, i));
    rows.emplace_back(std::move(cells));
  }
}

Result<std::int64_t> Connection::execute(std::string_view sql, const SqlArgs& args) {
  const auto rows = query(sql, args);
  if (!rows) return rows.error();
  return static_cast<std::int64_t>(sqlite3_changes64(db_));
}

Status Connection::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return error(sql);
  return {};
}

}  // namespace strata::engines::sqlite
