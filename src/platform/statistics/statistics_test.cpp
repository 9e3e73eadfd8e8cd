#include "platform/statistics/statistics.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "platform/statistics/distributions.hpp"

namespace strata::platform::statistics {
namespace {

constexpr std::array kAlternatives = {Alternative::kTwoSided, Alternative::kGreater,
                                      Alternative::kLess};

TEST(Moments, Values_like_times_since_the_epoch_lose_no_variance) {
  Moments whole(1);
  Moments parts(1);
  Moments backwards(1);
  std::vector<Moments> shards;
  for (int shard = 0; shard < 100; ++shard) {
    Moments one(1);
    for (int i = 0; i < 1'000; ++i) {
      const double value = 1.7e15 + static_cast<double>((shard * 1'000 + i * 7919) % 100);
      one.add(value);
      whole.add(value);
    }
    shards.push_back(one);
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    parts.merge(shards[i]);
    backwards.merge(shards[shards.size() - 1 - i]);
  }
  // Each of 0 to 99 is there a thousand times.
  const double expected = 833.25 * 100'000 / 99'999;
  for (const Moments& one : {whole, parts, backwards}) {
    EXPECT_NEAR(one.variance(0) / expected, 1, 1e-11);
    EXPECT_EQ(one.mean(0), 1.7e15 + 49.5);
  }
}

TEST(Moments, What_cannot_be_statistics_is_refused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Moments::from(10, std::array{1.0}, std::array{-2.0}).error().field, "variance");
  EXPECT_EQ(Moments::from(10, std::array{nan}, std::array{1.0}).error().field, "mean");
  EXPECT_EQ(Moments::from(10.5, std::array{1.0}, std::array{1.0}).error().field, "n");
  EXPECT_EQ(Moments::from(10, std::array{1.0, 1.0}, std::array{1.0, 2.0, 2.0, 1.0}).error().field,
            "covariance");
  EXPECT_TRUE(Moments::from(10, std::array{1.0, 1.0}, std::array{1.0, 2.0, 2.0, 4.0}));
}

TEST(Effect, Tails_do_not_vanish) {
  const auto control = Moments::from(1e6, std::array{10.0}, std::array{4.0});
  const auto treatment = Moments::from(1e6, std::array{10.1}, std::array{4.0});
  const Effect effect = test(contrast_of({}, Scale::kAbsolute, 0, *control, *treatment), {});
  EXPECT_GT(effect.p_value, 0);
  EXPECT_LT(effect.p_value, 1e-200);
}

// Asks at each end of the interval: there p must be alpha.
template <class F>
void expect_agreement(const F& ask, double tolerance = 1e-6) {
  for (const Alternative alternative : kAlternatives) {
    for (const double alpha : {0.2, 0.05, 0.001}) {
      const Effect effect = ask(Question{alternative, 0, alpha});
      ASSERT_TRUE(effect.defined) << effect.reason;
      for (const double end : {effect.low, effect.high}) {
        if (std::isinf(end)) continue;
        EXPECT_NEAR(ask(Question{alternative, end, alpha}).p_value / alpha, 1, tolerance);
      }
      EXPECT_LT(effect.low, effect.estimate);
      EXPECT_GT(effect.high, effect.estimate);
    }
  }
}

TEST(Effect, The_test_of_an_intervals_end_gives_alpha) {
  const auto control = Moments::from(80, std::array{10.0, 3.0}, std::array{9.0, 2.0, 2.0, 4.0});
  const auto treatment = Moments::from(95, std::array{11.0, 3.1}, std::array{8.0, 1.0, 1.0, 5.0});
  for (const Scale scale : {Scale::kAbsolute, Scale::kRelative}) {
    for (const bool covariate : {false, true}) {
      const Shape shape{covariate ? Shape::Kind::kMean : Shape::Kind::kRatio, covariate};
      const Contrast contrast = contrast_of(shape, scale, 0.3, *control, *treatment);
      expect_agreement([&](const Question& asked) { return test(contrast, asked); });
      expect_agreement(
          [&](const Question& asked) { return sequential_test(contrast, asked, {.units = 500}); });
    }
    const Proportion p{12, 300};
    const Proportion q{31, 280};
    expect_agreement([&](const Question& asked) { return test(scale, p, q, asked); });
    expect_agreement([&](const Question& asked) { return sequential_test(scale, p, q, asked); });
  }
}

TEST(Effect, The_score_test_at_no_difference_is_the_pooled_z_test) {
  const double pooled = 43.0 / 580;
  const double z =
      (31.0 / 280 - 12.0 / 300) / std::sqrt(pooled * (1 - pooled) * (1.0 / 280 + 1.0 / 300));
  for (const Scale scale : {Scale::kAbsolute, Scale::kRelative}) {
    const Effect effect = test(scale, {12, 300}, {31, 280}, {});
    EXPECT_NEAR(effect.statistic / z, 1, 1e-12);
    EXPECT_NEAR(effect.p_value / (2 * normal_tail(z)), 1, 1e-11);
  }
}

TEST(Effect, Rare_and_absent_successes_have_intervals) {
  const Effect none = test(Scale::kAbsolute, {0, 50}, {0, 60}, {});
  EXPECT_EQ(none.p_value, 1);
  EXPECT_LT(none.low, -0.02);
  EXPECT_GT(none.high, 0.02);
  EXPECT_FALSE(test(Scale::kRelative, {0, 50}, {3, 60}, {}).defined);
  EXPECT_EQ(test(Scale::kAbsolute, {50, 50}, {60, 60}, {}).p_value, 1);
  EXPECT_LT(test(Scale::kAbsolute, {0, 50}, {60, 60}, {}).p_value, 1e-20);
}

TEST(Effect, What_cannot_be_said_is_undefined_with_a_reason) {
  const auto zero = Moments::from(100, std::array{0.01}, std::array{1.0});
  const auto one = Moments::from(100, std::array{1.0}, std::array{1.0});
  const auto flat = Moments::from(100, std::array{1.0}, std::array{0.0});
  const auto lone = Moments::from(1, std::array{1.0}, std::array{0.0});
  EXPECT_FALSE(test(contrast_of({}, Scale::kRelative, 0, *zero, *one), {}).defined);
  EXPECT_TRUE(test(contrast_of({}, Scale::kAbsolute, 0, *zero, *one), {}).defined);
  EXPECT_FALSE(test(contrast_of({}, Scale::kAbsolute, 0, *flat, *flat), {}).defined);
  EXPECT_FALSE(test(contrast_of({}, Scale::kAbsolute, 0, *one, *lone), {}).defined);
  const Shape ratio{.kind = Shape::Kind::kRatio};
  const auto empty = Moments::from(9, std::array{1.0, 0.0}, std::array{1.0, 0.0, 0.0, 0.0});
  const Contrast contrast = contrast_of(ratio, Scale::kAbsolute, 0, *empty, *empty);
  EXPECT_FALSE(contrast.defined);
  EXPECT_FALSE(contrast.reason.empty());
}

TEST(Correction, A_test_is_rejected_exactly_when_p_is_below_the_alpha_of_its_interval) {
  const std::vector<double> p = {0.001, 0.012, 0.014, 0.03, 0.2, 0.04, 0.9, 0.012};
  std::vector<std::size_t> counts;
  for (const Correction method : {Correction::kNone, Correction::kBonferroni, Correction::kHolm,
                                  Correction::kHochberg, Correction::kYekutieli}) {
    const Corrected all = correct(method, p, 0.05);
    for (std::size_t i = 0; i < p.size(); ++i) {
      EXPECT_EQ(all.rejected[i], p[i] <= all.alphas[i]);
      EXPECT_GE(all.p_values[i], p[i]);
    }
    counts.push_back(static_cast<std::size_t>(std::ranges::count(all.rejected, true)));
    EXPECT_EQ(*parse_correction(correction_name(method)), method);
  }
  // Benjamini-Hochberg: the fifth smallest, 0.03, is the last one below 0.05 * 5 / 8.
  EXPECT_EQ(counts, (std::vector<std::size_t>{6, 1, 1, 5, 1}));
  EXPECT_FALSE(parse_correction("hoch"));
}

TEST(SampleRatio, An_arm_without_weight_counts_nowhere) {
  const SampleRatio three =
      sample_ratio(std::array{5350.0, 5000.0, 0.0}, std::array{1.0, 1.0, 0.0});
  EXPECT_EQ(three.degrees, 1);
  EXPECT_NEAR(three.p_value, 0.00058, 0.00001);
  const SampleRatio stray = sample_ratio(std::array{50.0, 50.0, 9.0}, std::array{1.0, 1.0, 0.0});
  EXPECT_EQ(stray.misplaced, 9);
  EXPECT_EQ(stray.total, 100);
  EXPECT_EQ(stray.p_value, 1);
  EXPECT_EQ(sample_ratio(std::array{5.0}, std::array{1.0}).p_value, 1);
}

TEST(Sequential, Evidence_is_never_above_that_of_one_look) {
  for (const double mean : {10.0, 10.3, 10.6, 11.0}) {
    const auto control = Moments::from(500, std::array{10.0}, std::array{4.0});
    const auto treatment = Moments::from(500, std::array{mean}, std::array{4.0});
    const Contrast contrast = contrast_of({}, Scale::kAbsolute, 0, *control, *treatment);
    EXPECT_GT(sequential_test(contrast, {}, {}).p_value, test(contrast, {}).p_value * 0.999);
  }
  EXPECT_EQ(
      sequential_test(Scale::kAbsolute, {3, 100}, {2, 100}, {.alternative = Alternative::kGreater})
          .p_value,
      1);
}

}  // namespace
}  // namespace strata::platform::statistics
