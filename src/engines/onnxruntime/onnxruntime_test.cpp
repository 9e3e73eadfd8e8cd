#include "engines/onnxruntime/onnxruntime.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/files.hpp"

namespace strata::engines::onnxruntime {
namespace {

using wire::ElementType;
using wire::Tensor;

const std::filesystem::path kRoot = std::filesystem::path(__FILE__).parent_path() / "../../..";
const std::string kModel = kRoot / "tests/data/serving/onnx";
const std::string kLibrary = kRoot / "build/deps/onnxruntime/libonnxruntime.so.1";

Result<std::unique_ptr<platform::deployment::ModelRunner>> load(OnnxEngine& engine,
                                                                const std::string& directory) {
  SystemFiles files;
  auto about = wire::parse_mlmodel(files.read_all(kModel + "/MLmodel").value_or(""));
  EXPECT_TRUE(about);
  return engine.load(directory, *about);
}

std::vector<Tensor> request(std::int64_t rows) {
  std::vector<Tensor> inputs;
  Tensor x("x", ElementType::kFp32, {rows, 3});
  float next = 1;
  for (auto& v : x.allocate<float>(static_cast<std::size_t>(rows * 3)))
    v = next++;
  Tensor t("t", ElementType::kText, {rows});
  for (std::int64_t i = 0; i < rows; ++i)
    t.texts.push_back("row " + std::to_string(i));
  inputs.push_back(std::move(x));
  inputs.push_back(std::move(t));
  return inputs;
}

// The graph: y = x @ [[1,2],[3,4],[5,6]] with its weights in a file beside it, t_out = t, whole =
// int64(x). It uses every call of the table except those that only tell of errors, so a place that
// were wrong would show here.
TEST(OnnxRuntime, Numbers_and_texts_go_in_and_come_out_on_many_threads) {
  OnnxEngine engine(kLibrary);
  auto runner = load(engine, kModel);
  ASSERT_TRUE(runner) << runner.error().message;
  std::vector<std::thread> threads;
  for (int n = 0; n < 3; ++n) {
    threads.emplace_back([&] {
      const auto inputs = request(2);
      auto outputs = (*runner)->run(inputs);
      ASSERT_TRUE(outputs) << outputs.error().message;
      const auto y = outputs->at(0).as<float>();
      EXPECT_EQ(std::vector<float>(y.begin(), y.end()), (std::vector<float>{22, 28, 49, 64}));
      EXPECT_EQ(outputs->at(1).texts, inputs[1].texts);
      EXPECT_EQ(outputs->at(2).type, ElementType::kInt64);
      EXPECT_EQ(outputs->at(2).as<std::int64_t>()[5], 6);
    });
  }
  for (auto& thread : threads)
    thread.join();
}

TEST(OnnxRuntime, The_interface_is_the_graphs_own) {
  OnnxEngine engine(kLibrary);
  auto runner = load(engine, kModel);
  ASSERT_TRUE(runner) << runner.error().message;
  const auto& interface = (*runner)->interface();
  ASSERT_EQ(interface.inputs.size(), 2U);
  EXPECT_EQ(interface.inputs[0].name, "x");
  EXPECT_EQ(interface.inputs[0].shape, (std::vector<std::int64_t>{-1, 3}));
  EXPECT_EQ(interface.inputs[1].type, ElementType::kText);
  EXPECT_EQ(interface.outputs[2].name, "whole");
}

TEST(OnnxRuntime, Faults_are_errors_with_the_librarys_words_and_leave_it_usable) {
  OnnxEngine engine(kLibrary);
  EXPECT_FALSE(load(engine, "/nonexistent"));
  auto runner = load(engine, kModel);
  ASSERT_TRUE(runner) << runner.error().message;
  std::vector<Tensor> wrong;
  Tensor x("x", ElementType::kFp32, {1, 2});
  x.allocate<float>(2);
  wrong.push_back(std::move(x));
  wrong.push_back(std::move(request(1)[1]));
  auto refused = (*runner)->run(wrong);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("x"), std::string::npos);
  EXPECT_TRUE((*runner)->run(request(1)));
}

}  // namespace
}  // namespace strata::engines::onnxruntime
