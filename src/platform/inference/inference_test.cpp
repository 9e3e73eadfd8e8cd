#include "platform/inference/inference.hpp"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace strata::platform::inference {
namespace {

using wire::ColumnType;
using wire::ElementType;
using wire::Tensor;

// A tree model of three columns, one of them a category.
ModelInterface trees() {
  ModelInterface interface;
  interface.inputs = {{"input", ElementType::kFp64, {-1, 3}}};
  interface.outputs = {{"predict", ElementType::kFp64, {-1}}};
  interface.bare_output = true;
  interface.features = {"distance", "wind_speed", "origin"};
  interface.categories = {{"EWR", "JFK"}};
  return interface;
}

wire::MlModel signed_model() {
  wire::MlModel model;
  model.inputs.emplace();
  model.inputs->columns = {{"distance", ColumnType::kLong, true},
                           {"wind speed", ColumnType::kDouble, true},
                           {"origin", ColumnType::kString, true}};
  return model;
}

Result<Inputs> bound(const Binding& binding, std::string_view body,
                     std::string_view type = "application/json") {
  auto request = wire::decode_scoring(body, type);
  EXPECT_TRUE(request) << request.error().message;
  return binding.bind(*request);
}

std::vector<double> matrix(const Binding& binding, const Inputs& inputs) {
  auto taken = binding.to_runner(inputs);
  EXPECT_TRUE(taken) << taken.error().message;
  const auto values = taken->at(0).as<double>();
  return {values.begin(), values.end()};
}

TEST(Binding, All_payload_forms_become_the_same_matrix_in_the_signatures_order) {
  auto binding = Binding::make(signed_model(), trees());
  ASSERT_TRUE(binding) << binding.error().message;
  const std::vector<double> expected = {100, 0.1, 1, 200, -2, 0};
  for (const auto* body :
       {R"({"dataframe_split":{"columns":["origin","wind speed","distance"],
               "data":[["JFK",0.1,100],["EWR",-2,200]]}})",
        R"({"dataframe_records":[{"distance":100,"wind speed":0.1,"origin":"JFK","more":1},
               {"origin":"EWR","distance":200.0,"wind speed":-2}]})",
        R"({"inputs":{"distance":[100,200],"origin":["JFK","EWR"],"wind speed":[0.1,-2]}})",
        R"({"instances":[[100,0.1,"JFK"],[200,-2,"EWR"]]})"}) {
    auto inputs = bound(*binding, body);
    ASSERT_TRUE(inputs) << inputs.error().message << body;
    EXPECT_EQ(inputs->rows, 2U);
    EXPECT_EQ(matrix(*binding, *inputs), expected) << body;
  }
  auto csv = bound(*binding, "origin,distance,wind speed\nJFK,100,0.1\nEWR,200,-2\n", "text/csv");
  ASSERT_TRUE(csv) << csv.error().message;
  EXPECT_EQ(matrix(*binding, *csv), expected);
}

TEST(Binding, Unknown_categories_and_missing_numbers_are_nan) {
  auto binding = Binding::make(signed_model(), trees());
  ASSERT_TRUE(binding);
  auto inputs =
      bound(*binding, R"({"dataframe_records":[{"distance":1,"wind speed":null,"origin":"ORD"}]})");
  ASSERT_TRUE(inputs) << inputs.error().message;
  const auto values = matrix(*binding, *inputs);
  EXPECT_TRUE(std::isnan(values[1]) && std::isnan(values[2]));
}

TEST(Binding, Values_that_do_not_fit_are_refused_naming_column_and_row) {
  auto binding = Binding::make(signed_model(), trees());
  ASSERT_TRUE(binding);
  for (const auto& [row, name] :
       {std::pair(R"({"distance":1.5,"wind speed":1,"origin":"EWR"})", "'distance', row 1"),
        std::pair(R"({"distance":null,"wind speed":1,"origin":"EWR"})", "'distance', row 1"),
        std::pair(R"({"distance":"1","wind speed":1,"origin":"EWR"})", "'distance', row 1"),
        std::pair(R"({"distance":1e300,"wind speed":1,"origin":"EWR"})", "'distance', row 1"),
        std::pair(R"({"distance":1,"wind speed":1,"origin":5})", "'origin', row 1")}) {
    auto inputs =
        bound(*binding, R"({"dataframe_records":[{"distance":1,"wind speed":1,"origin":"EWR"},)" +
                            std::string(row) + "]}");
    ASSERT_FALSE(inputs) << row;
    EXPECT_NE(inputs.error().message.find(name), std::string::npos) << inputs.error().message;
  }
  auto missing = bound(*binding, R"({"dataframe_records":[{"distance":1,"origin":"EWR"}]})");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("wind speed"), std::string::npos);
  EXPECT_FALSE(bound(*binding, R"({"instances":[[1,2]]})"));
}

TEST(Binding, Tensors_come_by_name_or_as_one_matrix) {
  ModelInterface interface = trees();
  interface.categories.clear();
  wire::MlModel model = signed_model();
  model.inputs->columns[2].type = ColumnType::kFloat;
  auto binding = Binding::make(model, interface);
  ASSERT_TRUE(binding) << binding.error().message;
  const auto column = [](const char* name, double value) {
    Tensor tensor(name, ElementType::kFp64, {1, 1});
    tensor.allocate<double>(1)[0] = value;
    return tensor;
  };
  std::vector<Tensor> named;
  named.push_back(column("origin", 0.1));
  named.push_back(column("wind speed", 0.1));
  named.push_back(column("distance", 7));
  auto inputs = binding->bind(std::move(named));
  ASSERT_TRUE(inputs) << inputs.error().message;
  // A float column holds what a float can hold.
  EXPECT_EQ(matrix(*binding, *inputs), (std::vector<double>{7, 0.1, static_cast<double>(0.1F)}));
  Tensor whole("anything", ElementType::kFp64, {1, 3});
  const auto cells = whole.allocate<double>(3);
  cells[0] = 7.5;
  std::vector<Tensor> one;
  one.push_back(std::move(whole));
  auto refused = binding->bind(std::move(one));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("distance"), std::string::npos);
}

TEST(Binding, A_signature_that_does_not_fit_the_model_is_refused_with_the_way_out) {
  wire::MlModel unsigned_model;
  auto none = Binding::make(unsigned_model, trees());
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("infer_signature"), std::string::npos);
  auto swapped = signed_model();
  std::swap(swapped.inputs->columns[0], swapped.inputs->columns[1]);
  auto order = Binding::make(swapped, trees());
  ASSERT_FALSE(order);
  EXPECT_NE(order.error().message.find("'distance'"), std::string::npos);
  auto interface = trees();
  interface.categories.clear();
  EXPECT_FALSE(Binding::make(signed_model(), interface));
  auto dated = signed_model();
  dated.inputs->columns[0].type = ColumnType::kDatetime;
  EXPECT_FALSE(Binding::make(dated, trees()));
}

TEST(Binding, An_absent_optional_column_is_missing_in_every_row) {
  auto model = signed_model();
  model.inputs->columns[0].required = false;
  auto binding = Binding::make(model, trees());
  ASSERT_TRUE(binding);
  auto inputs = bound(*binding, R"({"dataframe_records":[{"wind speed":1,"origin":"EWR"}]})");
  ASSERT_TRUE(inputs) << inputs.error().message;
  EXPECT_TRUE(std::isnan(matrix(*binding, *inputs)[0]));
}

TEST(Binding, Params_fit_the_signature_by_mlflows_rules) {
  auto model = signed_model();
  model.params = {{"k", ColumnType::kLong, false},       {"rate", ColumnType::kDouble, false},
                  {"deep", ColumnType::kBoolean, false}, {"name", ColumnType::kString, false},
                  {"at", ColumnType::kDatetime, false},  {"steps", ColumnType::kLong, true},
                  {"more", std::nullopt, false}};
  const auto with = Binding::make(model, trees());
  const auto without = Binding::make(signed_model(), trees());
  ASSERT_TRUE(with && without);
  const auto body = [](std::string_view params) {
    return fmt::format(R"({{"instances":[[100,0.1,"JFK"]],"params":{}}})", params);
  };
  for (const auto* fine :
       {"{}", "null", R"({"k":7})", R"({"k":null})", R"({"rate":7})", R"({"rate":NaN})",
        R"({"deep":true})", R"({"name":"z"})", R"({"at":"2026-11-22T15:04:05"})", R"({"steps":[]})",
        R"({"steps":[1,2]})", R"({"more":{"a":[1]}})", R"({"other":[[{}]]})",
        R"({"k":"z","k":7})"}) {
    EXPECT_TRUE(bound(*with, body(fine))) << fine;
  }
  for (const auto& [wrong, name] :
       {std::pair(R"({"k":"z"})", "params.k"), std::pair(R"({"k":7.0})", "params.k"),
        std::pair(R"({"k":true})", "params.k"), std::pair(R"({"k":[7]})", "params.k"),
        std::pair(R"({"k":{}})", "params.k"), std::pair(R"({"rate":"1"})", "params.rate"),
        std::pair(R"({"deep":1})", "params.deep"), std::pair(R"({"name":1})", "params.name"),
        std::pair(R"({"at":"later"})", "params.at"), std::pair(R"({"at":5})", "params.at"),
        std::pair(R"({"steps":1})", "params.steps"),
        std::pair(R"({"steps":["a"]})", "params.steps"),
        std::pair(R"({"steps":[[1]]})", "params.steps"),
        std::pair(R"({"more":1})", "params.more")}) {
    const auto refused = bound(*with, body(wrong));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
    EXPECT_EQ(refused.error().field, name);
    EXPECT_TRUE(bound(*without, body(wrong))) << "a signature without params heeds none";
  }
}

}  // namespace
}  // namespace strata::platform::inference
