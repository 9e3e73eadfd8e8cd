#pragma once

// Scoring: a model over a whole table or object, as one job. The contract stands at the class
// Scorings.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/scoring/plan.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::platform::scoring {

struct ScoringInfo {
  std::string id;
  Draft draft;
  std::string model, version, digest;  // what the reference named when it began
  std::string state;                   // queued, running, committing; finished, failed or cancelled
  std::string actor;
  Instant created, updated;
  std::int64_t rows = 0;             // that were scored
  std::int64_t total = -1;           // of the input; -1 while it is not known
  std::vector<std::string> sources;  // what was read: "table:main.flights@7", "object:raw/a@..."
  std::string result;                // "table:main.scored@1" or "s3://...", once it is there
  std::string error, error_code, error_field;
  bool over() const { return state == "finished" || state == "failed" || state == "cancelled"; }
};

// Runs a version of a model over all rows of a table or object and makes a table or object of what
// it says.
//
// Promises: the reference is resolved once, and so is the state of the input: a copy of it is taken
// in one transaction, and everything is read from that. Values become a model's inputs by the same
// steps as at an endpoint, with the same files of the same digest. The output appears in one commit
// of the warehouse or not at all, with the caller's rights; what dies in between leaves nothing,
// and the job says so. What was read, the model and the output are in the lineage. In no
// prediction log. Cost: memory for one batch and one part of the predictions; on disk the copy of
// the input and the predictions, until the job ends. At most kRunning run, kMaxWaiting wait.
// Threads: all methods from any loop.
class Scorings {
 public:
  static constexpr std::size_t kRunning = 2;
  static constexpr std::size_t kMaxWaiting = 32;

  struct Ports {
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
    deployment::Endpoints& endpoints;
    std::function<Task<Result<storage::warehouse::Warehouse*>>(const kernel::Caller&)> warehouse;
  };
  // `folder` is its own, on the file system of the data directory.
  Scorings(Ports ports, std::string folder);
  ~Scorings();
  static std::span<const kernel::Migration> migrations();

  // Ends what a dead server left behind: what it had not committed has failed. Blocks.
  Status start();
  // Ends what runs. Does not block.
  void stop();

  // Errors: kInvalidArgument and kNotFound naming the field, kPermissionDenied (model:read,
  // sql:query, lake:write, and lake:read for an object), kAlreadyExists for a table that is there,
  // kResourceExhausted when too many wait.
  Task<Result<ScoringInfo>> begin(const kernel::Caller& caller, Draft draft);
  // Newest first, at most `limit`.
  Task<Result<std::vector<ScoringInfo>>> list(const kernel::Caller& caller, std::size_t limit);
  // Errors: kNotFound.
  Task<Result<ScoringInfo>> get(const kernel::Caller& caller, std::string id);
  // The same, but waits until it is over, at most `limit`.
  Task<Result<ScoringInfo>> settled(const kernel::Caller& caller, std::string id,
                                    std::chrono::milliseconds limit);
  // Asks it to end; what is committed by then stays. Errors: kNotFound; kConflict when it is over.
  Task<Result<ScoringInfo>> cancel(const kernel::Caller& caller, std::string id);

 private:
  struct Active;
  using Job = std::shared_ptr<Active>;
  using Stream = std::unique_ptr<storage::warehouse::QueryStream>;

  Task<Result<deployment::ResolvedModel>> check(const kernel::Caller& caller, const Draft& draft,
                                                std::vector<ColumnInfo>& columns);
  Task<void> drive(Job job);
  Task<Status> admit(Job job);
  Status renew(Active& job) const;
  Task<Status> run(Job job);
  Task<Status> take_copy(Job job);
  Task<Status> look_at_types(Job job);
  Task<Status> look_for_missing(Job job);
  Task<Status> score(Job job);
  Task<Status> score_rows(Job job, RowBatch batch, Predictions& predictions);
  Task<Status> write_part(Job job, Predictions& predictions);
  Task<Status> commit(Job job);
  Task<Result<bool>> has_committed(kernel::Caller caller, std::string id);
  Task<Result<Stream>> ask(Job job, std::string sql, wire::sql_engine::Format format,
                           std::string id = "");
  Task<Result<Json>> ask_json(Job job, std::string sql);
  Task<Status> note(Job job, std::string state);
  Task<void> end(Job job, Status how);
  Task<void> settle_lost(ProjectId project, std::string id);
  Status write_end(kernel::Writer& writer, const kernel::Caller& caller, const ScoringInfo& info);
  Status report_sources(kernel::Writer& writer, const Active& job) const;

  Ports ports_;
  const std::string folder_;
  std::mutex mutex_;  // over what follows
  std::map<std::string, Job> active_;
  std::size_t running_ = 0;
  Signal changed_;
};

}  // namespace strata::platform::scoring
