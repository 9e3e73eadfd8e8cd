#include "platform/monitoring/monitoring.hpp"

#include <random>

#include <gtest/gtest.h>

#include "platform/monitoring/alarms.hpp"
#include "platform/monitoring/series.hpp"

namespace strata::platform::monitoring {
namespace {

using Alarms = std::map<std::string, Alarm>;

std::vector<Look> one(double psi, double p_value) {
  return {{"inputs.x", psi, p_value}};
}

TEST(Alarms, OpenWhenBothTheEffectIsLargeAndChanceIsRuledOut) {
  const Settings settings;
  Alarms alarms;
  EXPECT_TRUE(step_alarms(alarms, one(0.19, 1e-30), settings).empty()) << "a small effect";
  EXPECT_TRUE(step_alarms(alarms, one(0.9, 0.01), settings).empty()) << "chance";
  const auto changes = step_alarms(alarms, one(0.2, 1e-9), settings);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].opened);
  EXPECT_TRUE(step_alarms(alarms, one(0.9, 1e-30), settings).empty()) << "it is open already";
}

TEST(Alarms, CloseAfterThreeCalmLooksInARow) {
  const Settings settings;
  Alarms alarms;
  step_alarms(alarms, one(0.5, 1e-30), settings);
  EXPECT_TRUE(step_alarms(alarms, one(0.1, 1), settings).empty());
  EXPECT_TRUE(step_alarms(alarms, one(0.1, 1), settings).empty());
  EXPECT_TRUE(step_alarms(alarms, one(0.15, 1), settings).empty()) << "near the threshold";
  EXPECT_TRUE(step_alarms(alarms, one(0.1, 1), settings).empty());
  EXPECT_TRUE(step_alarms(alarms, one(0.1, 1), settings).empty());
  const auto changes = step_alarms(alarms, one(0.1, 1), settings);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_FALSE(changes[0].opened);
  EXPECT_TRUE(alarms.empty());
}

// 20 features without any drift, looked at for 300 years: the budget holds for all together, were
// there no threshold on the effect at all.
TEST(Alarms, ChanceOpensNoMoreThanTheBudget) {
  Settings settings;
  settings.threshold = 0.01;
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> p_value;
  const auto looks_a_month =
      static_cast<int>(std::chrono::seconds(30 * 86400) / look_every(settings));
  int opened = 0;
  const int months = 400;
  for (int i = 0; i < months * looks_a_month; ++i) {
    std::vector<Look> looks;
    for (int f = 0; f < 20; ++f)
      looks.push_back({"f" + std::to_string(f), 1, p_value(random)});
    Alarms alarms;
    opened += step_alarms(alarms, std::move(looks), settings).empty() ? 0 : 1;
  }
  // 400 are expected, four standard deviations are 80.
  EXPECT_LE(opened, 480);
  EXPECT_GE(opened, 320);
}

TEST(MonitorSettings, AreCheckedByField) {
  EXPECT_TRUE(Settings::parse(Json::object()).ok());
  const auto changed = Settings::parse(*parse_json(
      R"({"window": "6h", "threshold": 0.3, "minimum_rows": 100, "false_alarms": 0.5})"));
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->window, std::chrono::hours(6));
  EXPECT_EQ(*Settings::parse(changed->to_json()), *changed);
  for (const char* const bad :
       {R"({"window": "1m"})", R"({"window": "soon"})", R"({"threshold": 0})",
        R"({"threshold": "0.2"})", R"({"minimum_rows": 3})", R"({"false_alarms": 0})",
        R"({"treshold": 0.2})", R"({"reference": 7})", R"([])"}) {
    EXPECT_FALSE(Settings::parse(*parse_json(bad)).ok()) << bad;
  }
}

class CellsTest : public testing::Test {
 protected:
  CellsTest() {
    rows_.columns.push_back({"inputs.x", drift::Kind::kNumber, {}, {}});
    rows_.columns.push_back({"outputs.y", drift::Kind::kCategory, {}, {}});
    for (int i = 0; i < 300; ++i) {
      rows_.times.push_back(Instant::from_millis(kMinuteMs * 1000 + i * 1000));
      rows_.versions.emplace_back(i < 200 ? "1" : "2");
      rows_.failed.push_back(i % 10 == 0);
      rows_.columns[0].numbers.push_back(i % 7);
      rows_.columns[1].texts.emplace_back(i % 10 == 0 ? std::nullopt : std::optional("no"));
    }
    for (const auto& column : rows_.columns) {
      const auto bins = std::make_shared<const drift::Bins>(*bins_of(column));
      reference_.emplace(column.name, profile_of(bins, column));
    }
  }
  LogRows rows_;
  std::map<std::string, drift::Profile> reference_;
};

TEST_F(CellsTest, CountEachRowOnceByVersionAndMinute) {
  std::map<CellKey, Cell> cells;
  fold(rows_, reference_, cells);
  ASSERT_EQ(cells.size(), 6U);  // of 60 rows each; the fourth minute has two versions
  std::int64_t rows = 0;
  std::int64_t failed = 0;
  Cell whole;
  for (const auto& [key, cell] : cells) {
    EXPECT_EQ(key.start_ms % kMinuteMs, 0);
    rows += cell.rows;
    failed += cell.failed;
    whole.merge(cell);
  }
  EXPECT_EQ(rows, 300);
  EXPECT_EQ(failed, 30);
  EXPECT_EQ(whole.profiles.at("inputs.x").total(), 300U);
  EXPECT_TRUE(std::ranges::equal(whole.profiles.at("inputs.x").counts(),
                                 reference_.at("inputs.x").counts()));
  EXPECT_EQ(whole.profiles.at("outputs.y").total(), 270U) << "failures are not missing outputs";
}

TEST_F(CellsTest, ComeBackFromTheRecords) {
  std::map<CellKey, Cell> cells;
  fold(rows_, reference_, cells);
  for (const auto& [key, cell] : cells) {
    const auto again = Cell::from_json(*parse_json(cell.to_json().dump()), reference_);
    ASSERT_TRUE(again.ok()) << again.error().to_string();
    EXPECT_EQ(again->rows, cell.rows);
    EXPECT_EQ(again->failed, cell.failed);
    ASSERT_EQ(again->profiles.size(), cell.profiles.size());
    for (const auto& [name, profile] : cell.profiles) {
      const auto& other = again->profiles.at(name);
      EXPECT_TRUE(std::ranges::equal(other.counts(), profile.counts()));
      EXPECT_EQ(other.moments().count(), profile.moments().count());
      EXPECT_DOUBLE_EQ(other.moments().co_moment(0, 0), profile.moments().co_moment(0, 0));
    }
  }
  EXPECT_FALSE(Cell::from_json(*parse_json(R"({"features": {"inputs.other": {}}})"), reference_));
}

TEST_F(CellsTest, PassOverFeaturesOfAnotherKind) {
  rows_.columns[0].kind = drift::Kind::kCategory;
  rows_.columns[0].texts.assign(300, "a");
  std::map<CellKey, Cell> cells;
  fold(rows_, reference_, cells);
  EXPECT_FALSE(cells.begin()->second.profiles.contains("inputs.x"));
}

}  // namespace
}  // namespace strata::platform::monitoring
