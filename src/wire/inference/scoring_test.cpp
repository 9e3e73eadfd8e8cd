#include "wire/inference/scoring.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

constexpr std::string_view kJson = "application/json";
using Kind = ScoringCell::Kind;

void expect_refused(std::string_view body, std::string_view names,
                    Code code = Code::kInvalidArgument, std::string_view type = kJson) {
  const auto request = decode_scoring(body, type);
  ASSERT_FALSE(request) << body;
  EXPECT_NE(request.error().message.find(names), std::string::npos) << request.error().message;
  EXPECT_EQ(request.error().code, code) << request.error().message;
}

TEST(ScoringRequest, A_split_frame_gives_a_column_for_each_name) {
  auto request = decode_scoring(
      R"({"dataframe_split":{"index":[0,1],"columns":["a","b"],"data":[[1,"x"],[2.5,null]]}})",
      "application/json; charset=UTF-8");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->arrays.size(), 2U);
  EXPECT_EQ(request->arrays[0].name, "a");
  EXPECT_EQ(request->arrays[0].shape, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(request->arrays[0].cells[0].integer, 1);
  EXPECT_EQ(request->arrays[0].cells[1].number, 2.5);
  EXPECT_EQ(request->texts.at(request->arrays[1].cells[0].text), "x");
  EXPECT_EQ(request->arrays[1].cells[1].kind, Kind::kMissing);
}

TEST(ScoringRequest, Records_fill_what_a_row_leaves_out) {
  for (const auto* form : {"dataframe_records", "instances", "inputs"}) {
    auto request =
        decode_scoring("{\"" + std::string(form) + R"(":[{"a":1},{"b":2,"a":3}]})", kJson);
    ASSERT_TRUE(request) << request.error().message;
    ASSERT_EQ(request->arrays.size(), 2U);
    EXPECT_EQ(request->arrays[1].name, "b");
    EXPECT_EQ(request->arrays[1].cells[0].kind, Kind::kMissing);
    EXPECT_EQ(request->arrays[1].cells[1].integer, 2);
  }
}

TEST(ScoringRequest, Arrays_keep_their_shape) {
  auto rows = decode_scoring(R"({"instances":[[1,2],[3,4],[5,6]]})", kJson);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->arrays.at(0).shape, (std::vector<std::int64_t>{3, 2}));
  auto named = decode_scoring(R"({"inputs":{"x":[[1,2]],"y":[3]},"params":{"k":1}})", kJson);
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->arrays.at(0).shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(named->arrays.at(1).shape, (std::vector<std::int64_t>{1}));
  auto stacked = decode_scoring(R"({"instances":[{"x":[1,2]},{"x":[3,4]}]})", kJson);
  ASSERT_TRUE(stacked) << stacked.error().message;
  EXPECT_EQ(stacked->arrays.at(0).shape, (std::vector<std::int64_t>{2, 2}));
}

TEST(ScoringRequest, Csv_has_a_header_and_quoted_fields) {
  auto request = decode_scoring("a,b\r\n1,\"x, \"\"y\"\"\"\r\n,z\n", "text/csv");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->arrays.at(0).shape, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(request->arrays[0].cells[1].kind, Kind::kMissing);
  EXPECT_EQ(request->texts.at(request->arrays[1].cells[0].text), "x, \"y\"");
}

TEST(ScoringRequest, Malformed_payloads_are_refused_naming_the_part) {
  expect_refused("", "body");
  expect_refused("[1,2]", "JSON array");
  expect_refused(R"({"foo":1})", "foo");
  expect_refused(R"({"inputs":[1],"instances":[1]})", "exactly one");
  expect_refused(R"({"inputs":[1,[2]]})", "ragged");
  expect_refused(R"({"inputs":[[1],[2,3]]})", "ragged");
  expect_refused(R"({"inputs":{"a":{"b":1}}})", "inputs.a");
  expect_refused(R"({"dataframe_split":{"columns":["a"],"data":[[1,2]]}})", "data[0]");
  expect_refused(R"({"dataframe_split":{"columns":["a","b"],"data":[[1,2],[3]]}})", "data[1]");
  expect_refused(R"({"dataframe_split":{"columns":["a"],"data":[[[1]]]}})", "data[0]");
  expect_refused(R"({"dataframe_split":{"columns":["a","a"],"data":[]}})", "twice");
  expect_refused(R"({"dataframe_split":{"columns":["a"]}})", "data");
  expect_refused(R"({"dataframe_split":[1]})", "object");
  expect_refused(R"({"dataframe_records":{"a":1}})", "array");
  expect_refused(R"({"dataframe_records":[{"a":1},2]})", "dataframe_records[1]");
  expect_refused(R"({"instances":[{"a":1,"a":2}]})", "twice");
  expect_refused(R"({"inputs":[1],"params":3})", "params", Code::kMalformed);
  expect_refused("{\"inputs\":[\"\xc3\"]}", "UTF-8", Code::kMalformed);
  expect_refused(R"({"inputs":[1)", "ends", Code::kMalformed);
  expect_refused("a,b\n1\n", "record 2", Code::kInvalidArgument, "text/csv");
  expect_refused("a\n\"x", "closed", Code::kInvalidArgument, "text/csv");
  expect_refused("{}", "text/plain", Code::kUnsupportedMediaType, "text/plain");
  expect_refused("{}", "charset", Code::kUnsupportedMediaType, "application/json; charset=latin-1");
}

}  // namespace
}  // namespace strata::wire
