#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "wire/growthbook/evaluate.hpp"

namespace strata::platform::experiments {

// What SDKs report: that a unit was given a variation, or anything else that they name.
struct Tracked {
  enum class Kind : std::uint8_t { kExposure, kEvent };
  Kind kind = Kind::kEvent;
  std::string name{};        // of an event
  std::string experiment{};  // of an exposure, as all up to `unit`
  std::string variation{};
  std::string attribute{};        // what the experiment splits by, such as "id"
  std::string unit{};             // of an event: the user's or else the device's id; may be empty
  std::string source{};           // "js 1.8.0", "ofrep", ...
  std::string properties = "{}";  // JSON
  std::string attributes = "{}";  // JSON
};

// The exposures that an evaluation made, as they are recorded.
std::vector<Tracked> exposures_of(const std::vector<wire::growthbook::Exposure>& exposures,
                                  std::string_view source);

// Exposures and events of SDKs, as Parquet files that SQL reads.
//
// Promises: what record() took is durable, and in the next fresh files(); each is stored with the
// time at which the server had it. The same unit may be there many times: who reads takes the first
// of each experiment and unit. Owns the folder `exposures` and the records of what is not in a file
// of its own yet. Cost: record() is one commit, shared by all writers; what kRollRows have come in
// becomes a file. Errors: kResourceExhausted while kMaxWaiting wait for a file that cannot be
// written. Threads: record() from any loop; files() blocks.
class Exposures {
 public:
  static constexpr std::int64_t kRollRows = 20'000;
  static constexpr std::int64_t kMaxWaiting = 200'000;  // of a project and kind
  static constexpr std::size_t kRemembered = 50'000;
  static constexpr std::chrono::seconds kGrace{120};

  Exposures(kernel::Records& records, std::string folder, Files& files, const Clock& clock,
            BlockingPool& pool);
  static std::span<const kernel::Migration> migrations();
  // Finds what is there. Blocks.
  Status open();

  Task<Status> record(const ProjectId& project, std::vector<Tracked> all);
  // The same without those exposures that this process recorded not long ago.
  Task<Status> record_new(const ProjectId& project, std::vector<Tracked> all);
  // The files of a project that make up all of a kind; with all that was recorded before the call
  // when `fresh`. A file stays for kGrace after it is listed no more. Blocks.
  Result<std::vector<std::string>> files(const ProjectId& project, Tracked::Kind kind, bool fresh);

 private:
  struct Segment {
    std::int64_t last = 0;
    std::string path;
  };
  struct Kept {  // of one project and kind
    std::vector<Segment> segments;
    Segment tail;  // what waits, as a file; made anew when more came
    std::int64_t waiting = 0;
  };
  using Key = std::pair<std::string, Tracked::Kind>;

  Status roll(const Key& key);
  Status write_tail(const Key& key, Kept& kept);
  Result<kernel::Rows> waiting(const Key& key, std::int64_t after);
  Status write_file(const std::string& path, Tracked::Kind kind, const kernel::Rows& rows);
  void retire(std::string path);

  kernel::Records& records_;
  std::string folder_;
  Files& files_;
  const Clock& clock_;
  BlockingPool& pool_;
  std::mutex writing_;  // of files; held while the disk is waited for
  std::vector<std::pair<std::chrono::steady_clock::time_point, std::string>> retired_;
  std::map<Key, Kept> kept_;
  std::mutex mutex_;  // guards what follows
  std::map<Key, std::int64_t> waiting_;
  std::unordered_set<std::string> recent_, older_;
};

}  // namespace strata::platform::experiments
