#include "wire/inference/oip.hpp"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace strata::wire {
namespace {

Result<OipRequest> decode(std::string body, std::optional<std::size_t> header = {}) {
  return decode_oip_request(std::make_shared<const std::string>(std::move(body)), header);
}

std::string input(std::string_view rest) {
  return R"({"inputs":[{"name":"x",)" + std::string(rest) + "}]}";
}

void expect_refused(const std::string& body, std::string_view names,
                    std::optional<std::size_t> header = {}) {
  const auto request = decode(body, header);
  ASSERT_FALSE(request) << body;
  EXPECT_NE(request.error().message.find(names), std::string::npos) << request.error().message;
  EXPECT_TRUE(is_utf8(request.error().message)) << body;
}

TEST(OipRequest, Flat_and_nested_data_give_the_same_tensor) {
  for (const auto* data : {"[1,2,3,4]", "[[1,2],[3,4]]"}) {
    auto request = decode(input(R"("shape":[2,2],"datatype":"FP64","data":)" + std::string(data)));
    ASSERT_TRUE(request) << request.error().message;
    const auto values = request->inputs.at(0).as<double>();
    EXPECT_EQ(std::vector<double>(values.begin(), values.end()), (std::vector<double>{1, 2, 3, 4}));
  }
}

TEST(OipRequest, Members_may_come_in_any_order) {
  auto request =
      decode(R"({"inputs":[{"data":[7],"datatype":"INT64","shape":[1],"name":"x"}],"id":"a"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->inputs[0].as<std::int64_t>()[0], 7);
  EXPECT_EQ(request->id, "a");
}

TEST(OipRequest, Large_integers_and_named_numbers_survive) {
  auto request = decode(
      input(R"("shape":[2],"datatype":"UINT64","data":[18446744073709551615,9007199254740993])"));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->inputs[0].as<std::uint64_t>()[0], 18446744073709551615U);
  EXPECT_EQ(request->inputs[0].as<std::uint64_t>()[1], 9007199254740993U);
  auto floats =
      decode(input(R"("shape":[4],"datatype":"FP32","data":[NaN,"NaN",-Infinity,"Infinity"])"));
  ASSERT_TRUE(floats) << floats.error().message;
  EXPECT_TRUE(std::isnan(floats->inputs[0].as<float>()[1]));
  EXPECT_LT(floats->inputs[0].as<float>()[2], 0);
}

TEST(OipRequest, Binary_tensors_follow_the_header_in_the_order_of_the_inputs) {
  const std::string header = R"({"inputs":[{"name":"a","shape":[1],"datatype":"FP64",)"
                             R"("parameters":{"binary_data_size":8}},)"
                             R"({"name":"b","shape":[2],"datatype":"BYTES",)"
                             R"("parameters":{"binary_data_size":11}}],)"
                             R"("parameters":{"binary_data_output":true}})";
  const double value = 0.1;
  std::string body = header;
  body.append(reinterpret_cast<const char*>(&value), 8);
  body += std::string("\x03\0\0\0abc\0\0\0\0", 11);
  auto request = decode(body, header.size());
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->inputs[0].as<double>()[0], 0.1);
  EXPECT_EQ(request->inputs[1].texts, (std::vector<std::string>{"abc", ""}));
  EXPECT_TRUE(request->binary_outputs);
}

TEST(OipRequest, Empty_tensors_and_scalars_are_legal) {
  EXPECT_TRUE(decode(input(R"("shape":[0,4],"datatype":"FP32","data":[])")));
  EXPECT_TRUE(decode(input(R"("shape":[2,0],"datatype":"FP32","data":[[],[]])")));
  EXPECT_TRUE(decode(input(R"("shape":[],"datatype":"FP32","data":[1])")));
}

TEST(OipRequest, Malformed_bodies_are_refused_naming_the_field) {
  expect_refused("", "body");
  expect_refused("[]", "object");
  expect_refused("{}", "inputs");
  expect_refused(R"({"inputs":[]})", "inputs");
  expect_refused(R"({"inputs":{}})", "array");
  expect_refused(input(R"("shape":[-1],"datatype":"FP32","data":[1])"), "input 'x'");
  expect_refused(input(R"("shape":[4294967296,4294967296],"datatype":"FP32","data":[1])"), "shape");
  expect_refused(input(R"("shape":[1000000000000],"datatype":"FP32","data":[1])"), "shape");
  expect_refused(input(R"("shape":[1.5],"datatype":"FP32","data":[1])"), "shape");
  expect_refused(input(R"("shape":[3],"datatype":"FP32","data":[1,2])"), "needs 3 elements");
  expect_refused(input(R"("shape":[1],"datatype":"FP32","data":[1,2])"), "has more");
  expect_refused(input(R"("shape":[2,2],"datatype":"FP32","data":[[1,2,3],[4]])"), "ragged");
  expect_refused(input(R"("shape":[2,2],"datatype":"FP32","data":[[1,2],3,4])"), "ragged");
  expect_refused(input(R"("shape":[2],"datatype":"FP32","data":[[1],[2]])"), "nested");
  expect_refused(input(R"("shape":[1],"datatype":"FP32","data":["a"])"), "element 0");
  expect_refused(input(R"("shape":[1],"datatype":"FP32","data":[null])"), "element 0");
  expect_refused(input(R"("shape":[1],"datatype":"INT64","data":[1.5])"), "element 0");
  expect_refused(input(R"("shape":[1],"datatype":"INT8","data":[300])"), "element 0");
  expect_refused(input(R"("shape":[1],"datatype":"BYTES","data":[1])"), "element 0");
  expect_refused(input(R"("shape":[1],"datatype":"FP16","data":[1])"), "FP16");
  expect_refused(input(R"("shape":[1],"datatype":"FP99","data":[1])"), "datatype");
  expect_refused(input(R"("shape":[1],"datatype":"FP32")"), "neither");
  expect_refused(input(R"("shape":[1],"datatype":"FP32","data":[1e999])"), "too large");
  expect_refused("{\"inputs\":[{\"name\":\"\xff\"}]}", "UTF-8");
  expect_refused(input(R"("shape":[1],"datatype":"FP32","data":[1])") + "x", "behind");
  expect_refused(std::string(200, '['), "object");
  expect_refused(R"({"a":)" + std::string(200, '[') + "}", "deeper");
}

TEST(OipRequest, Binary_sizes_must_add_up) {
  const auto with = [](int declared, std::size_t sent) {
    const std::string header =
        input(R"("shape":[2],"datatype":"FP32","parameters":{"binary_data_size":)" +
              std::to_string(declared) + "}");
    return std::pair(header + std::string(sent, '\0'), header.size());
  };
  for (const auto& [declared, sent, names] :
       {std::tuple(8, 4, "left in the body"), std::tuple(8, 12, "follow"),
        std::tuple(4, 4, "needs 2 elements"), std::tuple(-8, 8, "from 0 up")}) {
    const auto [body, header] = with(declared, static_cast<std::size_t>(sent));
    expect_refused(body, names, header);
  }
}

TEST(OipRequest, A_header_length_that_is_left_over_hides_no_error) {
  expect_refused(input(R"("shape":[1],"datatype":"INT64","data":[1.5])"), "element 0", 9999);
  expect_refused("{}", "inputs", 9999);
  expect_refused(R"({"inputs":[)", "Inference-Header-Content-Length: is 9999", 9999);
}

TEST(OipAnswer, Outputs_come_as_asked) {
  std::vector<Tensor> outputs;
  auto& tensor = outputs.emplace_back("y", ElementType::kFp32, std::vector<std::int64_t>{3});
  const auto values = tensor.allocate<float>(3);
  values[0] = 0.1F;
  values[1] = NAN;
  values[2] = 2;
  OipRequest plain;
  auto answer = encode_oip_answer("m", "3", plain, outputs);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body,
            R"({"model_name":"m","model_version":"3","outputs":[{"name":"y","datatype":"FP32",)"
            R"("shape":[3],"data":[0.1,NaN,2.0]}]})");
  OipRequest binary;
  binary.outputs.push_back({"y", true});
  answer = encode_oip_answer("m", "3", binary, outputs);
  ASSERT_TRUE(answer && answer->header_length);
  EXPECT_EQ(answer->body.size(), *answer->header_length + 12);
  OipRequest wrong;
  wrong.outputs.push_back({"z", {}});
  EXPECT_FALSE(encode_oip_answer("m", "3", wrong, outputs));
}

}  // namespace
}  // namespace strata::wire
