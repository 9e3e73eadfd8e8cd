#include "engines/lightgbm/lightgbm.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/files.hpp"

namespace strata::engines::lightgbm {
namespace {

using wire::ElementType;
using wire::Tensor;

const std::filesystem::path kRoot = std::filesystem::path(__FILE__).parent_path() / "../../..";
const std::string kModel = kRoot / "tests/data/serving/lightgbm";
const std::string kLibrary = kRoot / "build/deps/lightgbm/lib_lightgbm.so";

Tensor matrix(std::vector<double> values) {
  Tensor tensor("input", ElementType::kFp64, {static_cast<std::int64_t>(values.size() / 3), 3});
  std::copy(values.begin(), values.end(), tensor.allocate<double>(values.size()).begin());
  return tensor;
}

// What lightgbm 4.7.0 answered in Python to these rows of distance, wind and origin.
const std::vector<double> kRows = {
    1472, 28.94903231939207, 0, 1584, 12.049086716655525, 0, 500, NAN, 1,
    2856, 25.40995111901189, 2};
const std::vector<double> kAnswers = {0x1.4d3ef6ca13eedp-1, 0x1.87a5c5269cf5dp-2,
                                      0x1.87a5c5269cf5dp-2, 0x1.4def07a6770e6p-1};

Result<std::unique_ptr<platform::inference::ModelRunner>> load(LightGbmEngine& engine,
                                                               const std::string& directory) {
  SystemFiles files;
  auto about = wire::parse_mlmodel(files.read_all(kModel + "/MLmodel").value_or(""));
  EXPECT_TRUE(about);
  return engine.load(directory, *about);
}

TEST(LightGbm, Answers_are_those_of_python_to_the_bit_alone_together_and_on_many_threads) {
  LightGbmEngine engine(kLibrary);
  auto runner = load(engine, kModel);
  ASSERT_TRUE(runner) << runner.error().message;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      std::vector<Tensor> all;
      all.push_back(matrix(kRows));
      auto together = (*runner)->run(all, {});
      ASSERT_TRUE(together) << together.error().message;
      for (std::size_t i = 0; i < kAnswers.size(); ++i) {
        EXPECT_EQ(together->at(0).as<double>()[i], kAnswers[i]);
        std::vector<Tensor> row;
        row.push_back(matrix({kRows[3 * i], kRows[3 * i + 1], kRows[3 * i + 2]}));
        auto alone = (*runner)->run(row, {});
        ASSERT_TRUE(alone);
        EXPECT_EQ(alone->at(0).as<double>()[0], kAnswers[i]);
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
}

TEST(LightGbm, The_interface_tells_features_and_categories) {
  LightGbmEngine engine(kLibrary);
  auto runner = load(engine, kModel);
  ASSERT_TRUE(runner) << runner.error().message;
  const auto& interface = (*runner)->interface();
  EXPECT_EQ(interface.features, (std::vector<std::string>{"distance", "wind", "origin"}));
  EXPECT_EQ(interface.categories, (std::vector<std::vector<std::string>>{{"EWR", "JFK", "LGA"}}));
  EXPECT_EQ(interface.inputs[0].shape, (std::vector<std::int64_t>{-1, 3}));
}

TEST(LightGbm, A_missing_library_or_model_is_an_error_that_says_so) {
  LightGbmEngine nowhere("/nonexistent/lib_lightgbm.so");
  auto closed = load(nowhere, kModel);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, Code::kUnavailable);
  LightGbmEngine engine(kLibrary);
  EXPECT_FALSE(load(engine, "/nonexistent"));
  wire::MlModel pickled;
  pickled.flavors["lightgbm"] = {{"data", "model.pkl"},
                                 {"model_class", "lightgbm.sklearn.LGBMClassifier"}};
  auto refused = engine.load(kModel, pickled);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("booster_"), std::string::npos);
}

}  // namespace
}  // namespace strata::engines::lightgbm
