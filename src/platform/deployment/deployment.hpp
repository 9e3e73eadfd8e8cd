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
#include "platform/deployment/arms.hpp"
#include "platform/deployment/live_model.hpp"
#include "platform/deployment/model_cache.hpp"
#include "platform/deployment/model_source.hpp"
#include "platform/inference/inference.hpp"
#include "platform/inference/model_runner.hpp"
#include "platform/inference/model_trial.hpp"
#include "platform/predictions/predictions.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"

namespace strata::platform::deployment {

// The room's service; its contract stands at the top of this file.
class Endpoints {
 public:
  static constexpr double kInlineMicros = 1000;
  static constexpr std::size_t kRunThreads = 16;
  static constexpr std::size_t kRunsOfOne = kRunThreads / 2;  // at a time, of one endpoint
  static constexpr std::size_t kLoadThreads = 4;
  static constexpr std::size_t kBatchThreads = 2;
  static constexpr int kMostReplicas = 16;         // of one endpoint
  static constexpr std::size_t kWaitThreads = 64;  // runs that other processes compute

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
    ModelHost* host = nullptr;  // for models that no engine opens; none: they are refused
  };
  // No run of a model takes longer than `run_limit`.
  Endpoints(Ports ports, std::vector<ModelEngine*> engines, std::string models_folder,
            std::chrono::milliseconds run_limit);
  ~Endpoints();

  static std::span<const kernel::Migration> migrations();

  // The flavors that it can run, the preferred first.
  std::vector<std::string> flavors() const;

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
                                    std::string model_ref, Replicas replicas = {});
  // How many processes its models may have that run in processes of their own; holds at once.
  // Errors: kNotFound, kInvalidArgument.
  Task<Result<EndpointInfo>> scale(const kernel::Caller& caller, std::string name,
                                   Replicas replicas);
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

  // What is to answer a request of `entity`: the same as find(), but while a release is under way
  // the candidate for the entities in its share. Without an entity chance decides. Who names a
  // `version` gets the live one.
  Result<std::shared_ptr<const LiveModel>> choose(const ProjectId& project, std::string_view name,
                                                  std::string_view version,
                                                  std::string_view entity) const;

  // Opens a version that the endpoint does not follow, as it would one that it does: fetched,
  // checked, tried in another process. It answers nothing until set_arms().
  Task<Result<std::shared_ptr<const LiveModel>>> load_candidate(ProjectId project, std::string name,
                                                                ModelRef ref);
  // Lets a loaded candidate answer its share from the next request on. Errors: kNotFound,
  // kInvalidArgument, kConflict while another release is under way. Does not block.
  Status set_arms(const ProjectId& project, std::string_view name, Arms arms);
  // Lets the live version answer everything from the next request on. Does not block.
  void clear_arms(const ProjectId& project, std::string_view name, std::string_view release);
  // Where the files of a loaded version lie.
  std::string package_directory(const LiveModel& model) const;
  // What the version makes of `count` legal requests, in a process that one of them may end.
  // Blocks. Errors: those of ModelTrial::probe().
  Result<inference::ProbeReport> probe(const LiveModel& model, std::size_t count,
                                       const std::stop_token& stop);

  // `backing` keeps alive what the inputs look at. Errors: kResourceExhausted when the prediction
  // log cannot take more or too many wait, kUnavailable while overdue runs hold all that the
  // endpoint may have at a time, kDeadlineExceeded when the model took longer than a run or the
  // caller's patience may, or its turn did not come in that time, kCancelled when the caller has
  // gone, kNotFound when the endpoint was deleted meanwhile; what the model said.
  Task<Result<Answer>> predict(std::shared_ptr<const LiveModel> model, Inputs inputs,
                               std::shared_ptr<const std::string> backing = nullptr,
                               Patience patience = Patience());

  // What the reference names now. Errors: kPermissionDenied, kNotFound, kInvalidArgument.
  Task<Result<ResolvedModel>> resolve(const kernel::Caller& caller, ModelRef ref);
  // Opens a version as an endpoint would, for work that no endpoint is asked for: fetched, checked
  // by digest, tried in another process. `gone` ends that.
  Task<Result<std::shared_ptr<const inference::OpenModel>>> open_version(
      const kernel::Caller& caller, const ResolvedModel& model, std::stop_token gone);
  // What such a version says to these values, by the same steps as predict() and within the same
  // time, on threads that endpoints do not need. In no log. Errors: kDeadlineExceeded, kCancelled
  // when `gone` was stopped, kUnavailable when the server stops; what the model said.
  Task<Result<std::vector<wire::Tensor>>> run_batch(
      std::shared_ptr<const inference::OpenModel> model, const Inputs& inputs,
      std::stop_token gone);

  PredictionLog& predictions() { return ports_.log; }

 private:
  struct Endpoint;
  struct Routing;
  using Key = std::pair<std::string, std::string>;  // project, name

  Result<Answer> run(const LiveModel& model, Inputs& inputs,
                     std::shared_ptr<const std::string>& backing, PredictionLog::Room room,
                     const RunLimit* limit);
  void tell(const LiveModel& model, const std::shared_ptr<const Exchange>& exchange);
  void offer_shadow(const LiveModel& model, std::shared_ptr<const Exchange> exchange);
  void run_shadow(const Arms& arms, std::shared_ptr<const Exchange> live, PredictionLog::Room room);
  static Result<std::vector<wire::Tensor>> answer(const Binding& binding, const ModelRunner& runner,
                                                  const Inputs& inputs, const RunLimit* limit);
  static void name_outputs(const LiveModel& model, Exchange& exchange);
  std::shared_ptr<const Routing> snapshot() const;
  Task<void> watch();
  Task<void> follow(std::shared_ptr<Endpoint> endpoint);
  Task<Status> bring_up(std::shared_ptr<Endpoint> endpoint);
  kernel::Caller follower(const Endpoint& endpoint) const;
  Task<Status> swap(std::shared_ptr<Endpoint> endpoint, const ResolvedModel& model,
                    std::shared_ptr<LiveModel> fresh);
  Status record_deployment(kernel::Writer& writer, const Endpoint& endpoint,
                           const ResolvedModel& model, std::int64_t deployment, Instant now) const;
  Result<std::shared_ptr<LiveModel>> load(const Endpoint& endpoint, const ResolvedModel& model);
  std::shared_ptr<LiveModel> loaded_before(const Endpoint& endpoint, const ResolvedModel& model);
  Result<inference::OpenModel> open(const std::string& directory, std::stop_token ended,
                                    std::stop_token gone = {});
  void wake(const std::shared_ptr<Endpoint>& endpoint);
  std::shared_ptr<RunLane> lane_of(const Key& key);
  void staff(Endpoint& endpoint);
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
  std::atomic<std::size_t> shadows_waiting_{0}, shadow_bytes_{0};
  // Of their own, so that models which use up their time hold up only models.
  BlockingPool runs_{kRunThreads};
  BlockingPool waits_{kWaitThreads};
  BlockingPool loads_{kLoadThreads};
  BlockingPool shadows_{1};
  BlockingPool batches_{kBatchThreads};
};

}  // namespace strata::platform::deployment
