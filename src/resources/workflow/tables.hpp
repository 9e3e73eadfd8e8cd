#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/records/records.hpp"
#include "resources/workflow/workflow.hpp"

// The records of this room: every statement in one place. All functions run inside a read() or
// write().
namespace strata::resources::workflow::tables {

using kernel::Reader;
using kernel::Writer;

// --- pipelines ---
struct FlowRow {
  std::string project, name, version, owner;
  std::string applied_by;     // who made `version` the current one, for whom triggers act
  kernel::Permissions scope;  // of the credentials that did
  std::int64_t number = 0;
  Instant updated;
  wire::FlowSpec spec;
  std::optional<TriggerFailure> trigger_failure{};
};
Result<std::optional<FlowRow>> find_flow(Reader& r, const std::string& project,
                                         const std::string& name);
// When the pipeline's first version was applied.
Result<Instant> first_applied(Reader& r, const std::string& project, const std::string& name);
Result<std::vector<FlowRow>> all_flows(Reader& r, const std::optional<std::string>& project);
// The spec of any version that was ever applied. Errors: kNotFound.
Result<wire::FlowSpec> spec_of(Reader& r, const std::string& project, const std::string& flow,
                               const std::string& version);
// Stores the spec as the flow's newest version unless it is that already; the version's number.
// The first to apply the flow stays its owner; `by` is from now on for whom its triggers act.
Result<std::int64_t> put_flow(Writer& w, const kernel::Caller& by, const wire::FlowSpec& spec,
                              Instant now);
// What the newest trigger came to; nothing when it started a run.
Status set_trigger_failure(Writer& w, const FlowRow& flow,
                           const std::optional<TriggerFailure>& failure);
Result<bool> remove_flow(Writer& w, const std::string& project, const std::string& name);
Result<std::vector<FlowVersion>> versions(Reader& r, const std::string& project,
                                          const std::string& name);

// --- runs ---
struct RunRow {
  std::string project, flow, version, cause, idempotency_key;
  Json params;
  bool cancel_requested = false;
  kernel::Permissions scope;  // that the credentials of its steps do not go beyond
  scheduler::Run run;         // without tasks, unless asked for
  bool repeated = false;      // found by its key, and not made by this call
};
Result<std::optional<RunRow>> find_run(Reader& r, const std::string& project,
                                       const std::string& id);
Result<std::optional<RunRow>> find_run_by_key(Reader& r, const std::string& project,
                                              const std::string& flow, const std::string& key);
Result<std::vector<RunRow>> list_runs(Reader& r, const std::string& project,
                                      const Workflows::RunFilter& filter);
Result<std::vector<RunRow>> unfinished_runs(Reader& r);
Status read_tasks(Reader& r, scheduler::Run& run);
Result<std::int64_t> count_queued(Reader& r, const std::string& project, const std::string& flow);
// Gives the run its sequence.
Status insert_run(Writer& w, RunRow& row);
Status update_run(Writer& w, const scheduler::Run& run);
Status update_task(Writer& w, const std::string& run, std::size_t ordinal,
                   const scheduler::Task& task);
Result<bool> request_cancel(Writer& w, const std::string& run);

Status put_output(Writer& w, const std::string& run, const Output& output);
Result<std::vector<Output>> outputs_of(Reader& r, const std::string& run);

// --- triggers ---
// How far a trigger has been served: the last cron fire in microseconds, or the last event's
// sequence.
Result<std::optional<std::int64_t>> cursor(Reader& r, const std::string& name);
Status set_cursor(Writer& w, const std::string& name, std::int64_t value);

}  // namespace strata::resources::workflow::tables
