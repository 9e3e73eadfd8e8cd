#include "engines/sqlite/sqlite_records.hpp"

#include <cstdlib>
#include <deque>
#include <mutex>

#include "base/log.hpp"
#include "engines/sqlite/connection.hpp"
#include "runtime/pool.hpp"

namespace strata::engines::sqlite {

using kernel::Migration;
using kernel::Reader;
using kernel::Rows;
using kernel::SqlArgs;
using kernel::Writer;

namespace {

constexpr std::size_t kMaxGroup = 256;

class SqliteReader final : public Reader {
 public:
  explicit SqliteReader(Connection& connection) : connection_(connection) {}
  Result<Rows> query(std::string_view sql, const SqlArgs& args) override {
    return connection_.query(sql, args);
  }

 private:
  Connection& connection_;
};

class SqliteWriter final : public Writer {
 public:
  explicit SqliteWriter(Connection& connection) : connection_(connection) {}
  Result<Rows> query(std::string_view sql, const SqlArgs& args) override {
    return connection_.query(sql, args);
  }
  Result<std::int64_t> execute(std::string_view sql, const SqlArgs& args) override {
    return connection_.execute(sql, args);
  }
  void after_commit(std::move_only_function<void()> f) override { hooks_.push_back(std::move(f)); }
  std::vector<std::move_only_function<void()>> take_hooks() { return std::exchange(hooks_, {}); }

 private:
  Connection& connection_;
  std::vector<std::move_only_function<void()>> hooks_;
};

struct WriteJob {
  std::move_only_function<bool(Writer&)>* run;
  std::move_only_function<void(Status)> done;
};

// After a failed sync nobody knows what is on the disk; going on could acknowledge what is lost.
[[noreturn]] void give_up(const Error& error) {
  log::error("records.sync_failed", Json::object({{"error", error.message}}));
  std::abort();
}

}  // namespace

struct SqliteRecords::Impl {
  std::string path, vfs;
  std::unique_ptr<Connection> writer_connection;
  std::mutex mutex;
  std::deque<WriteJob> writes;
  bool writing = false;
  std::vector<std::unique_ptr<Connection>> idle_readers;
  BlockingPool readers;
  BlockingPool writer{1};

  explicit Impl(std::size_t reader_threads) : readers(reader_threads) {}

  void write_waiting();
  void read(std::move_only_function<void(Reader&)>& job);
  void commit_group(std::vector<WriteJob>& group);
  Status commit();
  std::unique_ptr<Connection> reader_connection();
};

// One transaction for the whole group; a write that fails is undone alone.
void SqliteRecords::Impl::commit_group(std::vector<WriteJob>& group) {
  SqliteWriter writer_view(*writer_connection);
  std::vector<std::move_only_function<void()>> hooks;
  Status status = writer_connection->script("BEGIN IMMEDIATE");
  if (status) {
    for (auto& job : group) {
      if (auto opened = writer_connection->script("SAVEPOINT one"); !opened)
        give_up(opened.error());
      const bool keep = (*job.run)(writer_view);
      auto added = writer_view.take_hooks();
      const auto closed =
          writer_connection->script(keep ? "RELEASE one" : "ROLLBACK TO one; RELEASE one");
      if (!closed) give_up(closed.error());
      if (keep) std::move(added.begin(), added.end(), std::back_inserter(hooks));
    }
    status = commit();
  }
  if (status) {
    for (auto& hook : hooks)
      hook();
  }
  for (auto& job : group)
    job.done(status);
}

Status SqliteRecords::Impl::commit() {
  auto status = writer_connection->script("COMMIT");
  if (status) return status;
  if (status.error().code != Code::kNoSpace) give_up(status.error());
  // SQLite undoes a transaction that found the disk full before its commit record; readers and
  // deletes go on.
  if (auto undone = writer_connection->script("ROLLBACK"); !undone) {
    log::warn("records.rollback", Json::object({{"error", undone.error().message}}));
  }
  return status;
}

// Runs on the writer thread until nothing waits any more.
void SqliteRecords::Impl::write_waiting() {
  while (true) {
    std::vector<WriteJob> group;
    {
      const std::lock_guard lock(mutex);
      while (!writes.empty() && group.size() < kMaxGroup) {
        group.push_back(std::move(writes.front()));
        writes.pop_front();
      }
      writing = !group.empty();
      if (!writing) return;
    }
    commit_group(group);
  }
}

std::unique_ptr<Connection> SqliteRecords::Impl::reader_connection() {
  {
    const std::lock_guard lock(mutex);
    if (!idle_readers.empty()) {
      auto connection = std::move(idle_readers.back());
      idle_readers.pop_back();
      return connection;
    }
  }
  auto opened = Connection::open(path, false, vfs);
  if (!opened) give_up(opened.error());
  return *std::move(opened);
}

// One read transaction, so that several queries of one read() see the same state.
void SqliteRecords::Impl::read(std::move_only_function<void(Reader&)>& job) {
  auto connection = reader_connection();
  SqliteReader view(*connection);
  if (auto begun = connection->script("BEGIN"); !begun) give_up(begun.error());
  job(view);
  if (auto ended = connection->script("COMMIT"); !ended) give_up(ended.error());
  const std::lock_guard lock(mutex);
  idle_readers.push_back(std::move(connection));
}

SqliteRecords::SqliteRecords(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<SqliteRecords>> SqliteRecords::open(const std::string& path,
                                                           std::size_t reader_threads,
                                                           const std::string& vfs) {
  auto impl = std::make_unique<Impl>(reader_threads);
  impl->path = path;
  impl->vfs = vfs;
  auto connection = Connection::open(path, true, vfs);
  if (!connection) return std::move(connection).error();
  impl->writer_connection = *std::move(connection);
  return std::unique_ptr<SqliteRecords>(new SqliteRecords(std::move(impl)));
}

SqliteRecords::~SqliteRecords() {
  impl_->writer.stop();
  impl_->readers.stop();
}

void SqliteRecords::submit_read(std::move_only_function<void(Reader&)>& job,
                                std::move_only_function<void()> done) {
  impl_->readers.submit([self = impl_.get(), &job, done = std::move(done)]() mutable {
    self->read(job);
    done();
  });
}

void SqliteRecords::submit_write(std::move_only_function<bool(Writer&)>& job,
                                 std::move_only_function<void(Status)> done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->writes.push_back(WriteJob{&job, std::move(done)});
  if (impl_->writing) return;
  impl_->writing = true;
  impl_->writer.submit([self = impl_.get()] { self->write_waiting(); });
}

Status SqliteRecords::migrate(std::span<const Migration> migrations) {
  const auto journal = [](Writer& w) {
    return w.execute(
        "CREATE TABLE IF NOT EXISTS schema_journal (room TEXT NOT NULL, version INTEGER NOT NULL, "
        "PRIMARY KEY (room, version))");
  };
  if (auto made = write_blocking(journal); !made) return made.error();
  for (const auto& step : migrations) {
    const auto apply = [&](Writer& w) -> Status {
      const auto newest = w.first(
          "SELECT COALESCE(MAX(version), 0) FROM schema_journal WHERE room = ?", {step.room});
      if (!newest) return newest.error();
      if ((*newest)->integer(0) >= step.version) return {};
      STRATA_TRY(impl_->writer_connection->script(std::string(step.sql)));
      const auto noted = w.execute("INSERT INTO schema_journal (room, version) VALUES (?, ?)",
                                   {step.room, step.version});
      if (!noted) return noted.error();
      return {};
    };
    if (auto done = write_blocking(apply); !done) {
      return done.error().wrap(fmt::format("migration {} of {}", step.version, step.room));
    }
  }
  // A room that is further than this program knows was written by a newer one.
  const auto check = [&](Reader& r) -> Status {
    const auto rows = r.query("SELECT room, MAX(version) FROM schema_journal GROUP BY room");
    if (!rows) return rows.error();
    for (const auto& row : *rows) {
      int known = 0;
      for (const auto& step : migrations) {
        if (step.room == row.text(0)) known = std::max(known, step.version);
      }
      if (known != 0 && row.integer(1) > known) {
        return Error(Code::kDataLoss,
                     fmt::format("the records of '{}' have version {}, this program knows {}: use "
                                 "the newer strata that wrote them",
                                 row.text(0), row.integer(1), known));
      }
    }
    return {};
  };
  return read_blocking(check);
}

Status SqliteRecords::backup(const std::string& path) {
  const auto copy = [&](Reader&) -> Status {
    auto own = Connection::open(impl_->path, false, impl_->vfs);
    if (!own) return std::move(own).error();
    const auto rows = (*own)->query("VACUUM INTO ?", {path});
    if (!rows) return rows.error();
    return {};
  };
  return read_blocking(copy);
}

}  // namespace strata::engines::sqlite
