#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "kernel/records/records.hpp"

namespace strata::engines::sqlite {

// One SQLite connection with its prepared statements. One thread at a time.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const std::string& path, bool writable,
                                                  const std::string& vfs);
  ~Connection();
  Connection(const Connection&) = delete;

  Result<kernel::Rows> query(std::string_view sql, const kernel::SqlArgs& args);
  Result<std::int64_t> execute(std::string_view sql, const kernel::SqlArgs& args);
  // Runs a script of several statements without arguments.
  Status script(const std::string& sql);
  sqlite3* handle() { return db_; }

 private:
  explicit Connection(sqlite3* db) : db_(db) {}
  Result<sqlite3_stmt*> prepare(std::string_view sql);
  Status bind(sqlite3_stmt* statement, const kernel::SqlArgs& args);
  Error error(std::string_view sql) const;

  sqlite3* db_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace strata::engines::sqlite
