#include "engines/xgboost/xgboost.hpp"

#include <cmath>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

namespace strata::engines::xgboost {
namespace {

using wire::ElementType;
using wire::Tensor;

const std::filesystem::path kRoot = std::filesystem::path(__FILE__).parent_path() / "../../..";
const std::string kModel = kRoot / "tests/data/serving/xgboost";
const std::string kFolder = kRoot / "build/deps/xgboost/";

Tensor matrix(std::vector<double> values) {
  Tensor tensor("input", ElementType::kFp64, {static_cast<std::int64_t>(values.size() / 3), 3});
  std::copy(values.begin(), values.end(), tensor.allocate<double>(values.size()).begin());
  return tensor;
}

// What xgboost 3.2.0 answered in Python to these rows.
const std::vector<double> kRows = {.1, .2, .3, .9, .9, .9, NAN, .5, .1};
const std::vector<float> kAnswers = {0x1.89367ap-1F, 0x1.84272ap-3F, 0x1.5bfbbep-5F,
                                     0x1.4a7062p-4F, 0x1.bd3ce4p-2F, 0x1.f02702p-2F,
                                     0x1.51a402p-1F, 0x1.1b6a84p-2F, 0x1.0535eap-4F};

Result<std::unique_ptr<platform::inference::ModelRunner>> load(
    XgBoostEngine& engine, const std::string& file,
    const std::string& model_class = "xgboost.core.Booster") {
  wire::MlModel model;
  model.flavors["xgboost"] = {{"data", file}, {"model_class", model_class}};
  return engine.load(kModel, model);
}

TEST(XgBoost, Answers_are_those_of_python_to_the_bit_alone_together_and_on_many_threads) {
  XgBoostEngine engine(kFolder + "libxgboost.so");
  for (const auto* file : {"model.ubj", "model.json"}) {
    auto runner = load(engine, file);
    ASSERT_TRUE(runner) << runner.error().message;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        std::vector<Tensor> all;
        all.push_back(matrix(kRows));
        auto together = (*runner)->run(all, {});
        ASSERT_TRUE(together) << together.error().message;
        EXPECT_EQ(together->at(0).shape, (std::vector<std::int64_t>{3, 3}));
        for (std::size_t i = 0; i < kAnswers.size(); ++i)
          EXPECT_EQ(together->at(0).as<float>()[i], kAnswers[i]);
        for (std::size_t r = 0; r < 3; ++r) {
          std::vector<Tensor> row;
          row.push_back(matrix({kRows[3 * r], kRows[3 * r + 1], kRows[3 * r + 2]}));
          auto alone = (*runner)->run(row, {});
          ASSERT_TRUE(alone);
          EXPECT_EQ(alone->at(0).as<float>()[0], kAnswers[3 * r]);
        }
      });
    }
    for (auto& thread : threads)
      thread.join();
  }
}

TEST(XgBoost, A_classifier_answers_labels_and_no_rows_give_no_answers) {
  XgBoostEngine engine(kFolder + "libxgboost.so");
  auto runner = load(engine, "model.ubj", "xgboost.sklearn.XGBClassifier");
  ASSERT_TRUE(runner) << runner.error().message;
  EXPECT_EQ((*runner)->interface().features, (std::vector<std::string>{"a", "b c", "d"}));
  std::vector<Tensor> all;
  all.push_back(matrix(kRows));
  const auto labels = (*runner)->run(all, {});
  ASSERT_TRUE(labels);
  const auto values = labels->at(0).as<std::int64_t>();
  EXPECT_EQ(std::vector(values.begin(), values.end()), (std::vector<std::int64_t>{0, 2, 0}));
  std::vector<Tensor> none;
  none.push_back(matrix({}));
  const auto empty = (*runner)->run(none, {});
  ASSERT_TRUE(empty) << empty.error().message;
  EXPECT_EQ(empty->at(0).count(), 0U);
}

TEST(XgBoost, Infinity_is_refused_as_a_dmatrix_refuses_it) {
  XgBoostEngine engine(kFolder + "libxgboost.so");
  auto runner = load(engine, "model.ubj");
  ASSERT_TRUE(runner) << runner.error().message;
  for (const double value : {HUGE_VAL, -HUGE_VAL, 1e300}) {
    std::vector<Tensor> row;
    row.push_back(matrix({value, 0, 0}));
    const auto refused = (*runner)->run(row, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  }
}

TEST(XgBoost, A_missing_library_or_model_is_an_error_that_says_so) {
  XgBoostEngine nowhere("/nonexistent/libxgboost.so");
  const auto closed = load(nowhere, "model.ubj");
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, Code::kUnavailable);
  XgBoostEngine engine(kFolder + "libxgboost.so");
  EXPECT_FALSE(load(engine, "other.ubj"));
  const auto old = load(engine, "model.xgb");
  ASSERT_FALSE(old);
  EXPECT_NE(old.error().message.find("model_format"), std::string::npos);
}

}  // namespace
}  // namespace strata::engines::xgboost
