#pragma once

// The room that keeps the control-plane state: one serialised writer with group commit, many
// readers. The contract stands at class Records below.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "runtime/loop.hpp"
#include "runtime/task.hpp"

namespace strata::kernel {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

// One cell or argument. Conversions from what callers have at hand are implicit, so that arguments
// read as a list of values.
class SqlValue {
 public:
  SqlValue() = default;
  SqlValue(std::nullptr_t) {}                                          // NOLINT
  SqlValue(bool v) : value_(static_cast<std::int64_t>(v)) {}           // NOLINT
  SqlValue(int v) : value_(static_cast<std::int64_t>(v)) {}            // NOLINT
  SqlValue(std::int64_t v) : value_(v) {}                              // NOLINT
  SqlValue(std::uint64_t v) : value_(static_cast<std::int64_t>(v)) {}  // NOLINT
  SqlValue(double v) : value_(v) {}                                    // NOLINT
  SqlValue(std::string v) : value_(std::move(v)) {}                    // NOLINT
  SqlValue(std::string_view v) : value_(std::string(v)) {}             // NOLINT
  SqlValue(const char* v) : value_(std::string(v)) {}                  // NOLINT
  SqlValue(Blob v) : value_(std::move(v)) {}                           // NOLINT
  template <class T>
  SqlValue(const std::optional<T>& v) {  // NOLINT
    if (v) *this = SqlValue(*v);
  }

  using Variant = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
  const Variant& get() const { return value_; }

 private:
  Variant value_;
};

using SqlArgs = std::vector<SqlValue>;

// One row of an answer. Reading a cell as another type than it has gives 0 or "".
class Row {
 public:
  explicit Row(std::vector<SqlValue> cells) : cells_(std::move(cells)) {}
  bool is_null(std::size_t i) const {
    return std::holds_alternative<std::monostate>(cells_[i].get());
  }
  std::int64_t integer(std::size_t i) const;
  double real(std::size_t i) const;
  std::string text(std::size_t i) const;
  std::string blob(std::size_t i) const;
  std::optional<std::int64_t> maybe_integer(std::size_t i) const;
  std::optional<std::string> maybe_text(std::size_t i) const;
  const SqlValue& cell(std::size_t i) const { return cells_[i]; }
  std::size_t size() const { return cells_.size(); }

 private:
  std::vector<SqlValue> cells_;
};

using Rows = std::vector<Row>;

// A consistent view of the records, inside read() or write(). Statements use ? for arguments and
// the SQL that SQLite and PostgreSQL share. Blocks on the database; one thread.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<Rows> query(std::string_view sql, const SqlArgs& args = {}) = 0;
  // The first row, if any.
  Result<std::optional<Row>> first(std::string_view sql, const SqlArgs& args = {});
};

// A transaction that may change records. What one write() does becomes visible and durable as a
// whole, or not at all.
class Writer : public Reader {
 public:
  // Runs one statement that changes rows; the number of rows changed. Errors: kAlreadyExists when a
  // unique key is taken, kConflict for other constraints.
  virtual Result<std::int64_t> execute(std::string_view sql, const SqlArgs& args = {}) = 0;
  // Runs `f` once the commit is durable, on the writer thread: publish in-memory views here. It
  // must not block.
  virtual void after_commit(std::move_only_function<void()> f) = 0;
};

// One step of a room's schema. Versions of a room count 1, 2, 3 ...; each runs once, in one
// transaction with its journal entry.
struct Migration {
  std::string_view room;
  int version;
  std::string_view sql;  // statements separated by ';'
};

// The control-plane records: one writer that commits many callers' changes with one sync (group
// commit), many readers.
//
// Promises: when write() answers with success its changes survive kill -9 and power loss; writes
// are serialised, so a condition checked inside write() still holds when it commits; read() sees
// every write that was acknowledged before it began. A failed sync ends the process: the state on
// disk is then unknown, and the journal decides at the next start. Blocks: no; work runs on the
// room's own threads and the caller goes on on its own loop.
class Records {
 public:
  virtual ~Records() = default;

  // f: Result<T>(Reader&). Must not keep the Reader.
  template <class F>
  Task<std::invoke_result_t<F&, Reader&>> read(F f) {
    using R = std::invoke_result_t<F&, Reader&>;
    std::optional<R> out;
    std::move_only_function<void(Reader&)> job = [&](Reader& reader) {
      out.emplace(f(reader));
    };
    ReadAwaiter awaiter{this, &job};
    co_await awaiter;
    co_return std::move(*out);
  }

  // f: Result<T>(Writer&). An error rolls this write alone back. May run again only if it never
  // committed.
  template <class F>
  Task<std::invoke_result_t<F&, Writer&>> write(F f) {
    using R = std::invoke_result_t<F&, Writer&>;
    std::optional<R> out;
    std::move_only_function<bool(Writer&)> job = [&](Writer& writer) {
      out.emplace(f(writer));
      return out->ok();
    };
    WriteAwaiter awaiter{this, &job, {}};
    co_await awaiter;
    if (!awaiter.committed) co_return std::move(awaiter.committed).error();
    co_return std::move(*out);
  }

  // The same on the calling thread, for start-up, the command line and worker threads. Blocks.
  template <class F>
  std::invoke_result_t<F&, Reader&> read_blocking(F f) {
    return sync_wait(read(std::move(f)));
  }
  template <class F>
  std::invoke_result_t<F&, Writer&> write_blocking(F f) {
    return sync_wait(write(std::move(f)));
  }

  // Brings every room's schema up to its newest version. Blocks. Errors: kDataLoss when the
  // database is newer than this program.
  virtual Status migrate(std::span<const Migration> migrations) = 0;

 protected:
  // Runs `job` on a reader thread, then `done` on the same thread.
  virtual void submit_read(std::move_only_function<void(Reader&)>& job,
                           std::move_only_function<void()> done) = 0;
  // Runs `job` in the next group; `done` gets success when the group is durable or when the job
  // itself returned false (its changes were rolled back), and the error when the commit failed.
  virtual void submit_write(std::move_only_function<bool(Writer&)>& job,
                            std::move_only_function<void(Status)> done) = 0;

 private:
  struct ReadAwaiter {
    Records* records;
    std::move_only_function<void(Reader&)>* job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      Loop* home = Loop::current();
      records->submit_read(*job, [handle, home] { go_on(handle, home); });
    }
    void await_resume() const noexcept {}
  };
  struct WriteAwaiter {
    Records* records;
    std::move_only_function<bool(Writer&)>* job;
    Status committed;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      Loop* home = Loop::current();
      records->submit_write(*job, [this, handle, home](Status status) {
        committed = std::move(status);
        go_on(handle, home);
      });
    }
    void await_resume() const noexcept {}
  };
  static void go_on(std::coroutine_handle<> handle, Loop* home) {
    if (home != nullptr) {
      home->resume(handle);
    } else {
      handle.resume();
    }
  }
};

}  // namespace strata::kernel
