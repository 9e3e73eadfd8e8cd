#include "wire/openlineage/openlineage.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::wire::openlineage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A run's event with `more` members.
Json run_event(const std::string& more = "", const std::string& time = "2026-11-23T10:00:00Z") {
  const auto json = parse_json(
      R"({"producer": "https://p", "schemaURL": "https://s", "eventType": "COMPLETE",
          "run": {"runId": "01939A5C-0F3E-7C5E-B0F6-7A0F4C6D2B11"},
          "job": {"namespace": "airflow", "name": "daily.load"}, "eventTime": ")" +
      time + "\"" + more + "}");
  return json.value_or(Json());
}

TEST(OpenLineage, ReadsWhatARunReadAndWrote) {
  const auto event = read_event(run_event(R"(,
    "inputs": [{"namespace": "s3://raw", "name": "a.csv", "facets": {"x": {"kept": 1}},
      "inputFacets": {"dataQualityAssertions": {"assertions": [
        {"assertion": "not_null", "column": "id", "success": false},
        {"assertion": "unique", "success": true, "severity": "WARN"}]}}}],
    "outputs": [{"namespace": "pg", "name": "t", "facets": {
        "schema": {"fields": [{"name": "id", "type": "int"},
          {"name": "at", "fields": [{"name": "city", "type": "text"}]}]},
        "symlinks": {"identifiers": [{"namespace": "hive", "name": "db.t", "type": "TABLE"}]}},
      "outputFacets": {"outputStatistics": {"rowCount": 7, "size": 90}}}])"));
  ASSERT_TRUE(event.ok()) << event.error().message;
  EXPECT_EQ(event->kind, Kind::kRun);
  EXPECT_EQ(event->state, RunState::kComplete);
  EXPECT_EQ(event->run_id, "01939a5c-0f3e-7c5e-b0f6-7a0f4c6d2b11");
  ASSERT_EQ(event->inputs.size(), 1U);
  EXPECT_THAT(*event->inputs[0].assertions,
              ElementsAre(Assertion{"not_null", "id", "", false, false},
                          Assertion{"unique", "", "", true, true}));
  EXPECT_EQ(event->inputs[0].facets["x"].integer("kept"), 1);
  ASSERT_EQ(event->outputs.size(), 1U);
  EXPECT_THAT(*event->outputs[0].schema,
              ElementsAre(Column{"id", "int"}, Column{"at", ""}, Column{"at.city", "text"}));
  EXPECT_EQ(event->outputs[0].rows, 7);
  EXPECT_THAT(event->outputs[0].symlinks, ElementsAre(Identifier{"hive", "db.t"}));
}

TEST(OpenLineage, TakesTimesWithNanosecondsAndWithoutAZone) {
  const Instant ten = *parse_rfc3339("2026-11-23T10:00:00.123456Z");
  for (const auto* const text :
       {"2026-11-23T10:00:00.123456789Z", "2026-11-23T10:00:00.123456",
        "2026-11-23T11:00:00.123456789+01:00", "2026-11-23T05:00:00.123456-05:00"}) {
    const auto event = read_event(run_event("", text));
    ASSERT_TRUE(event.ok()) << event.error().message;
    EXPECT_EQ(event->time, ten) << text;
  }
}

TEST(OpenLineage, TellsTheThreeKindsOfEventsApart) {
  constexpr std::string_view kHead =
      R"({"producer": "p", "schemaURL": "s", "eventTime": "2026-11-23T10:00:00Z", )";
  const auto read = [&](std::string_view more) {
    return read_event(*parse_json(std::string(kHead) + std::string(more)));
  };
  EXPECT_EQ(read(R"("job": {"namespace": "a", "name": "b"}})")->kind, Kind::kJob);
  const auto dataset = read(R"("dataset": {"namespace": "a", "name": "b"}})");
  EXPECT_EQ(dataset->kind, Kind::kDataset);
  EXPECT_EQ(dataset->outputs.size(), 1U);
  const auto both = read(
      R"("dataset": {"namespace": "a", "name": "b"}, "job": {"namespace": "a", "name": "b"}})");
  EXPECT_EQ(both.error().field, "dataset");
  EXPECT_EQ(read(R"("other": 1})").error().field, "run");
}

TEST(OpenLineage, NamesTheFieldThatIsWrong) {
  const auto field = [](std::string_view more, const std::string& time = "2026-11-23T10:00:00Z") {
    const auto event = read_event(run_event(std::string(more), time));
    return event.ok() ? "" : event.error().field;
  };
  EXPECT_EQ(field(""), "");
  EXPECT_EQ(field("", "yesterday"), "eventTime");
  EXPECT_EQ(field(R"(, "eventType": "DONE")"), "eventType");
  EXPECT_EQ(field(R"(, "run": {"runId": "7"})"), "run.runId");
  EXPECT_EQ(field(R"(, "job": {"namespace": "a"})"), "job.name");
  EXPECT_EQ(field(R"(, "inputs": {})"), "inputs");
  EXPECT_EQ(field(R"(, "outputs": [{"namespace": "a", "name": ""}])"), "outputs[0].name");
  EXPECT_EQ(field(R"(, "outputs": [7])"), "outputs[0]");
  EXPECT_EQ(field(R"(, "outputs": [{"namespace": "a", "name": "b", "facets": {"schema": 1}}])"),
            "outputs[0].facets.schema");
  EXPECT_EQ(field(R"(, "outputs": [{"namespace": "a", "name": "b", "outputFacets":
                     {"outputStatistics": {"rowCount": -1}}}])"),
            "outputs[0].outputFacets.outputStatistics.rowCount");
  EXPECT_EQ(field(", \"producer\": \"" + std::string(kMaxName + 1, 'x') + "\""), "producer");
  const auto unknown = read_event(run_event(R"(, "eventType": "DONE")"));
  EXPECT_THAT(unknown.error().message, HasSubstr("COMPLETE"));
}

// A schema whose `leaves` columns lie in `depth` structs with names of `size` bytes.
std::string nested_output(int depth, std::size_t size, int leaves) {
  std::string fields;
  for (int i = 0; i < leaves; ++i)
    fields += fmt::format("{}{{\"name\": \"c{}\"}}", i == 0 ? "" : ",", i);
  for (int i = 0; i < depth; ++i)
    fields = fmt::format(R"({{"name": "{}", "fields": [{}]}})", std::string(size, 's'), fields);
  return fmt::format(
      R"({{"namespace": "a", "name": "b", "facets": {{"schema": {{"fields": [{}]}}}}}})", fields);
}

TEST(OpenLineage, LetsNoStructsMultiplyTheBytesOfAnEvent) {
  const auto event_of = [](const std::string& inputs, const std::string& outputs) {
    return read_event(run_event(", \"inputs\": [" + inputs + "], \"outputs\": [" + outputs + "]"));
  };
  const std::string fair = nested_output(3, 20, 2000);
  const auto taken = event_of(fair, "");
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(taken->inputs[0].schema->size(), 2003U);
  const auto deep = event_of("", nested_output(2, 600, 1));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().field, "outputs[0].facets.schema.fields[0].fields[0].name");
  EXPECT_FALSE(event_of("", nested_output(1, 1000, 300)).ok());
  // All datasets of the event count together.
  EXPECT_TRUE(event_of(fair, fair).ok());
  const auto many = event_of(fair, fair + "," + fair);
  ASSERT_FALSE(many.ok());
  EXPECT_THAT(many.error().field, HasSubstr("outputs[1].facets.schema.fields[0]"));
}

}  // namespace
}  // namespace strata::wire::openlineage
