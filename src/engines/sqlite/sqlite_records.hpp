#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"

namespace strata::engines::sqlite {

// Records in one SQLite file: write-ahead log, synchronous=FULL, one writer thread that puts all
// waiting writes into one transaction (each in a savepoint of its own) and answers them after its
// single sync; a few reader threads, started when first needed.
class SqliteRecords final : public kernel::Records {
 public:
  // Opens or creates `path`, through the SQLite VFS of that name when one is given. Blocks. Errors:
  // kUnavailable, kDataLoss when the file is no database.
  static Result<std::unique_ptr<SqliteRecords>> open(const std::string& path,
                                                     std::size_t reader_threads,
                                                     const std::string& vfs = {});
  // Finishes what is queued, then closes.
  ~SqliteRecords() override;

  Status migrate(std::span<const kernel::Migration> migrations) override;
  // A consistent copy of the database as of now, written to a new file. Blocks.
  Status backup(const std::string& path);

 protected:
  void submit_read(std::move_only_function<void(kernel::Reader&)>& job,
                   std::move_only_function<void()> done) override;
  void submit_write(std::move_only_function<bool(kernel::Writer&)>& job,
                    std::move_only_function<void(Status)> done) override;

 private:
  struct Impl;
  explicit SqliteRecords(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::engines::sqlite
