#pragma once

// Pipelines: versions of their text, runs, triggers. A run keeps the version that it began with.
//
// Promises: an acknowledged run happens, whatever crashes; a task attempt starts at most once (see
// scheduler.hpp); outputs are content-addressed and become visible only when their step has
// succeeded. Cron fires that fell into a downtime: the latest one runs, once. Costs: one record
// commit for each batch of task transitions. Threads: all methods from any loop; one thread of its
// own.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "resources/scheduler/scheduler.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/files.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "wire/flow/flow_spec.hpp"

namespace strata::resources::workflow {

using Environment = std::vector<std::pair<std::string, std::string>>;

// What the workflows need of the house. `client_environment` gives the variables by which stock
// clients reach this server with a token (the same as `strata env`); kUnavailable until the
// server's addresses are known.
struct Ports {
  std::string data;        // the data directory
  std::string executable;  // this program, for agent and shims
  kernel::Records& records;
  kernel::Identity& identity;
  kernel::Audit& audit;
  kernel::EventBus& events;
  kernel::Lineage& lineage;
  const Clock& clock;
  Random& random;
  Files& files;
  BlockingPool& pool;
  LoopGroup& loops;
  TaskScope& scope;
  std::function<Result<Environment>(const kernel::IssuedToken&)> client_environment;
  Environment inherited;  // what every step sees of the server's own environment
  int running_per_user = 64;
};

// Why the newest of a pipeline's triggers that fired started no run.
struct TriggerFailure {
  Instant time;
  std::string cause;  // as a run that it had started would have
  std::string error;
};

struct FlowSummary {
  std::string name, description, version, owner;
  std::string applied_by;   // who made this version the current one: triggers act for that user
  std::int64_t number = 0;  // of the version, from 1
  Instant updated;
  wire::FlowSpec spec;
  std::optional<Instant> next_run;  // of its cron triggers
  // Until a trigger starts a run again, or the pipeline is applied again.
  std::optional<TriggerFailure> trigger_failure{};
};

struct FlowVersion {
  std::string version, created_by;
  std::int64_t number = 0;
  Instant created;
};

struct Output {
  std::string step, name, digest;
  std::uint64_t size = 0;
};

// A run with its tasks as the scheduler left them.
struct FlowRun {
  std::string flow, version, cause;  // cause: "manual", "cron ..." or "event ..."
  Json params;
  scheduler::Run run;
  std::vector<Output> outputs;
  std::vector<std::string> why_waiting;  // one for each task; empty when it does not wait
};

struct RunRequest {
  Json params = Json::object();
  std::string idempotency_key;  // the same key gives the same run
};

// The front door of this room; see the top of this file.
class Workflows {
 public:
  static constexpr std::size_t kMaxPackage = 64 << 20;  // bytes of the source files of a pipeline

  explicit Workflows(Ports ports);
  ~Workflows();
  static std::span<const kernel::Migration> migrations();

  // Takes up the runs of earlier lives and begins to schedule. Blocks on the records.
  Status start();
  // Ends the streams of those who follow a log, which would otherwise last as long as their run.
  // Called when the server begins to stop. Does not block.
  void drain();
  // Stops scheduling; running tasks go on without the server. Blocks briefly.
  void stop();

  // Stores a pipeline; an unchanged one keeps its version. Its triggers act for the caller from
  // then on, within the scope of the caller's credentials. Errors: kInvalidArgument (a resource
  // request beyond the node, a package that was not uploaded, a cron zone).
  Task<Result<FlowSummary>> apply(const kernel::Caller& caller, wire::FlowSpec spec, bool dry_run);
  Task<Result<std::vector<FlowSummary>>> list(const kernel::Caller& caller);
  Task<Result<FlowSummary>> get(const kernel::Caller& caller, const std::string& name);
  Task<Result<std::vector<FlowVersion>>> versions(const kernel::Caller& caller,
                                                  const std::string& name);
  // What differs between two versions in what their steps run: the steps themselves, and the files
  // of their sources, sorted. Errors: kNotFound for a version that never was.
  struct CodeChanges {
    bool steps = false;
    std::vector<std::string> files;
  };
  Task<Result<CodeChanges>> code_changes(const kernel::Caller& caller, const std::string& name,
                                         const std::string& from, const std::string& to);
  // Its triggers end with it; its runs stay and running ones go on. Errors: kNotFound.
  Task<Status> remove(const kernel::Caller& caller, const std::string& name);

  // Keeps a tar of source files for `package`; answers its digest. Errors: kMalformed,
  // kInvalidArgument.
  Task<Result<std::string>> add_package(const kernel::Caller& caller, std::string tar);

  // The credentials of its steps go no further than the caller's. Errors: kNotFound,
  // kInvalidArgument (parameters), kResourceExhausted (too many runs wait).
  Task<Result<FlowRun>> run(const kernel::Caller& caller, const std::string& name,
                            const RunRequest& request);
  struct RunFilter {
    std::string flow;         // empty: all
    std::int64_t before = 0;  // only runs with a smaller sequence
    int limit = 50;
  };
  // Newest first, without tasks.
  Task<Result<std::vector<FlowRun>>> runs(const kernel::Caller& caller, const RunFilter& filter);
  Task<Result<FlowRun>> run_info(const kernel::Caller& caller, const std::string& id);
  // Durable when it answers; tasks get SIGTERM and a grace of 10 s. The commit of the end and this
  // one stand in one order: of a run that ended before it says kConflict, with how it ended.
  Task<Result<FlowRun>> cancel(const kernel::Caller& caller, const std::string& id);

  struct LogRequest {
    std::string run, step;  // empty step: all, one after the other
    int attempt = 0;        // 0: all of the step
    bool follow = false;    // until the run has ended
  };
  // The output of tasks as it stands and grows. Errors: kNotFound for a run, step or attempt that
  // is not there; an attempt of a run that is followed may come yet.
  Task<Result<std::unique_ptr<ByteSource>>> logs(const kernel::Caller& caller,
                                                 const LogRequest& request);
  // The file of an output. Errors: kNotFound.
  struct OutputFile {
    std::shared_ptr<File> file;
    std::uint64_t size = 0;
    std::string digest;
  };
  Task<Result<OutputFile>> output(const kernel::Caller& caller, const std::string& run,
                                  const std::string& step, const std::string& name);

  // Whether `zone` is a time zone of this machine.
  static bool zone_known(const std::string& zone);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::resources::workflow
