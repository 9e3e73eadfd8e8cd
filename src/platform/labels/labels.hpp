#pragma once

// Labels: what turned out to be true of predictions. The contract stands at class Labels.

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/predictions/predictions.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"

namespace strata::platform::labels {

// What turned out to be true of one row of one prediction.
struct Label {
  std::string prediction_id{};
  std::int64_t row = 0;
  std::string name = "label";  // what it is a label of, where a prediction has several
  std::string value{};
  std::optional<double> number{};  // the value, if it is a number; true is 1, false 0
  std::optional<Instant> event{};  // since when it is true; when the server had it, unless told
};

// Labels of one request. JSON: {"labels": [{"prediction_id": ..., "value": ..., "row": 0, "name":
// "label", "event_time": ...}]}; NDJSON: such an object a line; CSV: columns of these names. `now`
// is what no event may lie behind. Errors: kUnsupportedMediaType, kMalformed, kTooLarge (more than
// Labels::kMostAtOnce), kInvalidArgument naming label and field.
Result<std::vector<Label>> parse_labels(std::string_view body, std::string_view content_type,
                                        Instant now);

// The label that counts of one row.
struct Outcome {
  std::string value;
  std::optional<double> number;
  Instant event;
  Instant first;  // when the first label of the row came
};
// By place_of(prediction, row).
using Outcomes = std::unordered_map<std::string, Outcome>;
std::string place_of(std::string_view prediction_id, std::int64_t row);

// Labels of predictions, as Parquet files that SQL reads as strata.labels.
//
// Promises: what push() answered for is durable, and in the next newest() and fresh files(). All
// that ever came is kept, with the time at which the server had it. Of a row and name the label
// with the latest event time counts, among those of one event time the one that came last: the same
// label again changes nothing, and a correction is a label of the same event time. Labels of
// predictions that are not in the log are kept, too, and count once they are there. Owns the
// folder `labels` and the records of what is not in a file of its own yet. Cost: push() is one
// commit, shared by all writers; what kRollRows have come in becomes a file. Errors:
// kResourceExhausted while kMaxWaiting wait for a file that cannot be written. Threads: push() from
// any loop; the others block.
class Labels {
 public:
  static constexpr std::size_t kMostAtOnce = 50'000;
  static constexpr std::size_t kMostCounted = 4'000'000;  // by newest()
  static constexpr std::int64_t kRollRows = 20'000;
  static constexpr std::int64_t kMaxWaiting = 400'000;  // of a project
  static constexpr std::chrono::seconds kGrace{120};

  struct Ports {
    kernel::Records& records;
    Files& files;
    const Clock& clock;
    BlockingPool& pool;
    predictions::PredictionLog& log;
    deployment::Endpoints& endpoints;
  };
  Labels(Ports ports, std::string folder);
  static std::span<const kernel::Migration> migrations();
  // Finds what is there. Blocks.
  Status open();

  // Takes labels of an endpoint's predictions, all or none; {"labels": count, "created": time}.
  // Errors: those of parse_labels(); kNotFound for an endpoint that is not there and never
  // answered.
  Task<Result<Json>> push(const kernel::Caller& caller, std::string endpoint, std::string body,
                          std::string content_type);
  // The labels of that name that count, without those that the server had before `since`. Errors:
  // kTooLarge for more than kMostCounted.
  Result<Outcomes> newest(const ProjectId& project, std::string_view endpoint,
                          std::string_view name, Instant since);
  // The files that make up all labels of a project; with all that was pushed before the call when
  // `fresh`. A file stays for kGrace after it is listed no more.
  Result<std::vector<std::string>> files(const ProjectId& project, bool fresh);

 private:
  struct Segment {
    std::int64_t last = 0;        // the sequence of its last row
    std::int64_t created_us = 0;  // the latest of its rows
    std::string path{};
  };
  struct Kept {
    std::vector<Segment> segments;
    Segment tail;  // what waits, as a file; made anew when more came
  };

  Task<Status> record(const ProjectId& project, const std::string& endpoint,
                      const std::vector<Label>& labels, Instant now);
  Status roll(const std::string& project);
  Status write_tail(const std::string& project, Kept& kept);
  Result<kernel::Rows> waiting(const std::string& project, std::int64_t after);
  Status write_file(const std::string& path, const kernel::Rows& rows);
  void retire(std::string path);

  Ports ports_;
  std::string folder_;
  std::mutex writing_;  // of files; held while the disk is waited for
  std::vector<std::pair<std::chrono::steady_clock::time_point, std::string>> retired_;
  std::map<std::string, Kept> kept_;  // by project
  std::mutex mutex_;                  // guards what follows
  std::map<std::string, std::int64_t> waiting_;
};

std::string_view labels_schema();

}  // namespace strata::platform::labels
