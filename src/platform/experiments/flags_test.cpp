#include <gtest/gtest.h>

#include "platform/experiments/experiment_plan.hpp"
#include "platform/experiments/project_flags.hpp"

namespace strata::platform::experiments {
namespace {

Json json(std::string_view text) {
  return parse_json(text).value();
}

Version flag_with(std::string_view rules) {
  return {.name = "f",
          .number = 3,
          .definition = json(R"({"default":0,"rules":)" + std::string(rules) + "}")};
}

const std::string kSplit =
    R"([{"key":"e","variations":["a","b"],"meta":[{"key":"old"},{}],"weights":[0.75,0.25]}])";

Json definition(const std::string& more = "") {
  return json(R"({"name":"n","flag":"f","hypothesis":"h","sample":1000,"metrics":[{"name":"m",)"
              R"("kind":"mean","table":"shop.orders","unit":"who","time":"at","value":"v",)"
              R"("window":"7d"}])" +
              more + "}");
}

TEST(ExperimentPlan, The_arms_are_those_of_the_rule_with_its_weights) {
  const auto frozen = freeze(definition(), flag_with(kSplit));
  ASSERT_TRUE(frozen.ok()) << frozen.error().message;
  const Json& arms = (*frozen)["plan"]["arms"];
  EXPECT_EQ(arms.as_array()[0].text("name"), "old");
  EXPECT_EQ(arms.as_array()[1].text("name"), "1");
  EXPECT_EQ(arms.as_array()[0].number("weight"), 0.75);
  EXPECT_EQ(frozen->integer("flag_version"), 3);
  EXPECT_EQ((*frozen)["plan"].text("rule"), "sequential");
  EXPECT_EQ((*frozen)["metrics"].as_array()[0].integer("window_s"), 7 * 86400);
}

TEST(ExperimentPlan, A_flag_that_splits_nobody_or_is_off_is_refused) {
  EXPECT_FALSE(freeze(definition(), flag_with(R"([{"force":1}])")).ok());
  Version off = flag_with(kSplit);
  off.state = State::kOff;
  EXPECT_EQ(freeze(definition(), off).error().code, Code::kConflict);
  const auto two = flag_with(R"([{"key":"e","variations":[1,2],"condition":{"a":1}},)"
                             R"({"key":"g","variations":[1,2]}])");
  EXPECT_EQ(freeze(definition(), two).error().field, "experiment");
  EXPECT_TRUE(freeze(definition(R"(,"experiment":"g")"), two).ok());
}

TEST(ExperimentPlan, A_metric_reads_only_behind_the_exposure_and_a_covariate_only_before) {
  const Json planned = json(R"({"name":"m","kind":"mean"})");
  const Json source = json(R"({"name":"m","table":"\"t\"","unit":"\"u\"","time":"\"at\"",)"
                           R"("value":"\"v\"","window_s":60,"before_s":30})");
  const std::string sql = metric_sql(planned, source);
  EXPECT_TRUE(sql.contains("f.moment >= e.first AND f.moment < e.first + INTERVAL 60 SECOND"))
      << sql;
  EXPECT_TRUE(sql.contains("f.moment < e.first AND f.moment >= e.first - INTERVAL 30 SECOND"))
      << sql;
}

TEST(FlagSnapshot, Off_gives_the_default_and_killed_is_not_there) {
  ProjectFlags project;
  for (const State state : {State::kOn, State::kOff, State::kKilled}) {
    Version version = flag_with(R"([{"force":1}])");
    version.name = std::string(state_name(state));
    version.state = state;
    project.put(std::move(version));
  }
  ASSERT_TRUE(project.check().ok());
  const auto snapshot = project.snapshot(ProjectId("p"), {});
  wire::growthbook::Subject subject;
  EXPECT_EQ(Flags::evaluate(*snapshot, "on", subject)->result.value, Json(1));
  EXPECT_EQ(Flags::evaluate(*snapshot, "off", subject)->result.value, Json(0));
  EXPECT_EQ(Flags::evaluate(*snapshot, "killed", subject).error().code, Code::kNotFound);
  EXPECT_EQ(snapshot->states.at("killed"), State::kKilled);
}

TEST(FlagSnapshot, A_ramp_makes_the_snapshot_stale_at_its_next_step_and_newer_after_it) {
  ProjectFlags project;
  project.put(flag_with(R"([{"force":1,"ramp":[{"at":"2026-01-01T00:00:00Z","coverage":0.2},)"
                        R"({"at":"2026-01-02T00:00:00Z","coverage":1}]}])"));
  const Instant first = parse_rfc3339("2026-01-01T00:00:00Z").value();
  const Instant second = parse_rfc3339("2026-01-02T00:00:00Z").value();
  const auto before = project.snapshot(ProjectId("p"), first);
  EXPECT_EQ(before->until, second);
  EXPECT_EQ(before->updated, first);
  const auto after = project.snapshot(ProjectId("p"), second);
  EXPECT_EQ(after->until, std::nullopt);
  EXPECT_EQ(after->updated, second);
  EXPECT_NE(before->etag, after->etag);
}

}  // namespace
}  // namespace strata::platform::experiments
