#pragma once

// Flags and what is tried with them. Flags give values by GrowthBook's rules; an experiment is a
// frozen plan that decides about a rule of a flag that splits its units. Contracts: class Flags in
// flags.hpp, class Exposures in exposures.hpp, class Experiments below.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/experiments/exposures.hpp"
#include "platform/experiments/flags.hpp"

namespace strata::platform::experiments {

// An experiment: what was decided before its start, and whether it runs.
struct Experiment {
  std::string name;
  Json frozen;         // the plan in full; see freeze() in experiment_plan.hpp
  std::string digest;  // of the plan
  std::string started_by;
  Instant started;
  std::optional<Instant> stopped;
  std::string stopped_by;
  std::string reason;  // why it was stopped
};

// Experiments on rules of flags.
//
// Promises: the plan (hypothesis, metrics with the tables that they come from, guardrails, method,
// stopping rule) is checked and frozen by its digest at the start, and never changes; start and
// stop are in the audit log and published ("experiment.started", "experiment.stopped", subject
// "flag_experiment:NAME") in the same commit. A report counts units by their first exposure since
// the start, checks the sample ratio before anything else, and reads a metric only behind each
// unit's own exposure and only of units whose window is over; a covariate lies strictly before it.
// It runs SQL with the caller's rights. Threads: all methods from any loop. Errors:
// kInvalidArgument naming the field, kNotFound, kAlreadyExists, kConflict, and the warehouse's.
class Experiments {
 public:
  // Runs one statement with parameters by name as the caller; its rows.
  using Query =
      std::function<Task<Result<Json>>(const kernel::Caller&, std::string sql, Json params)>;
  struct Ports {
    kernel::Records& records;
    kernel::Audit& audit;
    kernel::EventBus& events;
    const Clock& clock;
    Flags& flags;
    Query query;
  };
  explicit Experiments(Ports ports) : ports_(std::move(ports)) {}
  static std::span<const kernel::Migration> migrations();

  Task<Result<Experiment>> start(const kernel::Caller& caller, Json definition);
  Task<Result<Experiment>> stop(const kernel::Caller& caller, std::string name, std::string reason);
  Task<Result<Experiment>> find(const kernel::Caller& caller, std::string name);
  // Newest first; those started before `before` where it is not 0 (microseconds since 1970).
  Task<Result<std::vector<Experiment>>> list(const kernel::Caller& caller, std::int64_t before,
                                             int limit);
  // {"experiment", "units", "summary", "decision", "metrics", "warnings"}.
  Task<Result<Json>> report(const kernel::Caller& caller, std::string name);

 private:
  Task<Status> count_units(const kernel::Caller& caller, const Experiment& experiment, Json& report,
                           Json& request);
  Task<Status> read_metric(const kernel::Caller& caller, const Experiment& experiment,
                           const Json& metric, Json& report, Json& request);

  Ports ports_;
};

// The JSON Schema of what start() takes.
std::string_view experiment_schema();

}  // namespace strata::platform::experiments
