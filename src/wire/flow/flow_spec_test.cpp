#include "wire/flow/flow_spec.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::wire {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kDaily = R"(name: daily
description: Features and a model, each morning.
parameters:
  month: {type: string, default: 2013-01, description: the month}
  trees: 100
source: .
steps:
  features:
    command: [python3, features.py, --month, "${params.month}"]
    outputs: [features.parquet]
    retries: {count: 2, backoff: 500ms, factor: 3, max: 1m, jitter: 0}
    timeout: 10m
    resources: {cpu: 0.5, memory: 1GiB}
  train:
    needs: [features]
    python: train:main
    params: {data: "${steps.features.features.parquet}", trees: "${params.trees}"}
triggers:
  - {cron: "0 6 * * *", timezone: Europe/Berlin}
  - {event: object.created, bucket: raw, prefix: flights/}
)";

std::string error_of(std::string_view yaml) {
  const auto spec = read_flow_yaml(yaml, {.file = "daily.yaml", .zone_known = {}});
  return spec ? "" : spec.error().message;
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kDaily);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(FlowSpec, Reads_every_field_of_a_pipeline) {
  const auto spec = read_flow_yaml(kDaily, {});
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  ASSERT_EQ(spec->steps.size(), 2u);
  const FlowStep& features = spec->steps[0];
  EXPECT_EQ(features.retries.count, 2);
  EXPECT_EQ(features.retries.initial.count(), 500);
  EXPECT_EQ(features.timeout, std::chrono::minutes(10));
  EXPECT_EQ(features.resources.cpu_millis, 500);
  EXPECT_EQ(features.resources.memory_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(spec->parameters[0].fallback, Json("2013-01"));
  EXPECT_EQ(spec->parameters[1].type, FlowParameterType::kInteger);
  EXPECT_EQ(spec->steps[1].python, "train:main");
  EXPECT_EQ(std::get<CronTrigger>(spec->triggers[0]).timezone, "Europe/Berlin");
  EXPECT_EQ(std::get<EventTrigger>(spec->triggers[1]).prefix, "flights/");
}

TEST(FlowSpec, Yaml_and_json_of_the_same_pipeline_are_the_same_version) {
  const auto from_yaml = read_flow_yaml(kDaily, {});
  ASSERT_TRUE(from_yaml.ok());
  const auto from_json = read_flow_json(flow_to_json(*from_yaml), {});
  ASSERT_TRUE(from_json.ok()) << from_json.error().message;
  EXPECT_EQ(flow_version(*from_yaml), flow_version(*from_json));
  const auto other = read_flow_yaml(replaced("trees: 100", "trees: 101"), {});
  EXPECT_NE(flow_version(*from_yaml), flow_version(*other));
}

TEST(FlowSpec, An_unknown_step_is_named_with_its_place_and_the_nearest_one) {
  EXPECT_EQ(error_of(replaced("needs: [features]", "needs: [featurs]")),
            "daily.yaml:15:13: steps.train.needs: 'featurs' is not a step of this pipeline. "
            "Did you mean 'features'?");
}

TEST(FlowSpec, Unknown_keys_are_refused_with_a_suggestion) {
  EXPECT_EQ(
      error_of(replaced("timeout: 10m", "timeuot: 10m")),
      "daily.yaml:12:5: steps.features: 'timeuot' is not known here. Did you mean 'timeout'?");
  EXPECT_THAT(error_of(replaced("source: .", "sauce: .")), HasSubstr("Did you mean 'source'?"));
}

TEST(FlowSpec, A_cycle_is_named) {
  EXPECT_THAT(error_of("name: x\nsteps:\n  a: {command: [x], needs: [c]}\n"
                       "  b: {command: [x], needs: [a]}\n  c: {command: [x], needs: [b]}\n"),
              HasSubstr("a -> c -> b -> a"));
  EXPECT_THAT(error_of("name: x\nsteps:\n  a: {command: [x], needs: [a]}\n"), HasSubstr("a -> a"));
}

TEST(FlowSpec, Wrong_values_say_where_and_what_is_expected) {
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"timeout: 10m", "timeout: soon"},
      {"timeout: 10m", "timeout: -5"},
      {"cpu: 0.5", "cpu: -1"},
      {"memory: 1GiB", "memory: lots"},
      {"count: 2", "count: two"},
      {"type: string", "type: strin"},
      {"name: daily", "name: ../daily"},
      {"cron: \"0 6 * * *\"", "cron: \"0 26 * * *\""},
      {"event: object.created", "event: object.eaten"},
      {"bucket: raw, ", ""},
      {"python: train:main", "python: train"},
      {"python: train:main", "python: train:main\n    command: [x]"},
      {"outputs: [features.parquet]", "outputs: [../features.parquet]"},
      {"outputs: [features.parquet]", "outputs: features.parquet"},
      {"${params.trees}", "${params.tree}"},
      {"${params.trees}", "${param.trees}"},
      {"${steps.features.features.parquet}", "${steps.features.model}"},
      {"needs: [features]", "needs: [features, features]"},
      {"source: .", "env: {STRATA_TOKEN: x}"},
      {"trees: 100", "trees: {type: integer, default: many}"},
      {"command: [python3, features.py, --month, \"${params.month}\"]",
       "command: \"x ${params.month}\""},
  };
  for (const auto& [from, to] : changes) {
    EXPECT_THAT(error_of(replaced(from, to)), StartsWith("daily.yaml:")) << to;
  }
  EXPECT_THAT(error_of("name: x\n"), HasSubstr("steps"));
  EXPECT_THAT(error_of("name: x\nsteps: {}\n"), HasSubstr("at least one step"));
}

TEST(FlowSpec, An_unknown_time_zone_is_refused) {
  const FlowReadOptions options{.file = "f", .zone_known = [](const std::string& z) {
                                  return z == "UTC";
                                }};
  EXPECT_THAT(read_flow_yaml(kDaily, options).error().message, HasSubstr("Europe/Berlin"));
}

// What is declared, what starts the pipeline, and whether it then has all values.
std::string error_of_trigger(std::string_view parameter, std::string_view trigger) {
  return error_of(
      fmt::format("name: x\nparameters:\n  {}\nsteps: {{a: {{command: [x]}}}}\n"
                  "triggers:\n  - {}\n",
                  parameter, trigger));
}

TEST(FlowSpec, A_trigger_starts_runs_that_need_no_value_from_anyone) {
  constexpr std::string_view kCron = R"({cron: "0 6 * * *"})";
  constexpr std::string_view kEvent = "{event: object.created, bucket: raw}";
  for (const auto trigger : {kCron, kEvent}) {
    EXPECT_THAT(error_of_trigger("n: {type: integer}", trigger),
                StartsWith("daily.yaml:3:6: parameters.n:"));
    EXPECT_EQ(error_of_trigger("n: {type: integer, default: 1}", trigger), "");
  }
  for (const auto* const given : {"bucket: {type: string}", "key: {type: string}"}) {
    EXPECT_EQ(error_of_trigger(given, kEvent), "");
    EXPECT_NE(error_of_trigger(given, kCron), "");
  }
  EXPECT_NE(error_of_trigger("key: {type: integer}", kEvent), "");
}

TEST(FlowSpec, What_was_stored_before_a_rule_came_can_still_be_read) {
  constexpr std::string_view kOld =
      "name: x\nparameters: {n: {type: integer}}\nsteps: {a: {command: [x]}}\n"
      "triggers: [{cron: '0 6 * * *'}]\n";
  EXPECT_NE(error_of(kOld), "");
  EXPECT_TRUE(read_flow_yaml(kOld, {.file = "f", .zone_known = {}, .stored = true}).ok());
}

TEST(FlowSpec, Broken_or_hostile_yaml_is_an_error_with_a_place) {
  EXPECT_THAT(error_of("name: [x\n"), StartsWith("daily.yaml:"));
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of("name: a\nname: b\n"), HasSubstr("twice"));
  EXPECT_THAT(error_of("a: 1\n---\nb: 2\n"), HasSubstr("more than one document"));
  std::string deep;
  for (int i = 0; i < 400; ++i)
    deep += "[";
  EXPECT_NE(error_of(deep), "");
  // Nine levels of aliases, each naming the one before nine times.
  std::string laughs = "a0: &a0 [x]\n";
  for (int i = 1; i < 10; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 9; ++k)
      laughs += (k ? ", *a" : "*a") + std::to_string(i - 1);
    laughs += "]\n";
  }
  EXPECT_THAT(error_of(laughs), HasSubstr("more than"));
  EXPECT_EQ(read_flow_yaml(laughs, {}).error().code, Code::kMalformed);
  EXPECT_NE(error_of("name: \xff\n"), "");
}

TEST(FlowSpec, Parameters_are_converted_and_checked) {
  const auto spec = *read_flow_yaml(kDaily, {});
  const auto values = flow_parameters(spec, Json::object({{"trees", "25"}}));
  ASSERT_TRUE(values.ok());
  EXPECT_EQ((*values)["trees"], Json(25));
  EXPECT_EQ((*values)["month"], Json("2013-01"));
  EXPECT_THAT(flow_parameters(spec, Json::object({{"trees", "many"}})).error().message,
              HasSubstr("integer"));
  EXPECT_THAT(flow_parameters(spec, Json::object({{"tree", 1}})).error().message,
              HasSubstr("Did you mean 'trees'?"));
}

TEST(FlowSpec, References_are_replaced_and_the_escape_is_kept) {
  const auto value = [](const FlowReference& r) -> Result<std::string> {
    return r.step + "/" + r.name;
  };
  EXPECT_EQ(*expand_references("a ${params.x} b ${steps.s.o.txt}", value), "a /x b s/o.txt");
  EXPECT_EQ(*expand_references("$${HOME} $x", value), "${HOME} $x");
  EXPECT_FALSE(expand_references("${HOME}", value).ok());
  EXPECT_FALSE(expand_references("${params.x", value).ok());
  EXPECT_TRUE(whole_reference("${params.x}").has_value());
  EXPECT_FALSE(whole_reference("${params.x}!").has_value());
}

}  // namespace
}  // namespace strata::wire
