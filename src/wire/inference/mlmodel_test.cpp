#include "wire/inference/mlmodel.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

constexpr std::string_view kColumns = R"(flavors:
  lightgbm:
    data: model.lgb
    model_class: lightgbm.basic.Booster
    code: null
run_id: abc
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "long", "name": "distance", "required": true}, {"type": "double",
    "name": "wind", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
)";

TEST(MlModel, Columns_and_tensors_are_read_from_the_signature) {
  auto model = parse_mlmodel(kColumns);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->flavors.at("lightgbm").at("data"), "model.lgb");
  EXPECT_EQ(model->run_id, "abc");
  ASSERT_TRUE(model->inputs && model->outputs);
  EXPECT_EQ(model->inputs->columns[0].type, ColumnType::kLong);
  EXPECT_FALSE(model->inputs->columns[1].required);
  EXPECT_EQ(model->outputs->tensors[0].type, ElementType::kFp64);
  EXPECT_EQ(model->outputs->tensors[0].shape, (std::vector<std::int64_t>{-1}));
}

TEST(MlModel, Params_are_read_from_the_signature) {
  const auto with = [](std::string_view params) {
    return parse_mlmodel("flavors:\n  onnx:\n    data: m\nsignature:\n  params: '" +
                         std::string(params) + "'\n");
  };
  const auto model =
      with(R"([{"name":"k","type":"long","default":5,"shape":null},)"
           R"({"name":"steps","dtype":"float","default":[1.0],"shape":[-1]},)"
           R"({"name":"more","type":"object","properties":{},"default":{},"shape":null}])");
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->params.size(), 3U);
  EXPECT_EQ(model->params[0].name, "k");
  EXPECT_EQ(model->params[0].type, ColumnType::kLong);
  EXPECT_FALSE(model->params[0].list);
  EXPECT_EQ(model->params[1].type, ColumnType::kFloat);
  EXPECT_TRUE(model->params[1].list);
  EXPECT_FALSE(model->params[2].type.has_value());
  EXPECT_TRUE(parse_mlmodel(kColumns)->params.empty());
  EXPECT_EQ(with("{}").error().code, Code::kMalformed);
  EXPECT_EQ(with("[{\"name\":\"k\",\"type\":\"odd\"}]").error().code, Code::kUnsupported);
}

TEST(MlModel, A_model_without_signature_says_so) {
  auto model = parse_mlmodel("flavors:\n  onnx:\n    data: model.onnx\nsignature: null\n");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_FALSE(model->inputs);
}

TEST(MlModel, What_is_no_model_is_refused) {
  for (const std::string_view text :
       {"", "[1]", "flavors: 3", "a: {b", "flavors: {x: {}}\nsignature: {inputs: 'no json'}",
        "flavors: {x: {}}\nsignature: {inputs: '[{\"type\":\"tensor\"}]'}"}) {
    EXPECT_FALSE(parse_mlmodel(text)) << text;
  }
  auto nested = parse_mlmodel(
      "flavors: {x: {}}\nsignature: {inputs: '[{\"type\":\"array\",\"name\":\"tags\"}]'}");
  ASSERT_FALSE(nested);
  EXPECT_EQ(nested.error().code, Code::kUnsupported);
  EXPECT_NE(nested.error().message.find("tags"), std::string::npos);
}

}  // namespace
}  // namespace strata::wire
