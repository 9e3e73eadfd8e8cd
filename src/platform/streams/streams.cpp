#include "platform/streams/streams.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/log.hpp"
#include "platform/streams/event_log.hpp"
#include "platform/streams/state_keys.hpp"

namespace strata::platform::streams {

namespace {

constexpr std::size_t kFoldAtOnce = 10'000;  // keys of one write while the log is folded again
constexpr std::size_t kMaxGroup = 256;       // pushes of one sync
constexpr std::size_t kSweep = 4;            // kept events that each new row looks at
// Beyond what any read may ask for, lest a clock that is set back a little misses what is gone.
constexpr std::int64_t kSpareMicros = 3'600'000'000;

// What makes two pushes the same: all but when they came.
std::string digest_of(Record record) {
  const std::int64_t received = std::exchange(record.received, 0);
  record.pushed_by.clear();
  for (Row& row : record.rows) {
    if (row.created == received) row.created = kOnArrival;
  }
  return sha256(encode(record));
}

std::string number_text(std::uint64_t number) {
  ByteWriter out;
  out.u64(number);
  return std::move(out).take();
}

std::uint64_t number_of(const std::optional<std::string>& text) {
  if (!text) return 0;
  ByteReader in(*text);
  return in.u64();
}

std::vector<const Value*> pointers(const std::vector<Value>& values) {
  std::vector<const Value*> out;
  for (const auto& value : values)
    out.push_back(&value);
  return out;
}

}  // namespace

struct Streams::Impl {
  // One push or one set of keys that waits for the thread.
  struct Job {
    std::optional<KeySet> keep;
    std::optional<EventSet> keep_events;
    std::int64_t micros = 0;  // how long
    Record record;
    std::size_t bytes = 0;
    Result<Pushed> result = Error(Code::kUnavailable, "the feature store stops");
    std::move_only_function<void()> done;
  };

  explicit Impl(Ports given) : ports(std::move(given)) {}

  // Everything below runs on the room's thread, or before it starts.

  Status open() {
    auto events = EventLog::open(ports.files, ports.folder + "/log");
    if (!events) return std::move(events).error();
    log = *std::move(events);
    STRATA_TRY(ports.files.make_dirs(ports.folder + "/state"));
    auto states = ports.open_store(ports.folder + "/state");
    if (!states) return std::move(states).error();
    const auto kept = (*states)->scan(kKept);
    if (!kept) return kept.error();
    for (const auto& [key, ignored] : *kept) {
      if (auto set = kept_of(key)) sets.insert(*std::move(set));
    }
    const auto windows = (*states)->scan(kWindow);
    if (!windows) return windows.error();
    for (const auto& [key, micros] : *windows) {
      if (auto set = window_of(key))
        event_sets[*std::move(set)] = static_cast<std::int64_t>(number_of(micros));
    }
    const auto applied = (*states)->get({std::string(kApplied)});
    if (!applied) return applied.error();
    const std::uint64_t have = number_of(applied->front());
    if (have > log->last()) {
      return Error(Code::kDataLoss,
                   fmt::format("{}/log ends with record {}, but {} have been acknowledged",
                               ports.folder, log->last(), have));
    }
    const std::unique_lock lock(mutex);
    store = *std::move(states);
    return fold_again(have + 1, {sets, event_sets}, true);
  }

  // What rows are folded into.
  struct Into {
    std::set<KeySet> states;
    std::map<EventSet, std::int64_t> events;  // with how long they are kept
  };

  // Folds the records from `first` on into the states of `into`.
  Status fold_again(std::uint64_t first, const Into& into, bool all) {
    Batch batch;
    STRATA_TRY(log->scan(first, [&](std::uint64_t sequence, std::string_view bytes) -> Status {
      const auto record = decode(bytes);
      if (!record) return record.error();
      STRATA_TRY(take(batch, *record, sequence, into));
      if (all) note_repeat(batch, *record, sequence);
      if (all) batch.applied = sequence;
      return batch.states.size() < kFoldAtOnce ? Status() : write(batch);
    }));
    return write(batch);
  }

  // What one write changes.
  struct Batch {
    std::map<std::string, KeyState> states;  // of keys, and of their events
    std::map<std::string, std::string> others;
    std::uint64_t applied = 0;
  };

  static void note_repeat(Batch& batch, const Record& record, std::uint64_t sequence) {
    if (record.idempotency_key.empty()) return;
    batch.others[repeat_key(record)] = number_text(sequence) + digest_of(record);
  }

  // The state of that name, with what the batch has done to it.
  Result<KeyState*> state_in(Batch& batch, std::string key) const {
    auto at = batch.states.find(key);
    if (at == batch.states.end()) {
      auto before = state_of(key);
      if (!before) return std::move(before).error();
      at = batch.states.emplace(std::move(key), *std::move(before)).first;
    }
    return &at->second;
  }

  // Before this, events that are kept for so long are not needed.
  std::int64_t horizon(std::int64_t kept) const {
    return ports.clock.now().micros - kept - kLookBack.count() - kSpareMicros;
  }

  Status take(Batch& batch, const Record& record, std::uint64_t sequence, const Into& into) {
    for (const auto& set : into.states) {
      if (set.project != record.project || set.stream != record.stream) continue;
      for (std::uint32_t i = 0; i < record.rows.size(); ++i) {
        const auto values = key_of(set, record, record.rows[i]);
        if (!values) continue;
        const auto state = state_in(batch, state_key(set, *values));
        if (!state) return state.error();
        fold(**state, record.columns, record.rows[i], {sequence, i});
      }
    }
    for (const auto& [set, kept] : into.events)
      STRATA_TRY(take_events(batch, record, sequence, set, horizon(kept)));
    return {};
  }

  // Deletions stand in the state of the key, and are applied when events are read.
  Status take_events(Batch& batch, const Record& record, std::uint64_t sequence,
                     const EventSet& set, std::int64_t since) const {
    if (set.keys.project != record.project || set.keys.stream != record.stream) return {};
    for (std::uint32_t i = 0; i < record.rows.size(); ++i) {
      const Row& row = record.rows[i];
      if (row.deleted || row.event < since) continue;
      const auto values = key_of(set.keys, record, row);
      if (!values) continue;
      const auto event = state_in(batch, event_key(set, *values, record, row));
      if (!event) return event.error();
      fold(**event, record.columns, row, {sequence, i});
    }
    return {};
  }

  // Takes away events that are too old to be read, going on where the last call ended: so many for
  // each row that comes that they never are more than a part of what is kept.
  Status sweep(std::size_t rows) {
    if (event_sets.empty()) return {};
    const auto found = store->read(
        {}, {{swept.empty() ? std::string(kEvent) : swept, std::string(kEventEnd)}}, rows * kSweep);
    if (!found) return found.error();
    const auto& events = found->ranges.front();
    std::vector<std::string> old;
    for (const auto& [key, ignored] : events) {
      const auto place = event_of(key);
      if (!place) return Error(Code::kDataLoss, "the events of features are damaged");
      const auto kept = event_sets.find(place->set);
      if (kept != event_sets.end() && place->time < horizon(kept->second)) old.push_back(key);
    }
    swept = events.size() < rows * kSweep ? std::string() : events.back().first + '\0';
    return old.empty() ? Status() : store->remove(old);
  }

  Result<KeyState> state_of(const std::string& key) const {
    const auto found = store->get({key});
    if (!found) return found.error();
    return found->front() ? decode_state(*found->front()) : Result<KeyState>(KeyState{});
  }

  Status write(Batch& batch) {
    StateStore::Pairs pairs;
    for (const auto& [key, state] : batch.states)
      pairs.emplace_back(key, encode(state));
    for (auto& [key, value] : batch.others)
      pairs.emplace_back(key, std::move(value));
    if (batch.applied > 0) pairs.emplace_back(kApplied, number_text(batch.applied));
    batch = Batch();
    return pairs.empty() ? Status() : store->write(pairs);
  }

  Status keep(const KeySet& set) {
    if (sets.contains(set)) return {};
    STRATA_TRY(fold_again(1, {{set}, {}}, false));
    const StateStore::Pairs kept = {{kept_key(set), ""}};
    STRATA_TRY(store->write(kept));
    sets.insert(set);
    return {};
  }

  Status keep_events(const EventSet& set, std::int64_t micros) {
    const auto known = event_sets.find(set);
    if (known != event_sets.end() && known->second >= micros) return {};
    STRATA_TRY(fold_again(1, {{}, {{set, micros}}}, false));
    const StateStore::Pairs kept = {
        {window_key(set), number_text(static_cast<std::uint64_t>(micros))}};
    STRATA_TRY(store->write(kept));
    event_sets[set] = micros;
    return {};
  }

  // The former push of the same idempotency key, if there was one.
  Result<std::optional<Pushed>> repeated(const Record& record, const Batch& batch) const {
    if (record.idempotency_key.empty()) return std::optional<Pushed>();
    const std::string key = repeat_key(record);
    std::optional<std::string> known;
    if (const auto at = batch.others.find(key); at != batch.others.end()) {
      known = at->second;
    } else {
      const auto found = store->get({key});
      if (!found) return found.error();
      known = found->front();
    }
    if (!known) return std::optional<Pushed>();
    if (known->substr(8) != digest_of(record)) {
      return Error(Code::kConflict,
                   "idempotency_key: this key was used for other rows of this stream; use a new "
                   "key for each push",
                   "idempotency_key");
    }
    return std::optional(Pushed{number_of(known), true});
  }

  // One sync for all pushes of the group.
  void push(std::vector<Job*>& group) {
    Batch batch;
    std::vector<std::string> records;
    std::vector<Job*> added;
    std::uint64_t next = log->last();
    for (Job* const job : group) {
      const auto before = repeated(job->record, batch);
      if (!before || *before) {
        job->result = before ? Result<Pushed>(**before) : Result<Pushed>(before.error());
        continue;
      }
      ++next;
      records.push_back(encode(job->record));
      note_repeat(batch, job->record, next);
      job->result = Pushed{next, false};
      added.push_back(job);
    }
    if (added.empty()) return;
    Status done = log->append(records);
    std::uint64_t sequence = next - added.size();
    std::size_t rows = 0;
    const Into into{sets, event_sets};
    for (Job* const job : added) {
      if (done) done = take(batch, job->record, ++sequence, into);
      rows += job->record.rows.size();
    }
    batch.applied = next;
    if (done) done = write(batch);
    if (done) done = sweep(rows);
    if (done) return;
    broken = done.error();
    log::error("features.log", Json::object({{"error", done.error().to_string()}}));
    for (Job* const job : group)
      job->result = failed();
  }

  Error failed() const {
    Error out(Code::kUnavailable, "the log of features cannot be written: " + broken->message +
                                      "; restart the server once the disk is well");
    out.effect = Effect::kMaybe;
    return out;
  }

  void work(std::deque<std::shared_ptr<Job>>& jobs) {
    std::vector<Job*> group;
    const auto flush = [&] {
      if (!group.empty()) push(group);
      group.clear();
    };
    for (const auto& job : jobs) {
      if (broken) {
        job->result = failed();
      } else if (job->keep || job->keep_events) {
        flush();
        const Status kept =
            job->keep ? keep(*job->keep) : keep_events(*job->keep_events, job->micros);
        job->result = kept ? Result<Pushed>(Pushed{}) : Result<Pushed>(kept.error());
      } else {
        group.push_back(job.get());
        if (group.size() == kMaxGroup) flush();
      }
    }
    if (!broken) flush();
    for (Job* const job : group)
      job->result = failed();
  }

  void run() {
    while (true) {
      std::deque<std::shared_ptr<Job>> jobs;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || !waiting.empty(); });
        if (waiting.empty()) return;
        jobs.swap(waiting);
        waiting_bytes = 0;
      }
      work(jobs);
      for (auto& job : jobs)
        job->done();
    }
  }

  // Opens the log and the store at the first use. From any thread that may block.
  Status ready() {
    const std::lock_guard opening(open_mutex);
    if (stopped) return Error(Code::kUnavailable, "the feature store stops");
    if (thread) return {};
    STRATA_TRY(open());
    thread.emplace(1);
    thread->submit([this] { run(); });
    opened = true;
    return {};
  }

  Task<Status> keep_later(std::shared_ptr<Job> job);

  // Whether the job was taken; its result says why not.
  bool submit(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex);
    if (stopping || !store) return false;
    if (waiting.size() >= kMaxWaiting || waiting_bytes + job->bytes > kMaxWaitingBytes) {
      Error full(Code::kResourceExhausted, "too many pushes wait for the disk; try again");
      full.retry = true;
      job->result = std::move(full);
      return false;
    }
    waiting_bytes += job->bytes;
    waiting.push_back(job);
    wake.notify_one();
    return true;
  }

  Ports ports;
  std::mutex open_mutex;
  bool stopped = false;
  std::atomic<bool> opened{false};
  std::unique_ptr<EventLog> log;
  std::set<KeySet> sets;
  std::map<EventSet, std::int64_t> event_sets;  // with how long their events are kept
  std::string swept;                            // where the sweep goes on
  std::optional<Error> broken;
  std::optional<BlockingPool> thread;

  std::mutex mutex;  // of all below
  std::condition_variable wake;
  std::deque<std::shared_ptr<Job>> waiting;
  std::size_t waiting_bytes = 0;
  bool stopping = false;
  std::unique_ptr<StateStore> store;  // set once
};

namespace {

// Suspends until `submit` has called what it is given; goes on at once when it refuses.
template <class Submit>
struct Turn {
  Submit* submit;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    Loop* const home = Loop::current();
    return (*submit)([handle, home] {
      if (home != nullptr) {
        home->resume(handle);
      } else {
        handle.resume();
      }
    });
  }
  void await_resume() const noexcept {}
};

}  // namespace

// Hands a job without rows to the thread, and waits for it.
Task<Status> Streams::Impl::keep_later(std::shared_ptr<Job> job) {
  const auto open = [this] {
    return ready();
  };
  if (!opened.load()) STRATA_CO_TRY(co_await ports.pool.run(open));
  auto hand_over = [&](std::move_only_function<void()> done) {
    job->done = std::move(done);
    return submit(job);
  };
  Turn<decltype(hand_over)> turn{&hand_over};
  co_await turn;
  if (!job->result) co_return job->result.error();
  co_return Status();
}

Streams::Streams(Ports ports) : impl_(std::make_unique<Impl>(std::move(ports))) {}

Streams::~Streams() {
  stop();
}

Status Streams::start() {
  return impl_->ports.files.exists(impl_->ports.folder + "/log") ? impl_->ready() : Status();
}

void Streams::stop() {
  const std::lock_guard opening(impl_->open_mutex);
  impl_->stopped = true;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->wake.notify_all();
  }
  if (impl_->thread) {
    impl_->thread->stop();
    if (const auto flushed = impl_->store->flush(); !flushed)
      log::error("features.flush", Json::object({{"error", flushed.error().to_string()}}));
    impl_->thread.reset();
  }
}

Task<Status> Streams::keep(KeySet keys) {
  auto job = std::make_shared<Impl::Job>();
  job->keep = std::move(keys);
  return impl_->keep_later(std::move(job));
}

Task<Status> Streams::keep_events(EventSet set, std::chrono::microseconds kept) {
  auto job = std::make_shared<Impl::Job>();
  job->keep_events = std::move(set);
  job->micros = kept.count();
  return impl_->keep_later(std::move(job));
}

Task<Result<Pushed>> Streams::push(Record record) {
  const auto open = [this] {
    return impl_->ready();
  };
  if (!impl_->opened.load()) STRATA_CO_TRY(co_await impl_->ports.pool.run(open));
  auto job = std::make_shared<Impl::Job>();
  record.received = impl_->ports.clock.now().micros;
  for (Row& row : record.rows) {
    if (row.created == kOnArrival) row.created = record.received;
  }
  job->record = std::move(record);
  job->bytes = encode(job->record).size();
  auto submit = [&](std::move_only_function<void()> done) {
    job->done = std::move(done);
    return impl_->submit(job);
  };
  Turn<decltype(submit)> turn{&submit};
  co_await turn;
  co_return job->result;
}

Task<Result<Snapshot>> Streams::read(std::vector<Key> keys, std::vector<Span> spans) {
  const auto look = [this, &keys, &spans]() -> Result<Snapshot> {
    Snapshot out;
    StateStore* store = nullptr;
    {
      const std::lock_guard lock(impl_->mutex);
      store = impl_->store.get();
    }
    out.states.resize(keys.size());
    out.events.resize(spans.size());
    if (store == nullptr) return out;
    std::vector<std::string> names = {std::string(kApplied)};
    for (const auto& key : keys)
      names.push_back(state_key(*key.set, pointers(key.values)));
    std::vector<StateStore::Range> ranges;
    for (const auto& span : spans) {
      const auto values = pointers(span.values);
      ranges.push_back({event_prefix(*span.set, values, span.after + 1),
                        event_prefix(*span.set, values, span.until + 1)});
    }
    const auto found = store->read(names, ranges, kMaxEvents + 1);
    if (!found) return found.error();
    out.sequence = number_of(found->values.front());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!found->values[i + 1]) continue;
      auto state = decode_state(*found->values[i + 1]);
      if (!state) return std::move(state).error();
      out.states[i] = *std::move(state);
    }
    std::size_t held = 0;
    for (std::size_t i = 0; i < spans.size(); ++i) {
      held += found->ranges[i].size();
      if (held > kMaxEvents) {
        return Error(Code::kResourceExhausted,
                     fmt::format("the windows of these keys have more than {} rows; ask for fewer "
                                 "keys at a time, or make the windows shorter",
                                 kMaxEvents));
      }
      for (const auto& [key, bytes] : found->ranges[i]) {
        auto event = decode_state(bytes);
        if (!event) return std::move(event).error();
        out.events[i].push_back(*std::move(event));
      }
    }
    return out;
  };
  co_return co_await impl_->ports.pool.run(look);
}

Task<Result<History>> Streams::history(std::vector<Key> keys) {
  auto now = co_await read({});
  if (!now) co_return std::move(now).error();
  const auto look = [this, &keys, &now]() -> Result<History> {
    History out;
    out.sequence = now->sequence;
    out.rows.resize(keys.size());
    if (out.sequence == 0) return out;
    // Several views may ask for one key.
    std::map<KeySet, std::map<std::string, std::vector<std::size_t>>> wanted;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      wanted[*keys[i].set][state_key(*keys[i].set, pointers(keys[i].values))].push_back(i);
    }
    // A look of its own at the files: what is appended meanwhile lies behind `sequence`.
    const auto log = EventLog::open(impl_->ports.files, impl_->ports.folder + "/log");
    if (!log) return log.error();
    std::size_t held = 0;
    STRATA_TRY((*log)->scan(1, [&](std::uint64_t sequence, std::string_view bytes) -> Status {
      if (sequence > out.sequence) return {};
      auto decoded = decode(bytes);
      if (!decoded) return std::move(decoded).error();
      const auto record = std::make_shared<const Record>(*std::move(decoded));
      for (const auto& [set, places] : wanted) {
        if (set.project != record->project || set.stream != record->stream) continue;
        for (std::uint32_t i = 0; i < record->rows.size(); ++i) {
          const auto values = key_of(set, *record, record->rows[i]);
          const auto at = values ? places.find(state_key(set, *values)) : places.end();
          if (at == places.end()) continue;
          held += at->second.size();
          if (held > kMaxHistory) {
            return Error(Code::kResourceExhausted,
                         fmt::format("these keys have more than {} rows; ask for fewer at a time",
                                     kMaxHistory));
          }
          for (const std::size_t key : at->second)
            out.rows[key].push_back({record, {sequence, i}});
        }
      }
      return {};
    }));
    return out;
  };
  co_return co_await impl_->ports.pool.run(look);
}

LogCheck Streams::check(Files& files, const std::string& folder) {
  LogCheck out;
  if (!files.exists(folder + "/log")) return out;
  const auto log = EventLog::open(files, folder + "/log");
  const auto scanned =
      !log ? Status(log.error())
           : (*log)->scan(1, [&](std::uint64_t sequence, std::string_view bytes) {
               ++out.records;
               if (const auto record = decode(bytes); !record) {
                 out.findings.push_back(fmt::format("{}/log: record {}: {}", folder, sequence,
                                                    record.error().message));
               }
               return Status();
             });
  if (!scanned) out.findings.push_back(scanned.error().message);
  return out;
}

}  // namespace strata::platform::streams
