// Simulations with fixed seeds: what the methods claim, and what a method that does not hold it
// does.
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "platform/statistics/statistics.hpp"

namespace strata::platform::statistics {
namespace {

using Random = std::mt19937_64;
constexpr int kTrials = 20'000;  // a share of 95 % has a standard error of 0.15 %

// The share of intervals of `trial` that hold its truth.
template <class F>
double coverage(const F& trial) {
  Random random(20240117);
  int held = 0;
  for (int i = 0; i < kTrials; ++i)
    held += trial(random) ? 1 : 0;
  return static_cast<double>(held) / kTrials;
}

bool holds(const Effect& effect, double truth) {
  return effect.defined && effect.low <= truth && truth <= effect.high;
}

Moments normals(Random& random, double mean, double sd, int count) {
  std::normal_distribution<double> draw(mean, sd);
  Moments out(1);
  for (int i = 0; i < count; ++i)
    out.add(draw(random));
  return out;
}

void expect_nominal(double share) {
  EXPECT_GE(share, 0.945);
  EXPECT_LE(share, 0.955);
}

TEST(Coverage, Intervals_of_means_hold_the_truth_as_often_as_they_say) {
  const Shape mean;
  expect_nominal(coverage([&](Random& random) {
    const Moments control = normals(random, 10, 2, 40);
    const Moments treatment = normals(random, 11, 4, 60);
    return holds(test(contrast_of(mean, Scale::kAbsolute, 0, control, treatment), {}), 1);
  }));
  expect_nominal(coverage([&](Random& random) {
    const Moments control = normals(random, 10, 3, 60);
    const Moments treatment = normals(random, 12, 3, 60);
    return holds(test(contrast_of(mean, Scale::kRelative, 0, control, treatment), {}), 0.2);
  }));
}

TEST(Coverage, Intervals_of_proportions_hold_the_truth_as_often_as_they_say) {
  for (const Scale scale : {Scale::kAbsolute, Scale::kRelative}) {
    expect_nominal(coverage([&](Random& random) {
      std::binomial_distribution<int> control(500, 0.10);
      std::binomial_distribution<int> treatment(700, 0.12);
      const Effect effect = test(scale, {static_cast<double>(control(random)), 500},
                                 {static_cast<double>(treatment(random)), 700}, {});
      return holds(effect, scale == Scale::kAbsolute ? 0.02 : 0.2);
    }));
  }
}

// Units with 1 to 6 events, whose values share what is the unit's own.
Moments ratios(Random& random, double mean, int count) {
  std::uniform_int_distribution<int> events(1, 6);
  std::normal_distribution<double> noise(0, 1);
  Moments out(2);
  for (int i = 0; i < count; ++i) {
    const double own = noise(random);
    const int n = events(random);
    const double sum = n * (mean + own) + std::sqrt(n) * noise(random);
    out.add(std::array{sum, static_cast<double>(n)});
  }
  return out;
}

TEST(Coverage, Intervals_of_ratios_hold_the_truth_where_a_test_of_events_does_not) {
  const Shape ratio{.kind = Shape::Kind::kRatio};
  int naive = 0;
  expect_nominal(coverage([&](Random& random) {
    const Moments control = ratios(random, 5, 150);
    const Moments treatment = ratios(random, 6, 150);
    // What it would be if each event were a unit of its own, of the known variance 2.
    const double events = 150 * std::min(control.mean(1), treatment.mean(1));
    const double difference = value_of(ratio, treatment) - value_of(ratio, control);
    naive += std::abs(difference - 1) <= 1.96 * std::sqrt(2 * 2 / events) ? 1 : 0;
    return holds(test(contrast_of(ratio, Scale::kRelative, 0, control, treatment), {}), 0.2);
  }));
  EXPECT_LT(naive, 0.85 * kTrials);
}

Moments pairs(Random& random, double mean, int count) {
  std::normal_distribution<double> noise(0, 1);
  Moments out(2);
  for (int i = 0; i < count; ++i) {
    const double before = 8 + noise(random);
    out.add(std::array{mean + 1.5 * (before - 8) + noise(random), before});
  }
  return out;
}

TEST(Coverage, Cuped_holds_the_truth_and_is_narrower) {
  const Shape cuped{.kind = Shape::Kind::kMean, .covariate = true};
  double narrow = 0;
  double wide = 0;
  expect_nominal(coverage([&](Random& random) {
    const std::array arms = {pairs(random, 10, 200), pairs(random, 12, 200)};
    const double theta = pooled_theta(cuped, arms);
    const Effect plain = test(contrast_of(cuped, Scale::kRelative, 0, arms[0], arms[1]), {});
    const Effect effect = test(contrast_of(cuped, Scale::kRelative, theta, arms[0], arms[1]), {});
    narrow += effect.high - effect.low;
    wide += plain.high - plain.low;
    return holds(effect, 0.2);
  }));
  EXPECT_LT(narrow, 0.7 * wide);
}

// How often equal arms differ at some look: by the sequential test and by a t test.
TEST(Coverage, Peeking_is_safe_with_the_sequential_test_and_not_with_a_t_test) {
  Random random(7);
  std::normal_distribution<double> draw(3, 2);
  constexpr int kRuns = 2'000;
  int sequential = 0;
  int one_sided = 0;
  int fixed = 0;
  for (int run = 0; run < kRuns; ++run) {
    Moments control(1);
    Moments treatment(1);
    bool any_sequential = false;
    bool any_one_sided = false;
    bool any_fixed = false;
    for (int n = 1; n <= 2'000; ++n) {
      control.add(draw(random));
      treatment.add(draw(random));
      if (n < 100 || n % 25 != 0) continue;
      const Contrast now = contrast_of({}, Scale::kAbsolute, 0, control, treatment);
      any_sequential |= sequential_test(now, {}, {.units = 2'000}).p_value <= 0.05;
      any_one_sided |=
          sequential_test(now, {.alternative = Alternative::kGreater}, {.units = 2'000}).p_value <=
          0.05;
      any_fixed |= test(now, {}).p_value <= 0.05;
    }
    sequential += any_sequential ? 1 : 0;
    one_sided += any_one_sided ? 1 : 0;
    fixed += any_fixed ? 1 : 0;
  }
  EXPECT_LE(sequential, 0.05 * kRuns);
  EXPECT_LE(one_sided, 0.05 * kRuns);
  EXPECT_GT(fixed, 0.15 * kRuns);
}

TEST(Coverage, The_exact_test_of_proportions_is_safe_at_every_look_from_the_first) {
  Random random(11);
  constexpr int kRuns = 300;
  int alarms = 0;
  int found = 0;
  for (const bool worse : {false, true}) {
    std::bernoulli_distribution control_fails(0.02);
    std::bernoulli_distribution treatment_fails(worse ? 0.12 : 0.02);
    for (int run = 0; run < kRuns; ++run) {
      Proportion control;
      Proportion treatment;
      bool any = false;
      for (int n = 1; n <= 600 && !any; ++n) {
        control.successes += control_fails(random) ? 1 : 0;
        treatment.successes += treatment_fails(random) ? 1 : 0;
        control.count = treatment.count = n;
        if (n % 10 != 0 || treatment.successes <= control.successes) continue;
        any = sequential_test(Scale::kAbsolute, control, treatment,
                              {.alternative = Alternative::kGreater})
                  .p_value <= 0.05;
      }
      (worse ? found : alarms) += any ? 1 : 0;
    }
  }
  EXPECT_LE(alarms, 0.05 * kRuns);
  EXPECT_GT(found, 0.95 * kRuns);
}

TEST(Coverage, The_sequential_sample_ratio_is_safe_at_every_look) {
  Random random(13);
  std::bernoulli_distribution fair(0.5);
  std::bernoulli_distribution lossy(0.45);
  constexpr int kRuns = 1'000;
  int alarms = 0;
  int found = 0;
  int peeked = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::array<double, 2> good{};
    std::array<double, 2> bad{};
    bool alarm = false;
    bool peek = false;
    bool find = false;
    for (int n = 1; n <= 4'000; ++n) {
      good[fair(random) ? 1 : 0] += 1;
      bad[lossy(random) ? 1 : 0] += 1;
      if (n % 20 != 0) continue;
      alarm |= sequential_sample_ratio(good, std::array{1.0, 1.0}).p_value <= 0.05;
      peek |= sample_ratio(good, std::array{1.0, 1.0}).p_value <= 0.05;
      find |= sequential_sample_ratio(bad, std::array{1.0, 1.0}).p_value <= 0.05;
    }
    alarms += alarm ? 1 : 0;
    peeked += peek ? 1 : 0;
    found += find ? 1 : 0;
  }
  EXPECT_LE(alarms, 0.05 * kRuns);
  EXPECT_GT(peeked, 0.15 * kRuns);
  EXPECT_GT(found, 0.95 * kRuns);
}

}  // namespace
}  // namespace strata::platform::statistics
