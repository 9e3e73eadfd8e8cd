#pragma once

// What the room tells of endpoints, and of the versions that answer.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"
#include "base/time.hpp"
#include "platform/deployment/arms.hpp"
#include "platform/inference/inference.hpp"
#include "platform/inference/model_runner.hpp"
#include "platform/inference/model_trial.hpp"
#include "platform/predictions/predictions.hpp"

namespace strata::platform::deployment {

using inference::Binding;
using inference::Contract;
using inference::Inputs;
using inference::ModelEngine;
using inference::ModelHost;
using inference::ModelInterface;
using inference::ModelRunner;
using inference::ModelTrial;
using inference::Replicas;
using predictions::ModelIdentity;
using predictions::PredictionLog;

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
  std::string why;  // why it runs in processes of its own; empty where it runs in this one
  std::shared_ptr<const Binding> binding;
  std::shared_ptr<const ModelRunner> runner;
  double micros_per_row = 0;  // measured when it was loaded
  bool runs_inline = false;   // that measure holds for any request
  Instant loaded;
  std::string moved_by;   // who let the alias name this version; empty where no alias is followed
  std::stop_token ended;  // its endpoint was deleted
  std::shared_ptr<const EndpointMeters> meters;
  std::shared_ptr<RunLane> lane;     // of its endpoint, over all versions
  Route route = Route::kLive;        // as what it answers
  std::shared_ptr<const Arms> arms;  // of the release that is under way
};

// Counts a request that is refused before predict() sees it.
void count_refused(const LiveModel& model);

// Degraded: a version answers, but what the reference names now cannot be followed, or runs of the
// model do not end in time.
enum class EndpointState : std::uint8_t { kLoading, kReady, kDegraded, kFailed };
std::string_view state_name(EndpointState state);

struct EndpointInfo {
  std::string name;
  std::string model_ref;
  std::string owner;
  Instant created;
  Replicas replicas;  // for a model that runs in processes of its own
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
  std::shared_ptr<const Arms> arms;  // null unless a release is under way
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

// What a caller says of its own patience, beside the limits of the server.
struct Patience {
  Patience() = default;
  Patience(std::optional<std::chrono::steady_clock::time_point> until, std::stop_token gone_token)
      : deadline(until),
        gone(std::move(gone_token)) {}

  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::stop_token gone;  // stopped when nobody waits for the answer any more
};

}  // namespace strata::platform::deployment
