#include "platform/release/golden.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::platform::release {
namespace {

using testing::HasSubstr;
using Verdict = GateResult::Verdict;
using wire::ElementType;
using wire::Tensor;

Tensor doubles(const std::vector<double>& values, std::size_t width = 1) {
  std::vector<std::int64_t> shape = {static_cast<std::int64_t>(values.size() / width)};
  if (width > 1) shape.push_back(static_cast<std::int64_t>(width));
  Tensor tensor("y", ElementType::kFp64, shape);
  std::ranges::copy(values, tensor.allocate<double>(values.size()).begin());
  return tensor;
}

std::vector<double> lost(std::string metric, const std::vector<double>& answers,
                         const std::vector<Json>& labels, std::size_t width = 1) {
  std::vector<Tensor> tensors;
  tensors.push_back(doubles(answers, width));
  const auto found = losses(metric, tensors, labels);
  EXPECT_TRUE(found) << found.error().message;
  return found ? *found : std::vector<double>();
}

TEST(Golden, Each_metric_is_that_of_its_name) {
  const std::vector<Json> labels = {Json(1), Json(0)};
  EXPECT_EQ(lost("absolute_error", {0.25, 0.5}, labels), (std::vector<double>{0.75, 0.5}));
  EXPECT_EQ(lost("squared_error", {0.25, 0.5}, labels), (std::vector<double>{0.5625, 0.25}));
  EXPECT_EQ(lost("brier", {0.25, 0.5}, labels), (std::vector<double>{0.5625, 0.25}));
  EXPECT_EQ(lost("error_rate", {0.25, 0.4}, labels), (std::vector<double>{1, 0}));
  EXPECT_EQ(lost("error_rate", {3, 4}, {Json(3), Json(5)}), (std::vector<double>{0, 1}));
  const auto logs = lost("log_loss", {0.25, 0.5}, labels);
  EXPECT_DOUBLE_EQ(logs[0], -std::log(0.25));
  EXPECT_DOUBLE_EQ(logs[1], -std::log(0.5));
  // Of two probabilities the second class's counts.
  EXPECT_EQ(lost("brier", {0.75, 0.25, 0.5, 0.5}, labels, 2), (std::vector<double>{0.5625, 0.25}));
  EXPECT_TRUE(std::isfinite(lost("log_loss", {0, 1}, labels)[0]));
}

TEST(Golden, What_fits_the_labels_is_taken_when_no_metric_is_named) {
  const auto taken = [](const std::vector<double>& answers, const std::vector<Json>& labels) {
    std::string metric;
    std::vector<Tensor> tensors;
    tensors.push_back(doubles(answers));
    EXPECT_TRUE(losses(metric, tensors, labels));
    return metric;
  };
  EXPECT_EQ(taken({0.2, 0.9}, {Json(false), Json(true)}), "log_loss");
  EXPECT_EQ(taken({0, 1}, {Json(0), Json(1)}), "error_rate");
  EXPECT_EQ(taken({17.5, 3}, {Json(16), Json(2.5)}), "squared_error");
  Tensor classes("y", ElementType::kText, {2});
  classes.texts = {"late", "early"};
  std::vector<Tensor> tensors;
  tensors.push_back(std::move(classes));
  std::string metric;
  const auto found = losses(metric, tensors, std::vector<Json>{Json("late"), Json("late")});
  ASSERT_TRUE(found);
  EXPECT_EQ(metric, "error_rate");
  EXPECT_EQ(*found, (std::vector<double>{0, 1}));
}

TEST(Golden, A_label_that_the_metric_does_not_take_is_named_with_its_row) {
  std::string metric = "log_loss";
  std::vector<Tensor> tensors;
  tensors.push_back(doubles({0.5, 0.5}));
  const auto bad = losses(metric, tensors, std::vector<Json>{Json(1), Json(2)});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("row 1: the label 2"));
  std::vector<Tensor> nan;
  nan.push_back(doubles({NAN, 0.5}));
  EXPECT_FALSE(losses(metric, nan, std::vector<Json>{Json(1), Json(0)}));
}

Judged judged(std::size_t rows, double (*live)(std::size_t), double (*candidate)(std::size_t)) {
  Judged out{"squared_error", {}, {}, {{}}, 0};
  for (std::size_t i = 0; i < rows; ++i) {
    out.live.push_back(live(i));
    out.candidate.push_back(candidate(i));
    out.slices[0].push_back(i % 10 == 0 ? "EWR" : "JFK");
  }
  return out;
}

double noise(std::size_t i) {
  return 1 + static_cast<double>((i * 7919) % 101) / 101;
}

TEST(Golden, The_same_version_passes_and_a_worse_one_fails_with_its_interval) {
  const Golden golden{"t", "y", {"origin"}, "", 0.02};
  EXPECT_EQ(check_golden(golden, judged(1000, noise, noise)).verdict, Verdict::kPass);
  const auto worse =
      check_golden(golden, judged(1000, noise, [](std::size_t i) { return noise(i) * 1.1; }));
  EXPECT_TRUE(worse.failed());
  EXPECT_THAT(worse.reason, HasSubstr("certainly worse"));
  EXPECT_GT(worse.numbers.number("low"), 0);
  EXPECT_NEAR(worse.numbers.number("difference"), 0.1 * worse.numbers.number("live"), 1e-12);
  const auto within =
      check_golden(golden, judged(1000, noise, [](std::size_t i) { return noise(i) * 1.01; }));
  EXPECT_EQ(within.verdict, Verdict::kPass) << within.reason;
}

TEST(Golden, What_few_rows_cannot_rule_out_is_a_doubt) {
  const Golden golden{"t", "y", {}, "", 0.02};
  auto few = judged(8, noise, [](std::size_t i) { return noise(i) + (i % 2 == 0 ? 0.5 : -0.5); });
  few.slices.clear();
  EXPECT_EQ(check_golden(golden, few).verdict, Verdict::kWarn);
}

TEST(Golden, A_slice_that_is_worse_fails_though_all_rows_together_are_better) {
  const Golden golden{"t", "y", {"origin"}, "", 0.02};
  const auto better_but = judged(
      1000, noise, [](std::size_t i) { return i % 10 == 0 ? noise(i) * 1.5 : noise(i) * 0.8; });
  const auto result = check_golden(golden, better_but);
  EXPECT_TRUE(result.failed());
  EXPECT_THAT(result.reason, HasSubstr("origin=EWR"));
  EXPECT_LT(result.numbers.number("difference"), 0);
  // Too few of a slice to be judged.
  const auto small = judged(
      100, noise, [](std::size_t i) { return i % 10 == 0 ? noise(i) * 1.5 : noise(i) * 0.8; });
  EXPECT_EQ(check_golden(golden, small).verdict, Verdict::kPass);
}

TEST(Golden, What_is_none_is_refused_by_field_and_what_is_comes_back) {
  const auto refused = [](const char* text) {
    const auto read = Golden::from_json(*parse_json(text));
    EXPECT_FALSE(read) << text;
    return read ? "" : read.error().field;
  };
  EXPECT_EQ(refused(R"({"label": "y"})"), "golden.input");
  EXPECT_EQ(refused(R"({"input": "t"})"), "golden.label");
  EXPECT_EQ(refused(R"({"input": "t", "label": "y", "metric": "luck"})"), "golden.metric");
  EXPECT_EQ(refused(R"({"input": "t", "label": "y", "margin": -1})"), "golden.margin");
  const Golden golden{"t", "y", {"a", "b"}, "brier", 0.1};
  EXPECT_EQ(*Golden::from_json(golden.to_json()), golden);
  const std::vector<wire::sql_engine::ColumnInfo> columns = {{"y", "DOUBLE"}, {"a", "VARCHAR"}};
  const auto missing = check_columns(golden, columns);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().field, "golden.slices");
}

}  // namespace
}  // namespace strata::platform::release
