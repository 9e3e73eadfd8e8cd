#include "platform/drift/drift.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace strata::platform::drift {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::shared_ptr<const Bins> shared(Result<Bins> bins) {
  EXPECT_TRUE(bins.ok()) << (bins ? "" : bins.error().to_string());
  return std::make_shared<const Bins>(*std::move(bins));
}

Profile profile_of(const std::shared_ptr<const Bins>& bins, const std::vector<double>& values) {
  Profile profile(bins);
  for (const double value : values)
    profile.add(value);
  return profile;
}

std::vector<double> normal(std::uint64_t seed, std::size_t count, double mean = 0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(mean, 1);
  std::vector<double> values(count);
  for (double& value : values)
    value = draw(random);
  return values;
}

TEST(DriftBins, FewValuesHaveABinEach) {
  const auto bins = shared(Bins::of_numbers({3, 1, 2, 2, kNan, kInfinity}));
  ASSERT_EQ(bins->size(), 5U);  // below, 1, 2, 3, above
  EXPECT_EQ(bins->index(1.0), 1U);
  EXPECT_EQ(bins->index(2.0), 2U);
  EXPECT_EQ(bins->index(3.0), 3U);
  EXPECT_EQ(bins->index(0.999), 0U);
  EXPECT_EQ(bins->index(3.001), 4U);
  EXPECT_EQ(bins->index(kInfinity), 4U);
  EXPECT_EQ(bins->index(-kInfinity), 0U);
}

TEST(DriftBins, ManyValuesHaveBinsOfEqualMass) {
  const auto values = normal(1, 32'000);
  const auto bins = shared(Bins::of_numbers(values));
  const auto profile = profile_of(bins, values);
  ASSERT_EQ(bins->size(), kMaxBins + 2);
  EXPECT_EQ(profile.counts().front(), 0U);
  EXPECT_EQ(profile.counts().back(), 0U);
  for (std::size_t bin = 1; bin <= kMaxBins; ++bin)
    EXPECT_EQ(profile.counts()[bin], 1000U) << bins->label(bin);
}

TEST(DriftBins, AFrequentValueTakesOneBin) {
  std::vector<double> values(900, 0.0);
  for (int i = 1; i <= 100; ++i)
    values.push_back(i);
  const auto bins = shared(Bins::of_numbers(values));
  const auto profile = profile_of(bins, values);
  EXPECT_EQ(profile.counts()[1], 900U);
  EXPECT_EQ(profile.counts().back(), 0U);
  EXPECT_EQ(profile.present(), 1000U);
}

TEST(DriftBins, FrequentCategoriesComeFirstAndTheRestTogether) {
  std::vector<std::string> texts;
  for (int i = 0; i < 150; ++i)
    texts.insert(texts.end(), i == 7 ? 5 : 1, "c" + std::to_string(i));
  const auto bins = shared(Bins::of_texts(texts));
  EXPECT_EQ(bins->size(), kMaxCategories + 1);
  EXPECT_EQ(bins->index("c7"), 0U);
  EXPECT_EQ(bins->index("never seen"), kMaxCategories);
  EXPECT_EQ(bins->label(kMaxCategories), "others");
}

TEST(DriftBins, ComeBackFromJson) {
  for (const auto& bins : {shared(Bins::of_numbers({0.1, 1e300, -0.0})),
                           shared(Bins::of_texts(std::vector<std::string>{"a", "", "a\n"}))}) {
    const auto parsed = parse_json(bins->to_json().dump());
    ASSERT_TRUE(parsed.ok());
    const auto again = Bins::from_json(*parsed);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, *bins);
  }
}

TEST(DriftBins, RefuseWhatIsNone) {
  EXPECT_FALSE(Bins::of_numbers({kNan, kInfinity}).ok());
  EXPECT_FALSE(Bins::of_texts({}).ok());
  EXPECT_FALSE(Bins::from_json(*parse_json(R"({"edges": [2, 1]})")).ok());
  EXPECT_FALSE(Bins::from_json(*parse_json(R"({"edges": []})")).ok());
  EXPECT_FALSE(Bins::from_json(*parse_json(R"({"categories": ["a", "a"]})")).ok());
}

TEST(DriftProfile, MergesToWhatOneProfileCounts) {
  auto values = normal(2, 5000);
  values[17] = kNan;
  values[99] = kInfinity;
  const auto bins = shared(Bins::of_numbers(values));
  const auto whole = profile_of(bins, values);
  Profile merged(bins);
  for (std::size_t at = values.size(); at > 0; at -= 100) {
    Profile part(bins);
    for (std::size_t i = at - 100; i < at; ++i)
      part.add(values[i]);
    merged.merge(part);
  }
  EXPECT_TRUE(std::ranges::equal(merged.counts(), whole.counts()));
  EXPECT_EQ(merged.missing(), 1U);
  EXPECT_EQ(merged.present(), 4999U);
  EXPECT_EQ(merged.greatest(), kInfinity);
  EXPECT_EQ(merged.least(), whole.least());
  EXPECT_NEAR(merged.moments().mean(0), whole.moments().mean(0), 1e-15);
  EXPECT_NEAR(merged.moments().variance(0), whole.moments().variance(0), 1e-13);
}

TEST(DriftProfile, ComesBackFromJson) {
  auto values = normal(3, 1000);
  values[5] = kNan;
  values[6] = -kInfinity;
  const auto bins = shared(Bins::of_numbers(values));
  const auto profile = profile_of(bins, values);
  const auto again = Profile::from_json(bins, *parse_json(profile.to_json().dump()));
  ASSERT_TRUE(again.ok()) << again.error().to_string();
  EXPECT_EQ(again->to_json().dump(), profile.to_json().dump());
  EXPECT_EQ(again->least(), -kInfinity);
  EXPECT_EQ(distance(profile, *again).psi, 0);
}

TEST(DriftProfile, RefusesCountsOfOtherBins) {
  const auto bins = shared(Bins::of_numbers({1, 2}));
  EXPECT_FALSE(Profile::from_json(bins, *parse_json(R"({"counts": [1, 2]})")).ok());
  EXPECT_FALSE(Profile::from_json(bins, *parse_json(R"({"counts": [1, 2, -3, 4]})")).ok());
}

TEST(DriftDistance, KnownValues) {
  // By hand: shares 0.5, 0.5 against 0.25, 0.75.
  const std::vector<double> r = {50, 50};
  const std::vector<double> c = {25, 75};
  EXPECT_NEAR(psi(r, c), 0.25 * std::log(3.0), 1e-15);
  const double js = 0.5 * (0.5 * std::log(0.5 / 0.375) + 0.5 * std::log(0.5 / 0.625) +
                           0.25 * std::log(0.25 / 0.375) + 0.75 * std::log(0.75 / 0.625));
  EXPECT_NEAR(jensen_shannon(r, c), std::sqrt(js), 1e-15);
  EXPECT_NEAR(jensen_shannon(std::vector<double>{1, 0}, std::vector<double>{0, 1}),
              std::sqrt(std::log(2.0)), 1e-15);
}

TEST(DriftDistance, OfItselfIsZero) {
  const auto values = normal(4, 3000);
  const auto bins = shared(Bins::of_numbers(values));
  const auto profile = profile_of(bins, values);
  const auto same = distance(profile, profile);
  ASSERT_TRUE(same.defined);
  EXPECT_EQ(same.psi, 0);
  EXPECT_EQ(same.jensen_shannon, 0);
  EXPECT_EQ(same.kolmogorov_smirnov, 0);
  EXPECT_EQ(same.wasserstein, 0);
  EXPECT_EQ(same.p_value, 1);
}

TEST(DriftDistance, BinnedMeasuresComeNearToExactOnes) {
  const auto before = normal(5, 20'000);
  const auto now = normal(6, 20'000, 0.5);
  const auto bins = shared(Bins::of_numbers(before));
  const auto binned = distance(profile_of(bins, before), profile_of(bins, now));
  const auto exact = sample_distance(before, now);
  EXPECT_LE(*binned.kolmogorov_smirnov, exact.kolmogorov_smirnov + 1e-12);
  EXPECT_NEAR(*binned.kolmogorov_smirnov, exact.kolmogorov_smirnov, 1.0 / kMaxBins);
  EXPECT_NEAR(*binned.wasserstein, exact.wasserstein, 0.05);
  EXPECT_NEAR(exact.wasserstein, 0.5, 0.03);
}

TEST(DriftDistance, SeesWhatIsNewAndWhatIsMissing) {
  const auto bins = shared(Bins::of_texts(std::vector<std::string>{"AA", "AA", "UA"}));
  Profile before(bins);
  Profile now(bins);
  for (int i = 0; i < 100; ++i) {
    before.add(i % 2 == 0 ? "AA" : "UA");
    now.add(i % 2 == 0 ? "AA" : "ZZ");
  }
  auto found = distance(before, now);
  EXPECT_DOUBLE_EQ(found.unseen, 0.5);
  EXPECT_GT(found.psi, 1);
  EXPECT_LT(found.p_value, 1e-12);
  EXPECT_FALSE(found.kolmogorov_smirnov.has_value());
  Profile gone(bins);
  for (int i = 0; i < 100; ++i)
    gone.add_missing();
  found = distance(before, gone);
  EXPECT_DOUBLE_EQ(found.missing_now, 1);
  EXPECT_LT(found.p_value, 1e-12);
}

TEST(DriftDistance, SaysWhyItIsUndefined) {
  const auto bins = shared(Bins::of_numbers({1, 2}));
  const auto full = profile_of(bins, {1, 2});
  EXPECT_EQ(distance(full, Profile(bins)).reason, "no values in the window");
  EXPECT_EQ(distance(Profile(bins), full).reason, "no values in the reference");
  // A constant is no drift, and has no spread to measure by.
  const auto one = shared(Bins::of_numbers({7, 7}));
  const auto constant = distance(profile_of(one, {7, 7, 7}), profile_of(one, {7, 7}));
  EXPECT_EQ(constant.psi, 0);
  EXPECT_EQ(constant.p_value, 1);
  EXPECT_FALSE(constant.wasserstein.has_value());
}

// Without drift the p-value is below alpha in a share alpha of the windows, for small windows, too.
TEST(DriftDistance, RaisesNoMoreFalseAlarmsThanItSays) {
  const auto reference = normal(7, 50'000);
  const auto bins = shared(Bins::of_numbers(reference));
  const auto before = profile_of(bins, reference);
  for (const std::size_t size : {60U, 1000U}) {
    int alarms = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
      if (distance(before, profile_of(bins, normal(1000 + seed, size))).p_value < 0.05) ++alarms;
    }
    // 100 are expected; four standard deviations are 39.
    EXPECT_LE(alarms, 139) << size;
    EXPECT_GE(alarms, 50) << size;
  }
}

TEST(DriftSamples, KnownValues) {
  const auto found = sample_distance({1, 2, 3, 4}, {3, 4, 5, 6});
  EXPECT_DOUBLE_EQ(found.kolmogorov_smirnov, 0.5);
  EXPECT_DOUBLE_EQ(found.wasserstein, 2);
  EXPECT_DOUBLE_EQ(sample_distance({1, 1, 2}, {2, 1, 1}).kolmogorov_smirnov, 0);
  EXPECT_DOUBLE_EQ(sample_distance({1, 1, 2}, {2, 1, 1}).p_value, 1);
}

}  // namespace
}  // namespace strata::platform::drift
