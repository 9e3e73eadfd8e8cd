#pragma once

// Releases: how a new version of a model comes to answer at an endpoint, guarded by gates before
// and by statistics during. The contract stands at class Releases.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/models/models.hpp"
#include "platform/release/gates.hpp"
#include "platform/release/golden.hpp"
#include "platform/release/machine.hpp"
#include "platform/verdicts/verdicts.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::platform::release {

// What a person asks for; what is not set keeps the plan's default.
struct Draft {
  std::string endpoint;
  std::string model;  // models:/NAME@ALIAS or models:/NAME/VERSION
  std::optional<std::uint64_t> shadow_sample{};
  std::optional<std::vector<Step>> steps{};
  std::optional<std::int64_t> drain_seconds{};
  Limits limits{};
  std::optional<Golden> golden{};  // absent: that of the endpoint's last release
  bool without_golden = false;
};

// One change of a release, with what it was decided by.
struct Edge {
  std::int64_t number = 0;
  Instant time;
  std::string actor;  // a user, or "strata" for what the evidence decided
  std::string event;
  State from, to;
  std::uint32_t share = 0;  // of the traffic, from here on
  std::string reason;
  Json evidence;  // the findings, or the gates, at that time
};

struct ReleaseInfo {
  std::string id;
  Plan plan;
  State state;
  std::string actor;
  Instant created, updated;
  Json gates;               // an array; null before they were looked at
  std::vector<Edge> edges;  // oldest first; only of get()
  Json findings;            // of the evidence so far; null while none is gathered
  std::uint64_t shadows_dropped = 0;
};

struct ReleasePage {
  std::vector<ReleaseInfo> releases;  // newest first
  std::string next;
};

// Guarded releases: gates, shadow, canary by steps against a concurrent control, the move of the
// alias, and back.
//
// Promises: no share of the traffic before the gates hold or a person overrode them with a reason;
// no larger share before the evidence of the smaller one, or a person's word; a broken limit takes
// the candidate away on the thread of the request that made it certain, by a swap of the routing,
// and is recorded after. Every change is recorded with its actor and numbers, audited and published
// as "release.changed" (subject "release:ID") in one commit. Level-triggered: after a crash in any
// state the candidate has no traffic until it is open again, and the evidence of the step under way
// is gathered anew. The alias moves as the one who started the release, with the rights that they
// have at that time within the scope of the token they started it with. One open release for each
// endpoint. Threads: all methods from any loop.
class Releases {
 public:
  struct Ports {
    kernel::Records& records;
    kernel::Identity& identity;
    kernel::Audit& audit;
    kernel::EventBus& events;
    const Clock& clock;
    Random& random;
    Files& files;
    LoopGroup& loops;
    TaskScope& scope;
    models::Models& models;
    deployment::Endpoints& endpoints;
    verdicts::Verdicts& verdicts;
    std::function<Task<Result<storage::warehouse::Warehouse*>>(const kernel::Caller&)> warehouse;
  };
  explicit Releases(Ports ports);
  ~Releases();
  static std::span<const kernel::Migration> migrations();

  // Goes on with what was under way; returns at once.
  Status start();
  // Wakes what drives the releases, after the scope was asked to stop. Does not block.
  void stop();

  // The plan that start() would follow and what its gates say now; changes nothing. Errors: those
  // of start().
  Task<Result<std::pair<Plan, Json>>> plan(const kernel::Caller& caller, Draft draft);
  // Errors: kNotFound; kInvalidArgument when the endpoint follows no alias, the candidate is of
  // another model or answers already, or the plan is none; kPermissionDenied for who may not move
  // the alias; kConflict while another release of the endpoint is open.
  Task<Result<ReleaseInfo>> begin(const kernel::Caller& caller, Draft draft);
  // Of one endpoint or all, at most `limit` that are older than `before`.
  Task<Result<ReleasePage>> list(const kernel::Caller& caller, std::string endpoint,
                                 std::size_t limit, std::string before);
  Task<Result<ReleaseInfo>> get(const kernel::Caller& caller, std::string id);
  // The same, but waits until its stage is another, it is held or over; at most `limit`.
  Task<Result<ReleaseInfo>> settled(const kernel::Caller& caller, std::string id,
                                    std::chrono::milliseconds limit);
  // Pause, resume, promote, override or roll back. Errors: kNotFound, kConflict when its state does
  // not allow it, kInvalidArgument for a promotion or override without a reason.
  Task<Result<ReleaseInfo>> ask(const kernel::Caller& caller, std::string id, EventKind wish,
                                std::string reason);

 private:
  class Active;
  using Live = std::shared_ptr<const deployment::LiveModel>;

  Task<Result<std::optional<Golden>>> golden_of(const kernel::Caller& caller, const Draft& draft);
  // The rows of a golden set, at most `limit`. Errors: the warehouse's; kInvalidArgument for a
  // column that is not there.
  Task<Result<GoldenRows>> read_golden(const kernel::Caller& caller, Golden golden,
                                       std::size_t limit);
  Task<Result<GateResult>> look_at_golden(const kernel::Caller& caller, Golden golden, Live live,
                                          Live candidate);
  Task<Result<Plan>> make_plan(const kernel::Caller& caller, const Draft& draft);
  Task<Result<std::vector<GateResult>>> look_at_gates(const kernel::Caller& caller,
                                                      ProjectId project, Plan plan, Live candidate);
  std::vector<Sample> samples(const ProjectId& project, const Plan& plan, const Live& live,
                              const Live& candidate);
  std::shared_ptr<Active> activate(const ProjectId& project, const std::string& id,
                                   const std::string& actor, const std::string& scope, Plan plan,
                                   State state, Instant updated);
  Task<void> drive(std::shared_ptr<Active> active);
  Task<bool> reconcile(const std::shared_ptr<Active>& active);
  Task<Status> run_gates(const std::shared_ptr<Active>& active);
  Task<Status> open_candidate(const std::shared_ptr<Active>& active);
  Task<Status> follow_routing(const std::shared_ptr<Active>& active, const State& state);
  Task<bool> follow_alias(const std::shared_ptr<Active>& active, const State& state);
  Task<Status> apply(std::shared_ptr<Active> active, Event event, std::string actor, Json evidence);
  Task<Status> close(const std::shared_ptr<Active>& active);

  Ports ports_;
  Signal changed_;    // some release changed
  std::mutex mutex_;  // over active_
  std::map<std::string, std::shared_ptr<Active>> active_;
  BlockingPool gates_{2};  // of their own, so that gates hold up nothing else
};

}  // namespace strata::platform::release
