#pragma once

// Deployment: endpoints that answer with the model that a reference names now.
//
// Promises: a request is answered by the version that was live when it came in, wholly; when an
// alias moves, the new version is fetched, checked by digest, tried and only then published in one
// step, so no request fails or waits for it; when that goes wrong the old version goes on and get()
// says why. What answers was hashed as it was loaded. Every answer is in the prediction log's hands
// before the caller gets it. Owns the folder of model files, kept by digest. Cost: find() and
// predict() take no lock; a model that needs less than kInlineMicros runs on the calling thread,
// unless values can change what it costs; others run on threads of their own, within a time limit,
// of which one endpoint holds at most half.
// Following a moved alias takes as long as fetching, trying and loading the model: it is tried in
// another process first, so that a hostile or damaged one ends that process and not this one.

#include <atomic>
#include <chrono>
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
#include <unordered_map>
#include <vector>

#include "base/metrics.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/binding.hpp"
#include "platform/deployment/model_cache.hpp"
#include "platform/deployment/model_runner.hpp"
#include "platform/deployment/model_source.hpp"
#include "platform/deployment/model_trial.hpp"
#include "platform/deployment/prediction_log.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"

namespace strata::platform::deployment {

class RunLane;
class RunLimit;

// Requests of one endpoint, over all its versions.
struct EndpointMeters {
  metrics::Counter& answered;
  metrics::Counter& refused;  // the request's fault
  metrics::Counter& failed;   // the model's or the server's fault
  metrics::Histogram& seconds;
};

// A version that answers. Immutable; requests share it, and it ends when the last of them does.
struct LiveModel {
  std::shared_ptr<const ModelIdentity> identity;
  std::string flavor;
  std::shared_ptr<const Binding> binding;
  std::shared_ptr<const ModelRunner> runner;
  double micros_per_row = 0;  // measured when it was loaded
  bool runs_inline = false;   // that measure holds for any request
  Instant loaded;
  std::string moved_by;   // who let the alias name this version; empty where no alias is followed
  std::stop_token ended;  // its endpoint was deleted
  std::shared_ptr<const EndpointMeters> meters;
  std::shared_ptr<RunLane> lane;  // of its endpoint, over all versions
};

// Degraded: a version answers, but what the reference names now cannot be followed, or runs of the
// model do not end in time.
enum class EndpointState : std::uint8_t { kLoading, kReady, kDegraded, kFailed };
std::string_view state_name(EndpointState state);

struct EndpointInfo {
  std::string name;
  std::string model_ref;
  std::string owner;
  Instant created;
  EndpointState state =
      EndpointState::kLoading;   // whether what the reference names now is what answers
  std::string wanted_version;    // empty until the reference was resolved
  std::string error;             // why the last attempt to follow the reference failed; or what
                                 // holds of the overdue runs
  std::size_t overdue_runs = 0;  // that go on past their time, as nothing can end them
  std::shared_ptr<const LiveModel> live;  // what answers; null before the first load
  // Requests since `counted_from`: when the endpoint was created, or this server started.
  Instant counted_from;
  std::uint64_t answered = 0, refused = 0, failed = 0;
};

// That an endpoint answered with a version, from `since` until `ended`, or until its next
// deployment.
struct Deployment {
  std::string endpoint;
  std::int64_t number = 0;
  std::string model, version, digest, package_digest;
  Instant since;
  std::optional<Instant> ended;  // when the endpoint was deleted
  std::string moved_by;          // who let the alias name that version
};

// One answered request. `exchange` keeps inputs and outputs alive.
struct Answer {
  std::shared_ptr<const Exchange> exchange;
  const std::vector<wire::Tensor>& outputs() const { return exchange->outputs; }
};

// The room's service; its contract stands at the top of this file.
class Endpoints {
 public:
  static constexpr double kInlineMicros = 1000;
  static constexpr std::size_t kRunThreads = 16;
  static constexpr std::size_t kRunsOfOne = kRunThreads / 2;  // at a time, of one endpoint
  static constexpr std::size_t kLoadThreads = 4;

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
    metrics::Registry& metrics;
    ModelSource& models;
    PredictionLog& log;
    ModelTrial& trial;
  };
  // No run of a model takes longer than `run_limit`.
  Endpoints(Ports ports, std::vector<ModelEngine*> engines, std::string models_folder,
            std::chrono::milliseconds run_limit);
  ~Endpoints();

  static std::span<const kernel::Migration> migrations();

  // The server begins to stop: what runs has `grace` to end. Does not block.
  void drain(std::chrono::milliseconds grace);
  // Ends what still runs, for good. Does not block.
  void stop();
  // How many runs and loads are at work on threads of their own.
  std::size_t at_work() const { return at_work_.load(); }

  // Reads the records and begins to load and to follow; returns at once. Errors: what the records
  // said.
  Status start();

  // From then on the server follows the reference by itself, whatever becomes of the caller.
  // Errors: kInvalidArgument, kAlreadyExists, kPermissionDenied for who may not read models,
  // kNotFound when the reference names nothing now.
  Task<Result<EndpointInfo>> create(const kernel::Caller& caller, std::string name,
                                    std::string model_ref);
  // Errors: kNotFound. Runs that are not done are ended, and so is a load.
  Task<Status> remove(const kernel::Caller& caller, std::string name);
  std::vector<EndpointInfo> list(const kernel::Caller& caller) const;
  Result<EndpointInfo> get(const kernel::Caller& caller, std::string_view name) const;

  // The versions of `model` that endpoints answered with at that time, by endpoint.
  Task<Result<std::vector<Deployment>>> deployments_at(const kernel::Caller& caller,
                                                       std::string model, Instant at);
  // Changes whenever what an endpoint answers with does, or whether it can follow its reference.
  std::uint64_t changes() const { return changes_.load(); }

  // The same as get(), but waits while a model is being loaded, at most `limit`.
  Task<Result<EndpointInfo>> settled(const kernel::Caller& caller, std::string name,
                                     std::chrono::milliseconds limit);

  // What answers under that name now. Errors: kNotFound for an unknown name or a `version` that is
  // not live, kUnavailable while there is no version that answers: `retry` while the first one is
  // being loaded, and why when that failed.
  Result<std::shared_ptr<const LiveModel>> find(const ProjectId& project, std::string_view name,
                                                std::string_view version = {}) const;

  // `backing` keeps alive what the inputs look at. Errors: kResourceExhausted when the prediction
  // log cannot take more or too many wait, kUnavailable while overdue runs hold all that the
  // endpoint may have at a time, kDeadlineExceeded when the model took longer than a run may or its
  // turn did not come in that time, kNotFound when the endpoint was deleted meanwhile; what the
  // model said.
  Task<Result<Answer>> predict(std::shared_ptr<const LiveModel> model, Inputs inputs,
                               std::shared_ptr<const std::string> backing = nullptr);

  PredictionLog& predictions() { return ports_.log; }

 private:
  struct Endpoint;
  struct Routing;
  using Key = std::pair<std::string, std::string>;  // project, name

  Result<Answer> run(const LiveModel& model, Inputs& inputs,
                     std::shared_ptr<const std::string>& backing, PredictionLog::Room room,
                     const RunLimit* limit);
  Task<void> watch();
  Task<void> follow(std::shared_ptr<Endpoint> endpoint);
  Task<Status> bring_up(std::shared_ptr<Endpoint> endpoint);
  kernel::Caller follower(const Endpoint& endpoint) const;
  Task<Status> swap(std::shared_ptr<Endpoint> endpoint, const ResolvedModel& model,
                    std::shared_ptr<LiveModel> fresh);
  Status record_deployment(kernel::Writer& writer, const Endpoint& endpoint,
                           const ResolvedModel& model, std::int64_t deployment, Instant now) const;
  Result<std::shared_ptr<LiveModel>> load(const Endpoint& endpoint, const ResolvedModel& model);
  void wake(const std::shared_ptr<Endpoint>& endpoint);
  std::shared_ptr<RunLane> lane_of(const Key& key);
  void publish_routing();
  Error taken(const ProjectId& project, const std::string& name) const;
  Error not_answering(const ProjectId& project, std::string_view name) const;
  EndpointInfo info(const Endpoint& endpoint) const;

  Ports ports_;
  std::vector<ModelEngine*> engines_;
  ModelCache cache_;

  mutable std::mutex mutex_;  // over endpoints_ with their mutable parts, and lanes_
  std::map<Key, std::shared_ptr<Endpoint>> endpoints_;
  std::map<Key, std::weak_ptr<RunLane>> lanes_;
  mutable std::mutex routing_mutex_;  // held for a copy of the pointer, by readers and the writer
  std::shared_ptr<const Routing> routing_;
  Signal settled_;  // an endpoint is no longer loading

  const std::chrono::milliseconds run_limit_;
  std::stop_source stopping_;
  std::atomic<std::size_t> at_work_{0};
  std::atomic<std::uint64_t> changes_{0};
  // Of their own, so that models which use up their time hold up only models.
  BlockingPool runs_{kRunThreads};
  BlockingPool loads_{kLoadThreads};
};

}  // namespace strata::platform::deployment
