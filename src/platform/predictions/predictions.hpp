#pragma once

// Predictions: the log of what endpoints answered, as Parquet files that SQL reads.
//
// Promises: an answer whose room was reserved is written whole or, after a crash, not at all;
// files() lists each row once. Owns the folder `predictions`. Cost: append() hands over and
// returns; a thread writes every second. A crash of the machine or of this process loses what came
// since.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "platform/predictions/prediction.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/signal.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::platform::predictions {

// The log of all predictions: Parquet files below one folder,
// <project>/<endpoint>/<times>-<sequences>.parquet, one row for each row of a request, inputs and
// outputs as typed members of two structs.
//
// Promises: what append() took is in a published, synced file at most kFlushEvery later, or when
// the log is closed; a file is complete or absent. A killed process loses what it took since the
// last flush. No prediction is dropped while the server runs: an answer is admitted before its
// model runs, and none is while kMaxPending bytes are held by those admitted and those that wait,
// so that they never hold more than that and the one that crosses it. Small files are joined into
// larger ones; the joined ones stay readable for kGrace, so that a query that began with files()
// ends. A request of more than kSegmentRows rows or kSegmentBytes lies in several files, of which a
// killed process may leave the first. Memory: writing and reading hold one file's rows at a time.
// Threads: append() takes no lock; everything else may be called from any thread and blocks.
class PredictionLog {
 public:
  static constexpr std::chrono::milliseconds kFlushEvery{1000};
  static constexpr std::chrono::milliseconds kGrace{60'000};
  static constexpr std::size_t kMaxPending = 64U << 20U;
  // What one flush puts into a file at most, though at least one row.
  static constexpr std::size_t kSegmentRows = 1U << 16U;
  static constexpr std::size_t kSegmentBytes = 8U << 20U;
  // How many rows of one prediction are given, and of all predictions on a page together.
  static constexpr std::size_t kRowsShown = 1000;
  static constexpr std::size_t kRowsListed = 10'000;
  // How many bytes they may have as JSON, of one prediction and of a page alike; one row is always
  // given.
  static constexpr std::size_t kBytesShown = 4U << 20U;

  PredictionLog(std::string folder, Files& files, const Clock& clock, metrics::Registry& metrics);
  ~PredictionLog();

  // Finds what earlier processes wrote. Blocks.
  Status open();
  // Flushes every kFlushEvery on a thread of `pool` until it is asked to stop; the owner then
  // flushes a last time.
  Task<void> keep(BlockingPool& pool, std::stop_token stop);

  // Room in the log for one answer, given back unless append() takes it over.
  class Room {
   public:
    Room() = default;
    Room(Room&& other) noexcept
        : log_(std::exchange(other.log_, nullptr)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Room& operator=(Room&&) = delete;
    ~Room() {
      if (log_ != nullptr) log_->held_.fetch_sub(bytes_, std::memory_order_relaxed);
    }

   private:
    friend class PredictionLog;
    Room(PredictionLog* log, std::size_t bytes) : log_(log), bytes_(bytes) {}
    PredictionLog* log_ = nullptr;
    std::size_t bytes_ = 0;
  };

  // Reserves room for what an answer is expected to hold; nothing when the log is full. Ask before
  // the model runs.
  std::optional<Room> admit(std::size_t bytes);
  // The same for what nobody waits for: nothing as well when the log is half full.
  std::optional<Room> admit_spare(std::size_t bytes);
  // Turns the room into what the exchange really holds.
  void append(std::shared_ptr<const Exchange> exchange, Room room);

  // Writes what was appended before the call, on the calling thread. Errors: what the file system
  // said; nothing is lost then, the next flush tries again.
  Status flush();

  // With its first rows, at most kRowsShown of them and as many as kBytesShown has room for. A file
  // that cannot be read is passed over. Errors: kNotFound, kDataLoss when the prediction may be in
  // a file that cannot be read.
  Result<Prediction> find(std::string_view project, std::string_view id);
  // Newest first, at most `limit` requests, each with the rows that find() gives; those that came
  // before `before`, a list's `next`, or all. Ends early when the page is full by its rows or
  // bytes, though not before its first. Files that cannot be read are passed over and counted.
  // Errors: kInvalidArgument when `before` is no prediction of the endpoint, kDataLoss when it may
  // be in a file that cannot be read.
  Result<PredictionList> newest(std::string_view project, std::string_view endpoint,
                                std::size_t limit, std::string_view before = {});
  // Before keep(). `follower` must outlive the last flush.
  void follow(LogFollower& follower) { follower_ = &follower; }
  // "<project>/<endpoint>" of everything that was ever logged.
  std::vector<std::string> keys();
  // The first file with rows of flushes after `mark`, a follower's mark; nothing when there is
  // none. Blocks.
  std::optional<LogStretch> next_after(const std::string& key, std::int64_t mark);
  // Makes `mark`, kept by `keep`, the place up to which the follower has the rows: no file is ever
  // joined across it, also when the process ends in between. Errors: what `keep` said; the mark is
  // then as before.
  Status set_mark(const std::string& key, std::int64_t mark, const std::function<Status()>& keep);
  // Calls `see` with what an endpoint answered in [since, until) before the call, oldest file
  // first, some thousand rows at a time; rows beside that time may be among them. Blocks. Errors:
  // kDataLoss when a file cannot be read, and what `see` said.
  Status scan(std::string_view project, std::string_view endpoint, Instant since, Instant until,
              const std::function<Status(const wire::ParquetTable&)>& see);
  // The files that together hold every row that was flushed, each once; of one endpoint or of all.
  std::vector<std::string> files(std::string_view project, std::string_view endpoint = {});

 private:
  struct Node {
    std::shared_ptr<const Exchange> exchange;
    Node* next = nullptr;
  };
  struct Segment {
    std::int64_t first_ms = 0, last_ms = 0;
    std::int64_t from = 0, to = 0;  // sequence numbers of the flushes in it
    std::string path;
    std::uint64_t bytes = 0;
    int level = 0;  // how often its rows were joined
  };
  struct Series {
    std::vector<Segment> segments;  // by sequence
    std::int64_t next = 1;
    std::int64_t mark = 0;  // a follower has what came up to here
  };
  struct Obsolete {
    std::string path;
    std::chrono::steady_clock::time_point when;
  };

  struct Waiting {
    std::shared_ptr<const Exchange> exchange;
    std::size_t written = 0;  // so many of its rows are in files
  };
  // A prediction's rows in one file.
  struct Part {
    const Segment* segment = nullptr;
    std::size_t first = 0, count = 0;
  };
  struct Place {
    std::string id;
    std::vector<Part> parts;  // in the order of the rows
  };

  void take_all();
  Status write();
  Status write_segment(const ModelIdentity& model, std::span<const ExchangeSlice> slices);
  Status store(const std::string& key, const wire::ParquetTable& table, Segment& segment);
  static std::vector<Segment> last_alike(const std::vector<Segment>& segments, std::size_t from,
                                         std::size_t to);
  void join_small(const std::string& key);
  bool finish_join(const std::string& key, const wire::ParquetTable& table, Segment& segment);
  void replace_segments(const std::string& key, const std::vector<Segment>& old,
                        std::vector<Segment> fresh);
  void drop_joined(Series& series);
  void remove_obsolete();
  Result<wire::ParquetReader> reader_of(const Segment& segment) const;
  Result<std::vector<wire::ParquetReader::Run>> runs_of(const Segment& segment) const;
  Result<wire::ParquetTable> read_rows(const Segment& segment, std::size_t first,
                                       std::size_t count) const;
  Result<Prediction> read(const Place& place) const;
  struct Page;
  Status find_places(std::string_view before, std::size_t limit, Page& page) const;
  std::size_t add_together(Page& page, std::size_t at, PredictionList& out) const;
  bool add_one(Page& page, std::size_t at, PredictionList& out) const;
  std::vector<Segment> segments_of(std::string_view project, std::string_view endpoint);

  const std::string folder_;
  Files& files_;
  const Clock& clock_;
  metrics::Counter& rows_written_;
  metrics::Counter& failures_;

  std::atomic<Node*> head_{nullptr};
  std::atomic<std::size_t> held_{0};     // by what was admitted or waits
  std::atomic<std::size_t> pending_{0};  // by what waits
  Signal half_full_;

  LogFollower* follower_ = nullptr;
  std::mutex joining_;          // held while files are joined, and while the mark moves
  std::mutex writing_;          // held for the whole of a flush; over batch_
  std::vector<Waiting> batch_;  // taken from the queue, not wholly written yet

  std::mutex mutex_;  // over what follows; never held while a file is written
  std::map<std::string, Series, std::less<>> series_;  // by "<project>/<endpoint>"
  std::vector<Obsolete> obsolete_;
};

// The rows of some exchanges with one model as a table.
wire::ParquetTable table_of(const ModelIdentity& model, std::span<const ExchangeSlice> slices);
// About how many bytes each row of such a table has as JSON.
std::vector<std::size_t> shown_bytes(wire::ParquetTable& table);
// The other way: one prediction for each id, in the order of the table, of `count` rows from
// `first` on.
std::vector<Prediction> predictions_of(wire::ParquetTable& table, std::size_t first,
                                       std::size_t count);

}  // namespace strata::platform::predictions
