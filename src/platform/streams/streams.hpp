#pragma once

// Push streams: rows in one durable log, and the newest state of each key as a fold of it.
//
// Promises: an acknowledged push is in the log, which survives kill -9 and power loss, once however
// often it was sent with its idempotency key, and every later read sees it; the state of a key is a
// function of the log's rows alone, in whatever order they came. The states are only a copy: what
// their store forgets in a crash is folded again from the log. Costs: pushes that wait together
// share one fdatasync; a set of key columns that is new for a stream folds the whole log once,
// while pushes wait. Threads: all methods from any loop; one thread of its own.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/streams/record.hpp"
#include "platform/streams/state.hpp"
#include "platform/streams/state_store.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/task.hpp"

namespace strata::platform::streams {

// By which columns a stream's rows are told apart, sorted by name.
struct KeySet {
  std::string project, stream;
  std::vector<std::string> columns;
  auto operator<=>(const KeySet&) const = default;
};

// Whose rows are kept beside the newest state, event by event: what says something of the same
// event is one, by the rules of states. Rows of a key at one time are one event, unless they differ
// in a column of `told_apart`.
struct EventSet {
  KeySet keys;
  std::vector<std::string> told_apart;  // sorted
  auto operator<=>(const EventSet&) const = default;
};

// What tells the events of a key apart: rows of which it is equal are one.
std::string event_id(const EventSet& set, const Record& record, const Row& row);

struct Pushed {
  std::uint64_t sequence = 0;  // in the log
  bool repeated = false;       // it had been pushed before; nothing was added
};

// The states of some keys as of one moment: that of the log's prefix up to `sequence`.
struct Snapshot {
  std::vector<KeyState> states;
  // By span: its events in order of time, without regard to what the key's state says is deleted.
  std::vector<std::vector<KeyState>> events;
  std::uint64_t sequence = 0;
};

// A row of a key as it stands in the log.
struct Past {
  std::shared_ptr<const Record> record;
  Place place;
  const Row& row() const { return record->rows[place.row]; }
};

// All rows of some keys, in the order of the log up to `sequence`.
struct History {
  std::vector<std::vector<Past>> rows;  // by key
  std::uint64_t sequence = 0;
};

// What a check of the log found.
struct LogCheck {
  std::uint64_t records = 0;
  std::vector<std::string> findings;
};

// The front door of this room; see the top of this file.
class Streams {
 public:
  static constexpr std::size_t kMaxWaiting = 1024;            // pushes
  static constexpr std::size_t kMaxWaitingBytes = 64U << 20;  // of them together
  static constexpr std::size_t kMaxEvents = 1'000'000;        // that a read gives
  // So long ago may a span end that read() answers.
  static constexpr std::chrono::microseconds kLookBack{3'600'000'000};
  static constexpr std::size_t kMaxHistory = 2'000'000;  // rows that history() holds

  struct Ports {
    Files& files;
    const Clock& clock;
    BlockingPool& pool;
    OpenStateStore open_store;
    std::string folder;  // DATA/features
  };
  explicit Streams(Ports ports);
  ~Streams();

  // Takes up the log and brings the states up to it, if anything was ever pushed or kept. Blocks.
  // Errors: kDataLoss, and those of the store.
  Status start();
  // Finishes what was pushed; later calls get kUnavailable. Blocks.
  void stop();

  // From then on there are states by these columns, also of rows that came before.
  Task<Status> keep(KeySet keys);
  // From then on there are events of these, as long as `kept` before the newest time that may be
  // asked about: also of rows that came before, which are folded from the log where it is longer
  // than it was.
  Task<Status> keep_events(EventSet set, std::chrono::microseconds kept);
  // `record.received` is set here. Errors: kConflict when the idempotency key was used for other
  // rows, kResourceExhausted when too much waits, kUnavailable after the disk has failed, with
  // effect maybe.
  Task<Result<Pushed>> push(Record record);
  // The state of each key, given as its values by the set's columns; one without any row is empty.
  struct Key {
    const KeySet* set = nullptr;
    std::vector<Value> values;
  };
  // The events of a key in (after, until], microseconds.
  struct Span {
    const EventSet* set = nullptr;
    std::vector<Value> values;
    std::int64_t after = 0, until = 0;
  };
  // Errors: kResourceExhausted for more than kMaxEvents.
  Task<Result<Snapshot>> read(std::vector<Key> keys, std::vector<Span> spans = {});

  // Every row that the log has of each key. Reads the whole log, on a thread of the pool. Errors:
  // kResourceExhausted for more than kMaxHistory rows, kDataLoss.
  Task<Result<History>> history(std::vector<Key> keys);

  // Every record of the log in `folder`, while no server has it open. Blocks.
  static LogCheck check(Files& files, const std::string& folder);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::platform::streams
