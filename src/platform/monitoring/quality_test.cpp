#include "platform/monitoring/quality.hpp"

#include <random>

#include <gtest/gtest.h>

#include "platform/monitoring/maturity.hpp"

namespace strata::platform::monitoring {
namespace {

// The area by its definition: how often a positive's score is above a negative's.
double area_by_pairs(const std::vector<std::pair<double, bool>>& rows) {
  double pairs = 0, won = 0;
  for (const auto& [a, positive] : rows) {
    for (const auto& [b, other] : rows) {
      if (!positive || other) continue;
      pairs += 1;
      won += a > b ? 1 : a == b ? 0.5 : 0;
    }
  }
  return won / pairs;
}

TEST(Quality, TheSumOfPartsIsTheWhole) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> unit;
  Quality whole, first, second;
  std::vector<std::pair<double, bool>> rows;
  for (int i = 0; i < 1000; ++i) {
    const double score = std::round(unit(random) * 50) / 50;  // with ties
    const bool truth = unit(random) < score;
    rows.emplace_back(score, truth);
    whole.add_number(score, truth ? 1 : 0, true);
    (i % 3 == 0 ? first : second).add_number(score, truth ? 1 : 0, true);
  }
  first.merge(second);
  const Json a = whole.figures(Answers::kBinary), b = first.figures(Answers::kBinary);
  for (const auto& [name, value] : a.as_object())
    EXPECT_NEAR(b.number(name), value.as_double(), 1e-12) << name;
  EXPECT_NEAR(a.number("roc_auc"), area_by_pairs(rows), 1e-12);
  EXPECT_EQ(a.find("roc_auc_error"), nullptr);
  const Json bins = whole.reliability(), merged = first.reliability();
  for (std::size_t at = 0; at < Quality::kBins; ++at) {
    for (const char* name : {"rows", "score", "observed"}) {
      EXPECT_NEAR(bins.as_array()[at].number(name), merged.as_array()[at].number(name), 1e-12);
    }
  }
}

TEST(Quality, ManyScoresAreRoundedAndTheAreaIsWithinWhatItSays) {
  std::mt19937_64 random(8);
  std::uniform_real_distribution<double> unit;
  ScoreCurve curve;
  std::vector<std::pair<double, bool>> rows;
  for (int i = 0; i < 100'000; ++i) {
    const double score = unit(random);
    rows.emplace_back(score, unit(random) < score);
    curve.add(score, rows.back().second);
  }
  // By ranks, for so many.
  std::ranges::sort(rows);
  double ranks = 0, positives = 0;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    if (!rows[at].second) continue;
    ranks += static_cast<double>(at + 1);
    positives += 1;
  }
  const double exact = (ranks - positives * (positives + 1) / 2) /
                       (positives * (static_cast<double>(rows.size()) - positives));
  ASSERT_TRUE(curve.area());
  EXPECT_GT(curve.error(), 0);
  EXPECT_LT(curve.error(), 1e-4);
  EXPECT_NEAR(*curve.area(), exact, curve.error());
}

TEST(Quality, WhatIsUndefinedIsNullAndNotZero) {
  Quality quality;
  EXPECT_TRUE(quality.figures(Answers::kBinary).is_null());
  quality.add_number(0.2, 0, true);
  quality.add_number(0.3, 0, true);
  const Json one_class = quality.figures(Answers::kBinary);
  EXPECT_EQ(one_class.number("accuracy"), 1);
  EXPECT_TRUE(one_class["roc_auc"].is_null());
  EXPECT_TRUE(one_class["precision"].is_null());
  EXPECT_TRUE(quality.figures(Answers::kRegression)["r2"].is_null()) << "all labels are alike";
}

TEST(Quality, ClassesAreAveragedOverThoseThatWereAnsweredOrTrue) {
  Quality quality;
  for (const auto& [answer, truth] : {std::pair("a", "a"), {"a", "b"}, {"b", "b"}, {"c", "a"}})
    quality.add_class(answer, std::string(truth));
  quality.add_class("a", std::nullopt);
  EXPECT_EQ(quality.rows(), 5);
  const Json figures = quality.figures(Answers::kClasses);
  EXPECT_DOUBLE_EQ(figures.number("accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(figures.number("precision"), (0.5 + 1 + 0) / 3);
  EXPECT_DOUBLE_EQ(figures.number("recall"), (0.5 + 0.5 + 0) / 3);
  EXPECT_EQ(figures.integer("classes"), 3);
}

// A thousand rows a day for twenty days; labels come two days later, of every second row.
TEST(Maturity, YoungRowsSayNothingOfAnAgeThatTheyHaveNotReached) {
  const Instant now = Instant::from_seconds(40 * 86400);
  const std::chrono::hours delay(48);
  Maturity maturity(30);
  for (int day = 0; day < 20; ++day) {
    for (int i = 0; i < 1000; ++i) {
      const Instant time = now - std::chrono::hours(24) * day - std::chrono::minutes(i % 60 + 1);
      const bool comes = i % 2 == 0 && now - time >= delay;
      maturity.add(time, comes ? std::optional(time + delay) : std::nullopt, now);
    }
  }
  EXPECT_EQ(maturity.mature_after(), 3 * 86400) << "by one day none has come, by three all have";
  double share = 0;
  for (const Json& age : maturity.to_json().as_array())
    share = age.number("share");
  EXPECT_EQ(share, 0.5) << "not less for the days that are too young";
  Maturity few(30);
  few.add(now - std::chrono::hours(24), now, now);
  EXPECT_EQ(few.mature_after(), std::nullopt);
}

}  // namespace
}  // namespace strata::platform::monitoring
