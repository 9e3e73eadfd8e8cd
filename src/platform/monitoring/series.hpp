#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "platform/monitoring/alarms.hpp"
#include "platform/monitoring/monitoring.hpp"
#include "platform/monitoring/sample.hpp"

namespace strata::platform::monitoring {

// What values are compared with: bins and counts of each feature, made once.
struct Monitoring::Reference {
  std::int64_t number = 0;  // counts the references of an endpoint
  std::string kind;         // "query" or "first rows"
  std::string source;       // the query, or the version that answered the rows
  std::int64_t rows = 0;
  Instant made;
  std::map<std::string, drift::Profile> profiles;  // with the bins; by feature

  Json to_json() const;
  static Result<std::shared_ptr<const Reference>> from_json(const Json& json);
};

// What was logged of one version in one stretch of time.
struct Cell {
  std::int64_t rows = 0;
  std::int64_t failed = 0;
  std::map<std::string, drift::Profile> profiles;
  void merge(const Cell& other);
  Json to_json() const;
  static Result<Cell> from_json(const Json& json,
                                const std::map<std::string, drift::Profile>& reference);
};

struct CellKey {
  std::string version;
  std::int64_t start_ms = 0;
  auto operator<=>(const CellKey&) const = default;
};

struct Monitoring::Cells {
  std::map<CellKey, Cell> cells;
  std::string version;  // the one asked for, or with the most rows
  Instant since, until;
};

// One endpoint. What changes is guarded by the room's mutex; `kept`, `looked_at` and `last_look`
// belong to who holds the right to work.
struct Monitoring::Series {
  std::string key, project, endpoint;
  std::int64_t kept = 0;  // the mark in the records
  std::map<std::string, Alarm> alarms;
  Instant last_look;
  std::int64_t looked_at = -1;  // the mark at the last look

  std::int64_t folded = 0;  // flushes that `pending` or the records have
  std::int64_t seen = 0;    // the newest flush
  std::int64_t unread = 0;  // rows of flushes after `folded`, as far as they were seen
  bool any = true;          // there may be something to do
  Settings settings;
  std::shared_ptr<const Reference> reference;
  std::map<CellKey, Cell> pending;
};

// What a report needs of a series, as it is at one moment.
struct Monitoring::View {
  std::string project, endpoint;
  Settings settings;
  std::shared_ptr<const Reference> reference;
  std::map<std::string, Alarm> alarms;
};

inline constexpr std::int64_t kMinuteMs = 60'000;
inline constexpr std::int64_t kHourMs = 3'600'000;

// Counts rows in the cells of their version and minute, in the reference's bins. Features that the
// reference has not, or has of another kind, are passed over.
void fold(const LogRows& rows, const std::map<std::string, drift::Profile>& reference,
          std::map<CellKey, Cell>& cells);

}  // namespace strata::platform::monitoring
