#include "platform/labels/labels.hpp"

#include <gtest/gtest.h>

namespace strata::platform::labels {
namespace {

const Instant kNow = Instant::from_seconds(1'800'000'000);

TEST(Labels, AllThreeFormsSayTheSame) {
  const auto json = parse_labels(
      R"({"labels":[{"prediction_id":"p","row":2,"value":1.5,"event_time":"2026-01-01T00:00:00Z"},
      {"prediction_id":"q","value":true,"name":"late"}]})",
      "application/json; charset=utf-8", kNow);
  const auto lines = parse_labels(
      "{\"prediction_id\":\"p\",\"row\":2,\"value\":1.5,\"event_time\":\"2026-01-01T00:00:00Z\"}"
      "\n\n"
      "{\"prediction_id\":\"q\",\"value\":true,\"name\":\"late\"}",
      "application/x-ndjson", kNow);
  const auto csv = parse_labels(
      "prediction_id,row,value,event_time,name\r\np,2,1.5,2026-01-01T00:00:00Z,\r\nq,,true,,"
      "late\r\n",
      "text/csv", kNow);
  for (const auto* labels : {&json, &lines, &csv}) {
    ASSERT_TRUE(*labels) << labels->error().message;
    ASSERT_EQ((*labels)->size(), 2U);
    const Label& first = (**labels)[0];
    EXPECT_EQ(first.prediction_id, "p");
    EXPECT_EQ(first.row, 2);
    EXPECT_EQ(first.value, "1.5");
    EXPECT_EQ(first.number, 1.5);
    EXPECT_EQ(first.name, "label");
    EXPECT_EQ(first.event, Instant::from_seconds(1'767'225'600));
    const Label& second = (**labels)[1];
    EXPECT_EQ(second.number, 1);
    EXPECT_EQ(second.name, "late");
    EXPECT_FALSE(second.event);
  }
}

TEST(Labels, ATextIsAValueAndNoNumber) {
  const auto labels = parse_labels("prediction_id,value\np,late\nq,nan\n", "text/csv", kNow);
  ASSERT_TRUE(labels) << labels.error().message;
  EXPECT_EQ((*labels)[0].value, "late");
  EXPECT_FALSE((*labels)[0].number);
  EXPECT_FALSE((*labels)[1].number);
}

TEST(Labels, WhatIsWrongIsNamed) {
  const auto field = [](std::string_view body, std::string_view type = "text/csv") {
    const auto labels = parse_labels(body, type, kNow);
    return labels ? "" : labels.error().field;
  };
  EXPECT_EQ(field("prediction_id,value\np,1\n,2\n"), "labels[1].prediction_id");
  EXPECT_EQ(field("prediction_id,value\np,\n"), "labels[0].value");
  EXPECT_EQ(field("prediction_id,value,row\np,1,x\n"), "labels[0].row");
  EXPECT_EQ(field("prediction_id,value,event_time\np,1,2027-06-01T00:00:00Z\n"),
            "labels[0].event_time");
  EXPECT_EQ(field(R"({"labels":[]})", "application/json"), "labels");
  EXPECT_EQ(field(R"({"labels":[7]})", "application/json"), "labels[0]");
  EXPECT_EQ(field("[]", "application/json"), "labels");
}

}  // namespace
}  // namespace strata::platform::labels
