#include "platform/release/evidence.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "platform/release/machine.hpp"

namespace strata::platform::release {
namespace {

class EvidenceTest : public testing::Test {
 protected:
  Observation normal(double shift = 0) {
    return {Ending::kAnswered, 200 * std::exp(noise_(random_) * 0.5), noise_(random_) + shift,
            true};
  }
  // How many requests of the candidate it took, of at most `most`; the metric that decided.
  std::pair<int, std::string> run(Evidence& evidence, int most,
                                  const std::function<Observation(int)>& candidate,
                                  const std::function<Observation(int)>& control) {
    for (int i = 0; i < 150; ++i)
      evidence.add(false, control(i));
    for (int i = 0; i < most; ++i) {
      evidence.add(false, control(i));
      evidence.add(true, candidate(i));
      if (const auto harm = evidence.harm()) return {i + 1, harm->metric};
    }
    return {most, ""};
  }
  std::mt19937_64 random_{3};
  std::normal_distribution<double> noise_;
};

TEST_F(EvidenceTest, The_same_model_is_found_to_be_within_all_limits) {
  Evidence evidence{Limits{}};
  const auto same = [&](int) {
    return normal();
  };
  EXPECT_EQ(run(evidence, 3000, same, same).second, "");
  for (const auto& finding : evidence.findings()) {
    EXPECT_TRUE(finding.within()) << finding.metric;
    EXPECT_GT(finding.p_value, finding.needed);
  }
  EXPECT_EQ(evidence.findings().size(), 4U + Evidence::kBins);
}

TEST_F(EvidenceTest, Each_kind_of_harm_is_found_soon_and_named) {
  const auto good = [&](int) {
    return normal();
  };
  const auto expect = [&](const char* metric, int most,
                          const std::function<Observation(int)>& bad) {
    Evidence evidence{Limits{}};
    const auto [took, what] = run(evidence, most, bad, good);
    EXPECT_TRUE(what.starts_with(metric)) << metric << " but " << what;
    EXPECT_LT(took, most) << metric;
  };
  expect("errors", 60,
         [&](int i) { return i % 3 == 0 ? Observation{Ending::kFailed, 0, {}, true} : normal(); });
  expect("rejects", 60, [&](int i) {
    return i % 3 == 0 ? Observation{Ending::kRejected, 0, {}, true} : normal();
  });
  expect("not_finite", 60, [&](int i) {
    auto seen = normal();
    seen.finite = i % 3 != 0;
    return seen;
  });
  expect("latency", 120, [&](int) {
    auto seen = normal();
    seen.latency_us += 5000;
    return seen;
  });
  expect("outputs", 100, [&](int) { return normal(3); });
  expect("outputs", 60, [&](int) { return Observation{Ending::kAnswered, 200, 0.5, true}; });
}

TEST_F(EvidenceTest, A_shadow_that_disagrees_is_found_though_its_outputs_look_alike) {
  Evidence evidence{Limits{}};
  std::optional<Finding> harm;
  int asked = 0;
  for (; !harm && asked < 400; ++asked) {
    evidence.add_pair(normal(), normal());  // the same distribution, by chance
    harm = evidence.harm();
  }
  ASSERT_TRUE(harm);
  EXPECT_EQ(harm->metric, "disagreement");
  Evidence close{Limits{}};
  for (int i = 0; i < 2000; ++i) {
    const auto live = normal();
    auto shadow = live;
    *shadow.output += 0.2 * noise_(random_);
    close.add_pair(live, shadow);
    EXPECT_FALSE(close.harm());
  }
}

TEST_F(EvidenceTest, What_no_caller_notices_is_no_harm) {
  const auto good = [&](int) {
    return normal();
  };
  Evidence evidence{Limits{}};
  // Three times as slow, but far below a millisecond; and a little shifted.
  const auto [took, what] = run(
      evidence, 2000,
      [&](int) {
        auto seen = normal(0.1);
        seen.latency_us *= 2;
        return seen;
      },
      good);
  EXPECT_EQ(what, "") << took;
}

TEST_F(EvidenceTest, Errors_that_the_control_has_as_well_count_for_nothing) {
  std::bernoulli_distribution fails(0.3);
  const auto same = [&](int) {
    return fails(random_) ? Observation{Ending::kFailed, 0, {}, true} : normal();
  };
  Evidence evidence{Limits{}};
  EXPECT_EQ(run(evidence, 2000, same, same).second, "");
}

TEST_F(EvidenceTest, Classes_are_compared_as_values) {
  std::bernoulli_distribution one(0.2), often(0.6);
  const auto label = [&](bool is) {
    return Observation{Ending::kAnswered, 100, is ? 1.0 : 0.0, true};
  };
  Evidence evidence{Limits{}};
  const auto [took, what] = run(
      evidence, 200, [&](int) { return label(often(random_)); },
      [&](int) { return label(one(random_)); });
  EXPECT_TRUE(what == "outputs(0)" || what == "outputs(1)") << what;
  Evidence unknown{Limits{}};
  EXPECT_EQ(run(
                unknown, 100, [&](int) { return Observation{Ending::kAnswered, 100, 7.0, true}; },
                [&](int) { return label(one(random_)); })
                .second,
            "outputs(other)");
}

TEST_F(EvidenceTest, A_step_goes_on_at_its_sample_and_not_before) {
  Plan plan;
  plan.steps = {{100, 50}, {5'000, 500}};
  State state{Stage::kCanary, 0, true, false, false, ""};
  Evidence evidence{Limits{}};
  for (int i = 0; i < 49; ++i) {
    evidence.add(false, normal());
    evidence.add(true, normal());
    EXPECT_FALSE(judge(plan, state, evidence));
  }
  evidence.add(true, normal());
  EXPECT_FALSE(judge(plan, state, evidence));  // the control lacks one
  evidence.add(false, normal());
  const auto event = judge(plan, state, evidence);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, EventKind::kEnough);
  state.paused = true;
  EXPECT_FALSE(judge(plan, state, evidence));
}

TEST_F(EvidenceTest, What_exceeds_a_limit_without_certainty_is_held_in_the_end) {
  Plan plan;
  plan.steps = {{100, 50}};
  const State state{Stage::kCanary, 0, true, false, false, ""};
  Evidence evidence{Limits{}};
  std::optional<Event> event;
  int seen = 0;
  for (; !event && seen < 1000; ++seen) {
    evidence.add(false, normal());
    evidence.add(true, seen % 50 == 0 ? Observation{Ending::kFailed, 0, {}, true} : normal());
    event = judge(plan, state, evidence);
  }
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, EventKind::kDoubt);
  EXPECT_EQ(seen, 250);
  EXPECT_NE(event->reason.find("errors"), std::string::npos);
}

TEST_F(EvidenceTest, Limits_that_are_none_are_refused_by_name) {
  for (const auto* text : {R"({"errors": 2})", R"({"alpha": 0})", R"({"latency_ratio": 0.5})",
                           R"({"output_shift": "a"})", R"({"speed": 1})"}) {
    const auto read = Limits::from_json(*parse_json(text));
    ASSERT_FALSE(read) << text;
    EXPECT_TRUE(read.error().field.starts_with("limits.")) << read.error().field;
  }
  const auto read = Limits::from_json(*parse_json(R"({"errors": 0.5})"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->errors, 0.5);
  EXPECT_EQ(read->alpha, Limits{}.alpha);
}

}  // namespace
}  // namespace strata::platform::release
