#pragma once

// Monitoring: what endpoints are asked and answer now, against a reference. The contract stands at
// class Monitoring.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/drift/drift.hpp"
#include "platform/predictions/predictions.hpp"
#include "runtime/clock.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::platform::monitoring {

// How an endpoint is watched.
struct Settings {
  std::string reference;  // SQL; empty: the first rows that the endpoint answers
  std::chrono::seconds window{86400};
  double threshold = 0.2;      // of the population stability index
  std::int64_t minimum = 500;  // rows in the window, before anything is said
  double false_alarms = 1;     // that chance may raise in 30 days, over all features together
  Json to_json() const;
  // These with the changes that `json`, in the form of the API, has. Errors: kInvalidArgument
  // naming the field.
  Result<Settings> with(const Json& json) const;
  static Result<Settings> parse(const Json& json) { return Settings().with(json); }
  bool operator==(const Settings&) const = default;
};

// Which part of the past a report is about; the settings' window until now, unless said.
struct Span {
  std::optional<Instant> since, until;
  std::string version;  // the one that has the most rows, unless said
};

// Profiles of all inputs and outputs of every endpoint, minute by minute, from the prediction log.
//
// Promises: every row of the log is counted once in the cell of its version and minute, across
// crashes: cells and how far the log was read are kept in one commit. Features are told apart by
// name, "inputs.NAME" and "outputs.NAME". Bins come from the reference and never change with the
// window; a new reference counts the whole log anew. An alarm opens when a feature's index passes
// the threshold and chance is ruled out within the false alarms that the settings allow, and closes
// after three looks below seven tenths of it; both publish events ("drift.detected",
// "drift.resolved", subject "endpoint:NAME"). Owns its records only. Costs: linear in
// the values, on the threads of the pool and never on a request's way. Threads: all methods
// from any loop.
class Monitoring final : public predictions::LogFollower {
 public:
  static constexpr std::size_t kFirstRows = 1000;  // that make a reference where none was given
  static constexpr std::uint64_t kReferenceRows = 100'000;  // of a query, at most
  static constexpr std::size_t kMaxFeatures = 500;

  struct Ports {
    kernel::Records& records;
    kernel::Identity& identity;
    kernel::Audit& audit;
    kernel::EventBus& events;
    const Clock& clock;
    BlockingPool& pool;
    LoopGroup& loops;
    TaskScope& scope;
    metrics::Registry& metrics;
    predictions::PredictionLog& log;
    deployment::Endpoints& endpoints;
    // The warehouse of the caller's project.
    std::function<Task<Result<storage::warehouse::Warehouse*>>(const kernel::Caller&)> warehouse;
  };
  explicit Monitoring(Ports ports);
  ~Monitoring() override;
  static std::span<const kernel::Migration> migrations();

  // Reads the records; before the log is written to. Blocks.
  Status prepare();
  // Begins to follow; returns at once.
  void start();

  // All monitored endpoints of the caller's project.
  Task<Result<Json>> list(const kernel::Caller& caller);
  // Distances of each feature in the span, the farthest first. Errors: kNotFound for an endpoint
  // that nothing was logged of.
  Task<Result<Json>> report(const kernel::Caller& caller, std::string endpoint, Span span);
  // One feature over the span, in at most 400 steps.
  Task<Result<Json>> series(const kernel::Caller& caller, std::string endpoint, std::string feature,
                            Span span);
  // Changes the settings that `changes` names. A reference that is named is queried now, with the
  // caller's rights to read, and then stays as it is; null goes back to the first rows. Errors:
  // kInvalidArgument naming the setting; what the query said.
  Task<Result<Json>> change(const kernel::Caller& caller, std::string endpoint, Json changes);

  void flushed(const std::string& key, std::int64_t sequence,
               const wire::ParquetTable& rows) override;

 private:
  struct Series;
  struct Reference;
  struct Cells;
  struct View;
  using SeriesPtr = std::shared_ptr<Series>;

  Task<void> watch();
  void work();
  Status work_on(Series& series);
  Status catch_up(Series& series);
  Status take_first_rows(Series& series);
  Status persist(Series& series);
  // Null forgets the one there is.
  Status set_reference(Series& series, std::shared_ptr<const Reference> reference,
                       const Settings& settings, const std::string& actor);
  Task<Result<std::shared_ptr<const Reference>>> query_reference(const kernel::Caller& caller,
                                                                 const Settings& settings);
  Status look_for_drift(Series& series);
  SeriesPtr series_of(const std::string& key);
  Result<SeriesPtr> find(const kernel::Caller& caller, const std::string& endpoint);
  View view_of(const Series& series);
  static Json summary(const View& view);
  Result<Cells> cells_in(const View& view, const Span& span);
  Result<Json> report_of(const View& view, const Span& span);
  Result<Json> steps_of(const View& view, const std::string& feature, const Span& span);
  Result<Json> keep_changes(Series& series, const Settings& settings, bool anew,
                            const std::shared_ptr<const Reference>& fresh,
                            const kernel::Caller& caller);
  Status keep_settings(Series& series, const Settings& settings, const kernel::Caller& caller);

  Ports ports_;
  std::mutex working_;  // held while the log is read and records are written; before mutex_
  metrics::Gauge& open_alarms_;
  metrics::Counter& failures_;
  std::mutex mutex_;  // over series_ and what each has in memory
  std::map<std::string, SeriesPtr> series_;
  Signal dirty_;
};

// Compares two sets of columns, each given as {"columns": {NAME: [values]}}: exact measures for
// numbers, and those of bins. Errors: kInvalidArgument naming the column.
Result<Json> compare(const Json& request);
std::string_view compare_schema();
std::string_view settings_schema();

}  // namespace strata::platform::monitoring
