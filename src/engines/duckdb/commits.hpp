#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "wire/sql_engine.hpp"

namespace strata::engines::duckdb {

// Numbers the states of tables in the order in which their transactions commit. A number is written
// in the transaction that makes the state, so what a transaction reads among the numbers is true of
// its snapshot. Beside it stands what the transaction did, until the server has recorded that.
// Threads: all methods from any thread.
class Commits {
 public:
  // Runs one statement; all cells of its small result, as text.
  using Ask = std::function<Result<std::vector<std::vector<std::string>>>(const std::string& sql)>;
  using Effects = std::vector<wire::sql_engine::StatementEffect>;

  // How a transaction names a state before its number is known: what its own change number `change`
  // to the table makes, or, for 0, what the first one meets at the commit.
  static std::int64_t pending(int change) { return -1 - change; }

  // Makes its tables if they are not there, and learns the numbers.
  Status open(const Ask& ask);
  // What the server may not have recorded, in the order of the commits; each an encoded
  // wire::sql_engine::CommitRecord.
  Result<std::vector<std::string>> unsettled(const Ask& ask) const;
  // The server has recorded what these queries committed, or all; drops also the numbers that later
  // ones have replaced.
  Status settle(const Ask& ask, const std::vector<std::string>& queries) const;
  Status settle_all(const Ask& ask) const;
  // Counts on from numbers that were given before this table of numbers was made.
  Status raise(const Ask& ask, const std::vector<wire::sql_engine::TableVersion>& known);
  // Puts in the numbers of the catalog's tables.
  void number(std::vector<wire::sql_engine::TableFacts>& catalog) const;

  // Fills in which state of a table the transaction of `ask` sees, where that is still 0.
  Status find_read(const Ask& ask, Effects& effects) const;
  // Puts numbers in place of pending ones, writes them and the record in the transaction of `ask`,
  // and ends that by `commit`. Transactions that change tables come here one at a time. A record
  // without a query is not kept.
  Status commit(const Ask& ask, wire::sql_engine::CommitRecord& record,
                const std::function<Status()>& commit);

 private:
  using Name = std::pair<std::string, std::string>;
  Status write(const Ask& ask, const std::map<Name, std::int64_t>& versions) const;

  mutable std::mutex mutex_;
  std::map<Name, std::int64_t> versions_;
};

}  // namespace strata::engines::duckdb
