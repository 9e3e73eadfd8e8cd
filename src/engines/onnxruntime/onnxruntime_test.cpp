#include "engines/onnxruntime/onnxruntime.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/files.hpp"
#include "runtime/loop.hpp"
#include "runtime/random.hpp"

namespace strata::engines::onnxruntime {
namespace {

using wire::ElementType;
using wire::Tensor;

const std::filesystem::path kRoot = std::filesystem::path(__FILE__).parent_path() / "../../..";
const std::string kModel = kRoot / "tests/data/serving/onnx";
const std::string kLibrary = kRoot / "build/deps/onnxruntime/libonnxruntime.so.1";

Result<std::unique_ptr<platform::inference::ModelRunner>> load(OnnxEngine& engine,
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
      auto outputs = (*runner)->run(inputs, {});
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
  auto refused = (*runner)->run(wrong, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("x"), std::string::npos);
  EXPECT_TRUE((*runner)->run(request(1), {}));
}

// A package of one graph of the parsers' corpus.
struct Package {
  explicit Package(const std::string& graph)
      : folder(testing::TempDir() + "onnx-" + SystemRandom().hex(8)) {
    std::filesystem::create_directories(folder);
    std::filesystem::copy_file(kRoot / "tests/corpus/onnx_graph" / graph, folder + "/model.onnx");
  }
  ~Package() { std::filesystem::remove_all(folder); }
  std::string folder;
};

// The bodies of these loops do next to nothing, and an optimizer would make some of them empty.
TEST(OnnxRuntime, A_loop_without_an_end_stops_when_it_is_asked_to) {
  OnnxEngine engine(kLibrary);
  for (const auto* graph : {"loop_plain", "loop_cast", "loop_dead"}) {
    const Package package(graph);
    auto runner = load(engine, package.folder);
    ASSERT_TRUE(runner) << graph << ": " << runner.error().message;
    EXPECT_FALSE((*runner)->interface().steady_cost);
    std::vector<Tensor> inputs;
    Tensor x("x", ElementType::kInt64, {1, 1});
    x.allocate<std::int64_t>(1)[0] = 1'000'000'000'000'000;
    inputs.push_back(std::move(x));
    std::stop_source stop;
    LoopGroup timer(1);
    timer.at(0).call_after(std::chrono::milliseconds(20),
                           [stop]() mutable { stop.request_stop(); });
    const auto ended = (*runner)->run(inputs, stop.get_token());
    ASSERT_FALSE(ended) << graph;
    EXPECT_EQ(ended.error().code, Code::kCancelled);
    inputs[0].allocate<std::int64_t>(1)[0] = 3;
    EXPECT_TRUE((*runner)->run(inputs, {})) << graph;
  }
}

TEST(OnnxRuntime, A_loop_that_could_not_be_stopped_is_not_opened) {
  OnnxEngine engine(kLibrary);
  for (const auto* graph : {"loop_empty", "loop_const"}) {
    const Package package(graph);
    EXPECT_FALSE(load(engine, package.folder)) << graph;
  }
}

TEST(OnnxRuntime, A_value_that_asks_for_all_memory_is_an_error_and_others_go_on) {
  OnnxEngine engine(kLibrary);
  const Package package("size_of_value");
  auto runner = load(engine, package.folder);
  ASSERT_TRUE(runner) << runner.error().message;
  const auto ask = [&](std::int64_t size) {
    std::vector<Tensor> inputs;
    Tensor x("x", ElementType::kInt64, {1});
    x.allocate<std::int64_t>(1)[0] = size;
    inputs.push_back(std::move(x));
    return (*runner)->run(inputs, {});
  };
  EXPECT_TRUE(ask(1000));
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES));
  // A third of the machine's memory, in floats: the kernel itself would grant that.
  EXPECT_FALSE(ask(pages * ::sysconf(_SC_PAGESIZE) / 3 / 4));
  EXPECT_TRUE(ask(1000));
}

}  // namespace
}  // namespace strata::engines::onnxruntime
