#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "platform/inference/model_trial.hpp"

namespace strata::platform::inference {
namespace {

using wire::ElementType;
using wire::Tensor;

ModelInterface graph(std::vector<wire::TensorSpec> inputs) {
  ModelInterface interface;
  interface.inputs = std::move(inputs);
  interface.outputs = {{"y", ElementType::kFp64, {-1}}};
  return interface;
}

// Answers by a function of all its inputs and of how often it was asked.
class FunctionRunner final : public ModelRunner {
 public:
  using Function = std::function<Result<double>(std::span<const Tensor>, int)>;
  FunctionRunner(ModelInterface interface, Function function)
      : interface_(std::move(interface)),
        function_(std::move(function)) {}
  const ModelInterface& interface() const override { return interface_; }
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                  const std::stop_token& stop) const override {
    if (stop.stop_requested()) return Error(Code::kCancelled, "stopped");
    const auto value = function_(inputs, asked_++);
    if (!value) return value.error();
    Tensor out("y", ElementType::kFp64, {1});
    out.allocate<double>(1)[0] = *value;
    std::vector<Tensor> outputs;
    outputs.push_back(std::move(out));
    return outputs;
  }

 private:
  ModelInterface interface_;
  Function function_;
  mutable int asked_ = 0;
};

wire::MlModel model_of(const std::string& columns) {
  auto model = wire::parse_mlmodel("flavors: {f: {}}\nsignature:\n  inputs: '" + columns + "'\n");
  EXPECT_TRUE(model) << model.error().message;
  return *std::move(model);
}

constexpr const char* kColumns =
    R"([{"type":"double","name":"x"},{"type":"long","name":"n","required":false},)"
    R"({"type":"integer","name":"i"},{"type":"boolean","name":"b"},{"type":"string","name":"s"}])";

std::vector<wire::TensorSpec> inputs_of_columns() {
  return {{"x", ElementType::kFp64, {-1}},
          {"n", ElementType::kFp64, {-1}},
          {"i", ElementType::kInt32, {-1}},
          {"b", ElementType::kBool, {-1}},
          {"s", ElementType::kText, {-1}}};
}

TEST(Probe, Legal_requests_reach_the_ends_of_every_type_and_leave_out_only_what_may_be_missing) {
  const auto binding = Binding::make(model_of(kColumns), graph(inputs_of_columns()));
  ASSERT_TRUE(binding) << binding.error().message;
  int huge = 0, least = 0, most = 0, missing = 0, empty = 0, known = 0, truths = 0;
  const std::vector<std::vector<std::string>> categories = {{"JFK"}};
  for (std::uint64_t number = 0; number < 300; ++number) {
    const auto inputs = legal_request(*binding, categories, number);
    ASSERT_TRUE(inputs) << number << ": " << inputs.error().message;
    ASSERT_EQ(inputs->rows, 1U);
    const double x = inputs->tensors[0].as<double>()[0], n = inputs->tensors[1].as<double>()[0];
    const auto i = inputs->tensors[2].as<std::int32_t>()[0];
    EXPECT_TRUE(std::isfinite(x));  // required, so it is there
    EXPECT_LE(inputs->tensors[3].as<std::uint8_t>()[0], 1);
    EXPECT_TRUE(std::isnan(n) || n == std::floor(n));
    huge += std::abs(x) >= 1e30 ? 1 : 0;
    least += i == std::numeric_limits<std::int32_t>::min() ? 1 : 0;
    most += i == std::numeric_limits<std::int32_t>::max() ? 1 : 0;
    missing += std::isnan(n) ? 1 : 0;
    empty += inputs->tensors[4].texts[0].empty() ? 1 : 0;
    known += inputs->tensors[4].texts[0] == "JFK" ? 1 : 0;
    truths += inputs->tensors[3].as<std::uint8_t>()[0];
  }
  for (const int count : {huge, least, most, missing, empty, known, truths})
    EXPECT_TRUE(count > 3 && count < 297) << count;
}

TEST(Probe, A_column_is_asked_with_the_same_value_whatever_stands_beside_it) {
  const auto wide = Binding::make(model_of(kColumns), graph(inputs_of_columns()));
  const auto narrow = Binding::make(model_of(R"([{"type":"double","name":"x"}])"),
                                    graph({{"x", ElementType::kFp64, {-1}}}));
  ASSERT_TRUE(wide && narrow);
  for (std::uint64_t number = 0; number < 50; ++number) {
    const auto a = legal_request(*wide, {}, number), b = legal_request(*narrow, {}, number);
    ASSERT_TRUE(a && b);
    EXPECT_TRUE(wire::same_bits(a->tensors[0], b->tensors[0]));
  }
}

TEST(Probe, Tensors_of_every_type_get_a_row_of_legal_values) {
  std::vector<wire::TensorSpec> specs;
  for (const auto* name : {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32",
                           "INT64", "FP16", "FP32", "FP64", "BYTES"}) {
    specs.push_back({name, *wire::parse_element_name(name), {-1, 2, -1}});
  }
  const auto binding = Binding::make(wire::MlModel{}, graph(specs));
  ASSERT_TRUE(binding) << binding.error().message;
  for (std::uint64_t number = 0; number < 50; ++number) {
    const auto inputs = legal_request(*binding, {}, number);
    ASSERT_TRUE(inputs) << inputs.error().message;
    for (const auto& tensor : inputs->tensors) {
      EXPECT_EQ(tensor.shape[0], 1);
      EXPECT_EQ(tensor.shape[1], 2);
      EXPECT_TRUE(wire::all_finite(tensor)) << tensor.name;
      const auto held = tensor.type == ElementType::kText
                            ? tensor.texts.size()
                            : tensor.bytes().size() / wire::element_bytes(tensor.type);
      EXPECT_EQ(held, tensor.count());
    }
  }
}

TEST(Probe, Each_fault_has_its_letter_and_the_first_failure_tells_what_was_asked) {
  const auto interface = graph({{"x", ElementType::kFp64, {-1}}});
  const auto binding = Binding::make(model_of(R"([{"type":"double","name":"x"}])"), interface);
  ASSERT_TRUE(binding);
  const FunctionRunner runner(interface,
                              [](std::span<const Tensor> in, int asked) -> Result<double> {
                                const double x = in[0].as<double>()[0];
                                if (x > 1e3) return Error(Code::kInvalidArgument, "too large");
                                if (x < -1e3) return std::numeric_limits<double>::quiet_NaN();
                                if (x == 0) return asked;
                                return x;
                              });
  const auto report = probe(*binding, runner, 200, {});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->cases.size(), 200U);
  for (std::size_t i = 0; i < 200; ++i) {
    const double x = legal_request(*binding, {}, i)->tensors[0].as<double>()[0];
    EXPECT_EQ(report->cases[i], x > 1e3 ? 'f' : x < -1e3 ? 'n' : x == 0 ? 'd' : '.') << x;
  }
  for (const char letter : {'.', 'f', 'n', 'd'})
    EXPECT_NE(report->cases.find(letter), std::string::npos) << letter;
  EXPECT_TRUE(report->failure.starts_with("too large (asked x=")) << report->failure;
  const auto again = ProbeReport::parse(report->to_text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cases, report->cases);
  EXPECT_EQ(again->failure, report->failure);
  EXPECT_FALSE(ProbeReport::parse("no report"));
  EXPECT_FALSE(ProbeReport::parse("{}"));
}

TEST(Probe, It_ends_when_it_is_stopped) {
  const auto interface = graph({{"x", ElementType::kFp64, {-1}}});
  const auto binding = Binding::make(model_of(R"([{"type":"double","name":"x"}])"), interface);
  std::stop_source stop;
  const FunctionRunner runner(interface, [&](std::span<const Tensor>, int asked) -> Result<double> {
    if (asked == 3) stop.request_stop();
    return 1.0;
  });
  const auto report = probe(*binding, runner, 200, stop.get_token());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kCancelled);
}

}  // namespace
}  // namespace strata::platform::inference
