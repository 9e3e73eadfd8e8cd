#include "platform/release/machine.hpp"

#include <random>

#include <gtest/gtest.h>

namespace strata::platform::release {
namespace {

Plan small_plan() {
  Plan plan;
  plan.endpoint = "e";
  plan.model = "m";
  plan.alias = "live";
  plan.version = "2";
  plan.live = "1";
  plan.steps = {{100, 10}, {1'000, 20}, {5'000, 30}};
  plan.shadow_sample = 10;
  return plan;
}

State go(const Plan& plan, State state, std::initializer_list<EventKind> kinds) {
  for (const auto kind : kinds) {
    const Event event{kind, state.stage, state.step, "because"};
    auto next = step(plan, state, event);
    EXPECT_TRUE(next) << event_name(kind) << ": " << next.error().message;
    if (next) state = *next;
  }
  return state;
}

TEST(ReleaseMachine, A_good_candidate_goes_all_the_way_and_its_share_only_by_evidence) {
  const Plan plan = small_plan();
  State state;
  EXPECT_TRUE(wanted(plan, state).gates);
  state = go(plan, state, {EventKind::kGatesPassed});
  EXPECT_EQ(wanted(plan, state).share, 0U);
  state = go(plan, state, {EventKind::kReady});
  EXPECT_TRUE(wanted(plan, state).shadow);
  for (const std::uint32_t share : {100U, 1'000U, 5'000U}) {
    state = go(plan, state, {EventKind::kEnough});
    EXPECT_EQ(wanted(plan, state).share, share);
    EXPECT_EQ(wanted(plan, state).alias, "");
  }
  state = go(plan, state, {EventKind::kEnough});
  EXPECT_EQ(state.stage, Stage::kLive);
  EXPECT_EQ(wanted(plan, state).alias, "2");
  state = go(plan, state, {EventKind::kFollowed});
  EXPECT_TRUE(wanted(plan, state).keep_old);
  state = go(plan, state, {EventKind::kDrained});
  EXPECT_EQ(state.stage, Stage::kRetired);
}

TEST(ReleaseMachine, A_failed_gate_stops_all_but_what_a_person_overrides) {
  const Plan plan = small_plan();
  State state = go(plan, {}, {EventKind::kGatesFailed});
  EXPECT_FALSE(state.held.empty());
  EXPECT_FALSE(step(plan, state, {EventKind::kResume}));
  EXPECT_FALSE(step(plan, state, {EventKind::kPromote}));
  EXPECT_EQ(go(plan, state, {EventKind::kReady, EventKind::kEnough}).stage, Stage::kRegistered);
  state = go(plan, state, {EventKind::kOverride, EventKind::kReady});
  EXPECT_EQ(state.stage, Stage::kShadow);
}

TEST(ReleaseMachine, What_is_paused_or_held_is_not_promoted_but_rolled_back_all_the_same) {
  const Plan plan = small_plan();
  const State canary =
      go(plan, {}, {EventKind::kGatesPassed, EventKind::kReady, EventKind::kEnough});
  for (const auto stop : {EventKind::kPause, EventKind::kDoubt}) {
    State state = go(plan, canary, {stop, EventKind::kEnough});
    EXPECT_EQ(wanted(plan, state).share, 100U);
    EXPECT_EQ(go(plan, state, {EventKind::kHarm}).stage, Stage::kRolledBack);
    state = go(plan, state, {EventKind::kResume, EventKind::kEnough});
    EXPECT_EQ(wanted(plan, state).share, 1'000U);
  }
}

TEST(ReleaseMachine, Evidence_that_comes_late_changes_nothing) {
  const Plan plan = small_plan();
  const State canary =
      go(plan, {}, {EventKind::kGatesPassed, EventKind::kReady, EventKind::kEnough});
  const Event late{EventKind::kEnough, Stage::kShadow, 0, ""};
  EXPECT_EQ(*step(plan, canary, late), canary);
  const State second = go(plan, canary, {EventKind::kEnough});
  EXPECT_EQ(*step(plan, second, {EventKind::kEnough, Stage::kCanary, 0, ""}), second);
}

TEST(ReleaseMachine, Plans_whose_shares_do_not_ascend_to_half_at_most_are_refused) {
  Plan plan = small_plan();
  EXPECT_TRUE(check_plan(plan));
  for (const auto& steps : std::vector<std::vector<Step>>{{},
                                                          {{0, 10}},
                                                          {{5'001, 10}},
                                                          {{100, 10}, {100, 20}},
                                                          {{100, 10}, {200, 5}},
                                                          {{100, 0}}}) {
    plan.steps = steps;
    const auto checked = check_plan(plan);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().field, "steps");
  }
}

TEST(ReleaseMachine, State_and_plan_read_back_as_they_were_written) {
  const Plan plan = small_plan();
  EXPECT_EQ(plan_from_json(plan.to_json()).to_json(), plan.to_json());
  const State state{Stage::kCanary, 2, true, false, true, "a reason"};
  EXPECT_EQ(*State::from_json(state.to_json()), state);
  EXPECT_FALSE(State::from_json(Json::object({{"stage", "nowhere"}})));
}

// The outside world, as the state alone leads it: what is killed at any point begins again with
// the recorded state and comes to the same.
struct World {
  std::uint32_t share = 0;
  std::string alias = "1";
  void obey(const Wanted& want) {
    share = want.share;
    if (!want.alias.empty()) alias = want.alias;
  }
};

TEST(ReleaseMachine, Thousands_of_histories_keep_what_is_promised) {
  const Plan plan = small_plan();
  std::mt19937_64 random(11);
  int retired = 0, rolled = 0;
  for (int history = 0; history < 20'000; ++history) {
    State state;
    World world;
    std::size_t earned = 0;  // shares that evidence or a person allowed
    bool allowed = false;    // gates
    bool superseded = false;
    for (int i = 0; i < 40; ++i) {
      auto kind = static_cast<EventKind>(random() % 15);
      // Likely events often enough for long histories.
      if (random() % 2 == 0) {
        kind = state.stage == Stage::kRegistered ? EventKind::kGatesPassed
               : state.stage == Stage::kGated    ? EventKind::kReady
               : state.stage == Stage::kLive     ? EventKind::kFollowed
                                                 : EventKind::kEnough;
      }
      const bool late = random() % 8 == 0;
      const Event event{kind, late ? Stage::kShadow : state.stage, late ? 0 : state.step, "r"};
      const auto next = step(plan, state, event);
      if (!next) {
        EXPECT_EQ(next.error().code, Code::kConflict);
        continue;
      }
      if (state.over()) EXPECT_EQ(*next, state) << event_name(kind);
      if (kind == EventKind::kGatesPassed || kind == EventKind::kOverride) allowed = true;
      if (next->stage == Stage::kCanary &&
          (state.stage != Stage::kCanary || next->step > state.step)) {
        ++earned;
        EXPECT_TRUE(kind == EventKind::kEnough || kind == EventKind::kPromote);
      }
      const State before = state;
      superseded = superseded || kind == EventKind::kSuperseded;
      state = *State::from_json(next->to_json());  // as after a kill
      ASSERT_EQ(state, *next);
      if (random() % 3 > 0) world.obey(wanted(plan, state));  // or killed before it could
      EXPECT_EQ(wanted(plan, state).share > 0,
                state.stage == Stage::kCanary || state.stage == Stage::kLive);
      if (world.share > 0) EXPECT_TRUE(allowed);
      EXPECT_LE(world.share, earned == 0 ? 0U : plan.steps[earned - 1].share);
      if (state.stage != Stage::kRegistered && state.stage != Stage::kRolledBack)
        EXPECT_TRUE(state.gates);
      // One stage at a time, but for the way back.
      if (state.stage != Stage::kRolledBack)
        EXPECT_LE(static_cast<int>(state.stage) - static_cast<int>(before.stage), 1);
    }
    // Left alone, whatever is over ends where it should.
    world.obey(wanted(plan, state));
    if (state.stage == Stage::kRolledBack) {
      ++rolled;
      EXPECT_EQ(world.share, 0U);
      if (!superseded) EXPECT_EQ(world.alias, "1");
    }
    if (state.stage == Stage::kRetired) {
      ++retired;
      EXPECT_EQ(world.share, 0U);
    }
  }
  EXPECT_GT(retired, 100);
  EXPECT_GT(rolled, 100);
}

}  // namespace
}  // namespace strata::platform::release
