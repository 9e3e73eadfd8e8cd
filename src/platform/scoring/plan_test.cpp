#include "platform/scoring/plan.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::platform::scoring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

inference::Contract contract() {
  inference::Contract made;
  made.columns = {{"wind", wire::ColumnType::kDouble, wire::ElementType::kFp64, true},
                  {"hour", wire::ColumnType::kInteger, wire::ElementType::kInt32, true},
                  {"note", wire::ColumnType::kString, wire::ElementType::kText, false}};
  made.outputs = {{"y", wire::ElementType::kFp64, {-1}}};
  return made;
}

const std::vector<ColumnInfo> kInput = {
    {"id", "HUGEINT"}, {"hour", "INTEGER"}, {"wind", "DECIMAL(6,2)"}};

Draft draft() {
  Draft made;
  made.model = "models:/m@live";
  made.input = "s.\"t";
  made.output = "scored";
  return made;
}

TEST(ScoringPlan, Features_stand_in_the_models_order_and_names_are_quoted) {
  const auto plan = make_plan(draft(), contract(), kInput);
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->features,
              ElementsAre(ColumnInfo{"wind", "DECIMAL(6,2)"}, ColumnInfo{"hour", "INTEGER"}));
  EXPECT_THAT(plan->required, ElementsAre("hour"));
  EXPECT_THAT(copy_sql(draft(), *plan), HasSubstr("CAST(\"id\" AS VARCHAR)"));
  EXPECT_THAT(copy_sql(draft(), *plan), HasSubstr("FROM \"s\".\"\"\"t\""));
  EXPECT_THAT(read_sql(*plan), HasSubstr("CAST(\"wind\" AS DOUBLE), \"hour\""));
  const auto sql = commit_sql(draft(), *plan, 2, {"m'", "3", "sha256:1"});
  EXPECT_THAT(sql,
              HasSubstr("CREATE TABLE \"main\".\"scored\" AS SELECT CAST(i.\"id\" AS HUGEINT)"));
  EXPECT_THAT(sql, HasSubstr("'m''' AS model"));
  EXPECT_THAT(sql, HasSubstr("predictions-1.parquet"));
}

TEST(ScoringPlan, Columns_that_are_missing_of_another_type_or_twice_are_refused) {
  auto input = kInput;
  input[2] = {"winds", "DOUBLE"};
  const auto missing = make_plan(draft(), contract(), input);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("did you mean 'winds'"));
  input[2] = {"wind", "DATE"};
  EXPECT_FALSE(make_plan(draft(), contract(), input));
  auto twice = draft();
  twice.prediction = "ID";
  const auto clash = make_plan(twice, contract(), kInput);
  ASSERT_FALSE(clash);
  EXPECT_EQ(clash.error().field, "keep");
}

TEST(ScoringPlan, Rows_are_the_same_in_whatever_pieces_they_come) {
  const std::string answer = R"({"columns":[{"name":"a"}],"rows":[[0,"x],[\"",1.5],[1,null,[2]],)"
                             R"([2,"\\",-3]],"row_count":3})";
  for (std::size_t size = 1; size <= answer.size(); ++size) {
    RowReader reader;
    for (std::size_t at = 0; at < answer.size(); at += size)
      ASSERT_TRUE(reader.add(std::string_view(answer).substr(at, size)));
    EXPECT_EQ(reader.seen(), 3U);
    EXPECT_FALSE(reader.take(4, 1000, false));
    const auto batch = reader.take(4, 1000, true);
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->count, 3U);
    EXPECT_EQ(batch->rows, R"(["x],[\"",1.5],[null,[2]],["\\",-3])");
    EXPECT_FALSE(reader.take(4, 1000, true));
  }
}

TEST(ScoringPlan, Rows_out_of_order_are_an_error) {
  RowReader reader;
  EXPECT_FALSE(reader.add(R"({"rows":[[0,1],[2,1]]})"));
}

TEST(ScoringPlan, What_json_cannot_say_of_numbers_is_restored) {
  Plan plan;
  plan.features = {{"a", "DOUBLE"}, {"b", "VARCHAR"}};
  RowBatch batch{0, 2, R"(["NaN","NaN"],["-Infinity","x"])"};
  auto request = wire::decode_scoring(payload_of(plan, batch), "application/json");
  ASSERT_TRUE(request);
  restore_numbers(*request, plan);
  using Kind = wire::ScoringCell::Kind;
  ASSERT_EQ(request->arrays.size(), 2U);
  EXPECT_TRUE(std::isnan(request->arrays[0].cells[0].number));
  EXPECT_EQ(request->arrays[0].cells[1].number, -INFINITY);
  EXPECT_EQ(request->arrays[1].cells[0].kind, Kind::kText);
}

TEST(ScoringPlan, Predictions_hold_one_value_or_list_for_each_row) {
  Predictions predictions({"y", "p"});
  std::vector<wire::Tensor> outputs;
  auto& y = outputs.emplace_back("y", wire::ElementType::kFp64, std::vector<std::int64_t>{2, 1});
  y.allocate<double>(2)[1] = 0.1;
  auto& p = outputs.emplace_back("p", wire::ElementType::kFp32, std::vector<std::int64_t>{2, 3});
  p.allocate<float>(6)[5] = 2;
  ASSERT_TRUE(predictions.add({7, 2, ""}, outputs));
  ASSERT_FALSE(Predictions({"y", "p"}).add({9, 3, ""}, outputs));
  const auto table = wire::decode_parquet(predictions.take());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->columns[2].lengths, (std::vector<std::uint32_t>{3, 3}));
  EXPECT_EQ(predictions.rows(), 0U);
}

TEST(ScoringPlan, A_copy_of_other_types_than_the_plan_was_made_for_is_refused_by_column) {
  Plan plan;
  plan.columns = {
      {"x", "DOUBLE"}, {"kind", "ENUM('a')"}, {"many", "HUGEINT[]"}, {"three", "INTEGER[3]"}};
  const std::vector<ColumnInfo> right = {{std::string(kRowColumn), "BIGINT"},
                                         {"x", "DOUBLE"},
                                         {"kind", "VARCHAR"},
                                         {"many", "VARCHAR"},
                                         {"three", "VARCHAR"}};
  EXPECT_TRUE(check_copy(plan, right));
  auto changed = right;
  changed[1].type = "VARCHAR";
  const auto refused = check_copy(plan, changed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "input");
  EXPECT_NE(refused.error().message.find("'x' changed from DOUBLE to VARCHAR"), std::string::npos);
  EXPECT_FALSE(check_copy(plan, {}));
}

TEST(ScoringPlan, A_text_that_is_no_number_stays_one_for_the_binding_to_refuse) {
  Plan plan;
  plan.features = {{"x", "DOUBLE"}};
  auto request = wire::decode_scoring(R"({"dataframe_split":{"columns":["x"],)"
                                      R"("data":[["NaN"],["-Infinity"],["Infinity"],["1.5"]]}})",
                                      "application/json");
  ASSERT_TRUE(request);
  restore_numbers(*request, plan);
  const auto& cells = request->arrays.at(0).cells;
  using Kind = wire::ScoringCell::Kind;
  EXPECT_TRUE(cells[0].kind == Kind::kDouble && std::isnan(cells[0].number));
  EXPECT_EQ(cells[1].number, -INFINITY);
  EXPECT_EQ(cells[2].number, INFINITY);
  EXPECT_EQ(cells[3].kind, Kind::kText);
}

}  // namespace
}  // namespace strata::platform::scoring
