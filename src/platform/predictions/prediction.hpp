#pragma once

// What the log keeps of a prediction, and tells of it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "platform/inference/inference.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::platform::predictions {

using inference::Contract;
using inference::Inputs;

// As what a model answered: kCanary and kControl are the two arms of a release that are compared,
// and kShadow is an answer that no client got.
enum class Route : std::uint8_t { kLive, kCanary, kControl, kShadow };
std::string_view route_name(Route route);

// Which model answered, fixed when it was loaded.
struct ModelIdentity {
  std::string project;
  std::string endpoint;
  std::string model;
  std::string version;
  std::string digest;
  std::string package_digest;
  std::int64_t deployment = 0;  // counts the swaps of this endpoint
  Contract contract;
};

// One answered request: everything that the log keeps of it.
struct Exchange {
  std::string id;
  Instant time;
  std::int64_t latency_us = 0;
  std::shared_ptr<const ModelIdentity> model;
  Route route = Route::kLive;
  Inputs inputs;
  std::vector<wire::Tensor> outputs;  // empty when the model failed
  std::string failure;
  std::shared_ptr<const std::string> backing;  // what the inputs may look at
  std::shared_ptr<const Exchange> original;    // of a shadow: what it repeats and may look at
  // The memory that it holds while it waits, the backing's too.
  std::size_t held_bytes() const;
  // About what its rows are in a file.
  std::size_t value_bytes() const;
};

struct PredictionRow {
  std::int64_t row = 0;
  Json inputs;
  Json outputs;
};

// What the log tells of one request, all of its rows.
struct Prediction {
  std::string id;
  Instant time;
  std::string endpoint;
  std::string model;
  std::string version;
  std::string digest;
  std::int64_t deployment = 0;
  std::int64_t latency_us = 0;
  std::string status;  // "ok", or what the model failed with
  std::string route;   // a route's name; "live" also where older files tell none
  std::size_t row_count = 0;
  std::vector<PredictionRow> rows;  // the first of them
  std::size_t shown_bytes = 0;      // about what these have as JSON
};

// A page of an endpoint's predictions, newest first.
struct PredictionList {
  std::vector<Prediction> predictions;
  std::size_t unreadable_files = 0;  // so many files of the log were passed over
  std::string next;                  // where the next page begins; empty when there is none
};

// Rows [first, first + rows) of an exchange.
struct ExchangeSlice {
  const Exchange* exchange = nullptr;
  std::size_t first = 0;
  std::size_t rows = 0;
};

// Who follows the log row by row, and keeps for itself how far it came.
class LogFollower {
 public:
  virtual ~LogFollower() = default;
  // Rows that are in a file now: flush number `sequence` of "<project>/<endpoint>". In order, on
  // the thread that writes: it must be quick and must not call the log.
  virtual void flushed(const std::string& key, std::int64_t sequence,
                       const wire::ParquetTable& rows) = 0;
};

// The rows of the flushes `from` to `to`, or nothing when their file cannot be read.
struct LogStretch {
  std::int64_t from = 0, to = 0;
  std::optional<wire::ParquetTable> rows;
};

}  // namespace strata::platform::predictions
