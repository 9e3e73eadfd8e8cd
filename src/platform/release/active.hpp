#pragma once

#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "platform/release/release.hpp"
#include "runtime/signal.hpp"

namespace strata::platform::release {

// What an answered request tells of its arm.
Observation observe(const deployment::Exchange& exchange);

// A release that is open. Its own observer: it adds up the evidence on the threads that answer, and
// when a limit is broken it takes the candidate away there and then.
class Releases::Active final : public deployment::ArmObserver,
                               public std::enable_shared_from_this<Active> {
 public:
  Active(deployment::Endpoints& endpoints, ProjectId in, std::string name, std::string who,
         std::string scopes, Plan agreed, State begin, Instant since)
      : project(std::move(in)),
        id(std::move(name)),
        actor(std::move(who)),
        scope(std::move(scopes)),
        plan(std::move(agreed)),
        endpoints_(endpoints),
        state_(std::move(begin)),
        evidence_(plan.limits),
        changed_(since.micros) {}

  const ProjectId project;
  const std::string id;
  const std::string actor;
  const std::string scope;
  const Plan plan;
  Signal wake;

  // Of the driving coroutine alone.
  Live candidate;
  Live old;  // what answered before the alias was moved

  State state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  // Once it is durable. Another stage begins with no evidence, another step goes on with it.
  void become(const State& next, Instant when) {
    {
      const std::lock_guard lock(mutex_);
      if (next.stage != state_.stage) evidence_ = Evidence(plan.limits, evidence_);
      if (next.stage != state_.stage || next.step != state_.step) decided_.reset();
      if (next.held.empty() && !state_.held.empty()) decided_.reset();
      if (!next.paused && state_.paused) decided_.reset();
      state_ = next;
      changed_.store(when.micros);
    }
    wake.notify_all();
  }
  Instant since() const { return Instant{changed_.load()}; }
  // What the evidence decided and nobody has taken yet, with the findings of then.
  std::optional<std::pair<Event, Json>> take_decision() {
    const std::lock_guard lock(mutex_);
    if (!decided_ || taken_ == decided_) return std::nullopt;
    taken_ = decided_;
    return std::pair(decided_->first, decided_->second);
  }
  // Whether a broken limit is on its way into the records.
  bool decided_harm() const {
    const std::lock_guard lock(mutex_);
    return decided_ && decided_->first.kind == EventKind::kHarm;
  }
  Json findings() const {
    const std::lock_guard lock(mutex_);
    if (evidence_.requests(true) == 0) return {};
    return findings_now();
  }
  std::uint64_t dropped() const { return dropped_.load(); }

  void answered(const deployment::Exchange& exchange) override {
    const bool candidate_arm = exchange.route == deployment::Route::kCanary;
    if (exchange.model->version != (candidate_arm ? plan.version : plan.live)) return;
    add(Stage::kCanary, candidate_arm, observe(exchange));
  }
  void crowded_out(deployment::Route route) override {
    add(Stage::kCanary, route == deployment::Route::kCanary, {Ending::kFailed, 0, {}, true});
  }
  void rejected(deployment::Route route) override {
    if (route == deployment::Route::kShadow) {
      // Offered is what the live version was asked: it took it.
      const Observation live{Ending::kAnswered, 0, {}, true, false};
      const Observation refused{Ending::kRejected, 0, {}, true};
      add(Stage::kShadow, [&](Evidence& evidence) { evidence.add_pair(live, refused); });
    } else {
      add(Stage::kCanary, route == deployment::Route::kCanary, {Ending::kRejected, 0, {}, true});
    }
  }
  void shadowed(const deployment::Exchange& live, const deployment::Exchange& shadow) override {
    if (live.model->version != plan.live) return;
    const Observation first = observe(live), second = observe(shadow);
    add(Stage::kShadow, [&](Evidence& evidence) { evidence.add_pair(first, second); });
  }
  void shadow_dropped() override { ++dropped_; }

 private:
  Json findings_now() const {
    Json all = Json::array();
    for (const auto& finding : evidence_.findings())
      all.push(finding.to_json());
    return all;
  }

  void add(Stage stage, bool candidate_arm, const Observation& seen) {
    add(stage, [&](Evidence& evidence) { evidence.add(candidate_arm, seen); });
  }

  template <class F>
  void add(Stage stage, const F& note) {
    bool harm = false;
    {
      const std::lock_guard lock(mutex_);
      if (state_.stage != stage || decided_) return;
      note(evidence_);
      auto event = judge(plan, state_, evidence_);
      if (!event) return;
      harm = event->kind == EventKind::kHarm;
      decided_ = std::make_shared<const std::pair<Event, Json>>(*std::move(event), findings_now());
    }
    // Durable later; the traffic goes back to the live version with the next request.
    if (harm) endpoints_.clear_arms(project, plan.endpoint, id);
    wake.notify_all();
  }

  deployment::Endpoints& endpoints_;
  mutable std::mutex mutex_;
  State state_;
  Evidence evidence_;
  std::shared_ptr<const std::pair<Event, Json>> decided_, taken_;
  std::atomic<std::int64_t> changed_;  // when it came into its state, in microseconds
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace strata::platform::release
