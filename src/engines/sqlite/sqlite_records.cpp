#include "engines/sqlite/sqlite_records.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "engines/sqlite/connection.hpp"

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
  Result<Rows> query(std::string_view sql, const SqlArgs& args) override { return connection_.query(sql, args); }

 private:
  Connection& connection_;
};

class SqliteWriter final : public Writer {
 public:
  explicit SqliteWriter(Connection& connection) : connection_(connection) {}
  Result<Rows> query(std::string_view sql, const SqlArgs& args) override { return connection_.query(sql, args); }
  Result<std::int64_t> execute(std::string_view sql, const SqlArgs& args) override {
    return connection_.execute(sql, args);
  }
  void after_commit(std::move_only_function<void()> f) override { hooks_.push_back(std::move(f)); }
  std::vector<std::move_only_function<void()>> take_hooks() { return std::exchange(hooks_, {}); }

 private:
  Connection& connection_;
  std::vector<std::move_only_function<void()>> hooks_;
};

struct ReadJob {
  std::move_only_function<void(Reader&)>* run;
  std::move_only_function<void()> done;
};

struct WriteJob {
  std::move_only_function<bool(Writer&)>* run;
  std::move_only_function<void(Status)> done;
};

// After a failed sync nobody knows what is on the disk; going on could acknowledge what is lost.
[[noreturn]] void give_up(const Error& error) {
  log::error("records.sync_failed", Json::object({{"error", error.message}}));
  std::fprintf(stderr, "strata: the records could not be made durable: %s\n", error.message.c_str());
  std::abort();
}

}  // namespace

struct SqliteRecords::Impl {
  std::string path;
  std::size_t reader_limit = 1;
  std::unique_ptr<Connection> connection;

  std::mutex mutex;
  std::condition_variable write_ready;
  std::condition_variable read_ready;
  std::deque<WriteJob> writes;
  std::deque<ReadJob> reads;
  std::size_t idle_readers = 0;
  bool stopping = false;
  std::vector<std::jthread> readers;
  std::jthread writer;

  void write_loop();
  void read_loop();
  void commit_group(std::vector<WriteJob>& group);
  Status commit();
  void ensure_readers();
};

// One transaction for the whole group; a write that fails is undone alone.
void SqliteRecords::Impl::commit_group(std::vector<WriteJob>& group) {
  SqliteWriter writer_view(*connection);
  std::vector<std::move_only_function<void()>> hooks;
  Status status = connection->script("BEGIN IMMEDIATE");
  if (status) {
    for (auto& job : group) {
      if (auto opened = connection->script("SAVEPOINT one"); !opened) give_up(opened.error());
      const bool keep = (*job.run)(writer_view);
      auto added = writer_view.take_hooks();
      const auto closed = connection->script(keep ? "RELEASE one" : "ROLLBACK TO one; RELEASE one");
      if (!closed) give_up(closed.error());
      if (keep) std::move(added.begin(), added.end(), std::back_inserter(hooks));
    }
    status = commit();
  }
  if (status) {
    for (auto& hook : hooks) hook();
  }
  for (auto& job : group) job.done(status);
}

Status SqliteRecords::Impl::commit() {
  auto status = connection->script("COMMIT");
  if (status) return status;
  if (status.error().code != Code::kNoSpace) give_up(status.error());
  // SQLite undoes a transaction that found the disk full before its commit record; readers and deletes go on.
  if (auto undone = connection->script("ROLLBACK"); !undone) {
    log::warn("records.rollback", Json::object({{"error", undone.error().message}}));
  }
  return status;
}

void SqliteRecords::Impl::write_loop() {
  std::unique_lock lock(mutex);
  while (true) {
    write_ready.wait(lock, [&] { return stopping || !writes.empty(); });
    if (writes.empty()) return;
    std::vector<WriteJob> group;
    while (!writes.empty() && group.size() < kMaxGroup) {
      group.push_back(std::move(writes.front()));
      writes.pop_front();
    }
    lock.unlock();
    commit_group(group);
    group.clear();
    lock.lock();
  }
}

void SqliteRecords::Impl::read_loop() {
  auto own = Connection::open(path, false);
  if (!own) give_up(own.error());
  SqliteReader view(**own);
  std::unique_lock lock(mutex);
  while (true) {
    ++idle_readers;
    read_ready.wait(lock, [&] { return stopping || !reads.empty(); });
    --idle_readers;
    if (reads.empty()) return;
    ReadJob job = std::move(reads.front());
    reads.pop_front();
    lock.unlock();
    // One read transaction, so that several queries of one read() see the same state.
    if (auto begun = (*own)->script("BEGIN"); !begun) give_up(begun.error());
    (*job.run)(view);
    if (auto ended = (*own)->script("COMMIT"); !ended) give_up(ended.error());
    job.done();
    lock.lock();
  }
}

SqliteRecords::SqliteRecords(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->writer = std::jthread([self = impl_.get()] { self->write_loop(); });
}

Result<std::unique_ptr<SqliteRecords>> SqliteRecords::open(const std::string& path, std::size_t reader_threads) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->reader_limit = reader_threads;
  auto connection = Connection::open(path, true);
  if (!connection) return std::move(connection).error();
  impl->connection = *std::move(connection);
  return std::unique_ptr<SqliteRecords>(new SqliteRecords(std::move(impl)));
}

SqliteRecords::~SqliteRecords() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->write_ready.notify_all();
  impl_->read_ready.notify_all();
  impl_->writer.join();
  impl_->readers.clear();
}

void SqliteRecords::submit_read(std::move_only_function<void(Reader&)>& job, std::move_only_function<void()> done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->reads.push_back(ReadJob{&job, std::move(done)});
  if (impl_->idle_readers < impl_->reads.size() && impl_->readers.size() < impl_->reader_limit) {
    impl_->readers.emplace_back([self = impl_.get()] { self->read_loop(); });
  }
  impl_->read_ready.notify_one();
}

void SqliteRecords::submit_write(std::move_only_function<bool(Writer&)>& job,
                                 std::move_only_function<void(Status)> done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->writes.push_back(WriteJob{&job, std::move(done)});
  impl_->write_ready.notify_one();
}

Status SqliteRecords::migrate(std::span<const Migration> migrations) {
  const auto journal = [](Writer& w) {
    return w.execute("CREATE TABLE IF NOT EXISTS schema_journal (room TEXT NOT NULL, version INTEGER NOT NULL, "
                     "PRIMARY KEY (room, version))");
  };
  if (auto made = write_blocking(journal); !made) return made.error();
  for (const auto& step : migrations) {
    const auto apply = [&](Writer& w) -> Status {
      const auto newest = w.first("SELECT COALESCE(MAX(version), 0) FROM schema_journal WHERE room = ?", {step.room});
      if (!newest) return newest.error();
      if ((*newest)->integer(0) >= step.version) return {};
      STRATA_TRY(impl_->connection->script(std::string(step.sql)));
      const auto noted =
          w.execute("INSERT INTO schema_journal (room, version) VALUES (?, ?)", {step.room, step.version});
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
        return Error(Code::kDataLoss, fmt::format("the records of '{}' have version {}, this program knows {}: use "
                                                  "the newer strata that wrote them", row.text(0), row.integer(1), known));
      }
    }
    return {};
  };
  return read_blocking(check);
}

Status SqliteRecords::backup(const std::string& path) {
  const auto copy = [&](Reader&) -> Status {
    auto own = Connection::open(impl_->path, false);
    if (!own) return std::move(own).error();
    const auto rows = (*own)->query("VACUUM INTO ?", {path});
    if (!rows) return rows.error();
    return {};
  };
  return read_blocking(copy);
}

}  // namespace strata::engines::sqlite
