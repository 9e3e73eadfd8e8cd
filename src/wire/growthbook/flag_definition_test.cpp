#include "wire/growthbook/flag_definition.hpp"

#include <gtest/gtest.h>

#include "wire/growthbook/evaluate.hpp"

namespace strata::wire::growthbook {
namespace {

Json json(std::string_view text) {
  return parse_json(text).value();
}

std::string field_at_fault(std::string_view definition) {
  const auto done = check_flag("f", json(definition));
  return done ? "none" : done.error().field;
}

FlagDefinitions flags(std::initializer_list<std::pair<const std::string, Json>> all) {
  for (const auto& [key, flag] : all)
    EXPECT_TRUE(check_flag(key, flag).ok()) << key;
  return all;
}

std::string source(const Json& payload, int id, const std::string& flag) {
  const Payload compiled(payload);
  Subject subject;
  subject.attributes = Json::object({{"id", "u" + std::to_string(id)}});
  return Evaluation(compiled, subject).feature(flag).source;
}

TEST(FlagDefinition, Faults_are_named_by_their_field) {
  EXPECT_EQ(field_at_fault(R"({"default":1})"), "none");
  EXPECT_EQ(field_at_fault(R"({})"), "default");
  EXPECT_EQ(field_at_fault(R"({"default":1,"rule":[]})"), "rule");
  EXPECT_EQ(field_at_fault(R"({"default":1,"default":2})"), "default");
  const std::vector<std::pair<std::string, std::string>> kRules = {
      {R"({"force":1,"coverage":0})", "coverage"},
      {R"({"force":1,"coverage":1.5})", "coverage"},
      {R"({"force":1,"coverage":-0.1})", "coverage"},
      {R"({"key":"e","variations":[0,1],"weights":[0.5,0.4]})", "weights"},
      {R"({"key":"e","variations":[0,1],"weights":[1]})", "weights"},
      {R"({"key":"e","variations":[0]})", "variations"},
      {R"({"variations":[0,1]})", "key"},
      {R"({"force":1,"hashVersion":3})", "hashVersion"},
      {R"({"force":1,"condition":{"a":{"$gtt":1}}})", "condition.a.$gtt"},
      {R"({"force":1,"condition":{"a":{"$regex":"(?=x).y"}
  }
})",
       "condition.a.$regex"},
      {R"({"force":1,"layer":{"name":"l","range":[0.5,0.5]}})", "layer.range"},
      {R"({"key":"e","variations":[0,1],"weights":[1,0]})", "weights"},
      {R"({"key":"e","variations":[0,1],"seed":5})", "seed"},
      {R"({"key":"e","variations":[0,1],"meta":[{}]})", "meta"},
      {R"({"key":"e","variations":[0,1],"meta":[{"key":"1"},{}]})", "meta"},
      {R"({"key":"e","variations":[0,1],"meta":[{"name":1},{}]})", "meta[0].name"},
      {R"({"key":"e","variations":[0,1],"bucketVersion":-1})", "bucketVersion"},
      {R"({"key":"e","variations":[0,1],"disableStickyBucketing":"no"})", "disableStickyBucketing"},
      {R"({"force":1,"weights":[0.5,0.5]})", "weights"},
      {R"({"force":1,"hashAttribute":""})", "hashAttribute"},
      {R"({"force":1,"condition":{"a":{"$in":"x"}}})", "condition.a.$in"},
      {R"({"force":1,"condition":{"a":{"$inGroup":["x"]}}})", "condition.a.$inGroup"},
      {R"({"force":1,"condition":{"$or":[1]}})", "condition.$or"},
      {R"({"force":1,"condition":{"a":{"$exists":1}}})", "condition.a.$exists"},
      {R"({"force":1,"condition":{"a":{"$vgt":1}}})", "condition.a.$vgt"},
      {R"({"force":1,"parentConditions":[{"id":"p","condition":{"valu":1}}]})",
       "parentConditions[0].condition"},
      {R"({"force":1,"ramp":[{"at":"soon","coverage":0.5}]})", "ramp[0].at"},
      {R"({"force":1,"ramp":[{"at":"2026-01-01T00:00:00Z","coverage":0.5},)"
       R"({"at":"2026-01-02T00:00:00Z","coverage":0.4}]})",
       "ramp[1].coverage"}};
  for (const auto& [rule, field] : kRules)
    EXPECT_EQ(field_at_fault(R"({"default":0,"rules":[)" + rule + "]}"), "rules[0]." + field)
        << rule;
}

TEST(FlagDefinition, A_key_of_a_megabyte_is_refused_without_being_repeated) {
  const auto done = check_flag(std::string(1 << 20, 'k'), json(R"({"default":1})"));
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().field, "key");
  EXPECT_LT(done.error().message.size(), 200U);
}

TEST(FlagDefinition, Prerequisites_in_a_circle_or_to_nowhere_are_refused) {
  const auto needs = [](const std::string& other) {
    return json(R"({"default":0,"rules":[{"force":1,"parentConditions":[{"id":")" + other +
                R"(","condition":{"value":1},"gate":true}]}]})");
  };
  EXPECT_FALSE(check_flags(flags({{"a", needs("b")}, {"b", needs("c")}, {"c", needs("a")}})).ok());
  EXPECT_FALSE(check_flags(flags({{"a", needs("a")}})).ok());
  EXPECT_FALSE(check_flags(flags({{"a", needs("b")}})).ok());
  EXPECT_TRUE(check_flags(flags({{"a", needs("b")}, {"b", json(R"({"default":1})")}})).ok());
}

Json experiment(const std::string& key, const std::string& more) {
  return json(R"({"default":"out","rules":[{"key":")" + key + R"(","variations":["x","y"])" + more +
              "}]}");
}

TEST(FlagDefinition, Experiments_of_one_layer_share_no_id) {
  const auto first = experiment("a", R"(,"layer":{"name":"l","range":[0,0.5]})");
  const auto over = experiment("b", R"(,"layer":{"name":"l","range":[0.4,1]})");
  const auto beside = experiment("b", R"(,"layer":{"name":"l","range":[0.5,1]})");
  EXPECT_FALSE(check_flags(flags({{"a", first}, {"b", over}})).ok());
  const auto both = flags({{"a", first}, {"b", beside}});
  ASSERT_TRUE(check_flags(both).ok());
  const Json payload = payload_of(both, {}, {});
  int in_a = 0;
  for (int id = 0; id < 2000; ++id) {
    const bool a = source(payload, id, "a") == "experiment";
    EXPECT_NE(a, source(payload, id, "b") == "experiment") << id;
    in_a += a ? 1 : 0;
  }
  EXPECT_NEAR(in_a, 1000, 100);
}

TEST(FlagDefinition, A_saved_group_must_be_there_and_goes_into_the_payload_that_names_it) {
  const auto all =
      flags({{"f", json(R"({"default":0,"rules":[{"force":1,"condition":{"$and":[{"id":)"
                        R"({"$inGroup":"beta"}}]}}]})")}});
  const SavedGroups groups = {{"beta", json(R"({"values":["u1"]})")},
                              {"other", json(R"({"values":["u2"]})")}};
  EXPECT_FALSE(check_flags(all).ok());
  ASSERT_TRUE(check_flags(all, groups).ok());
  const Json payload = payload_of(all, {}, {}, groups);
  EXPECT_EQ(payload["savedGroups"].dump(), R"({"beta":["u1"]})");
  EXPECT_EQ(source(payload, 1, "f"), "force");
  EXPECT_EQ(source(payload, 2, "f"), "defaultValue");
  EXPECT_FALSE(check_group("beta", json(R"({"values":[{}]})")).ok());
  EXPECT_FALSE(check_group("beta", json(R"({"value":[]})")).ok());
}

TEST(FlagDefinition, A_holdout_of_all_or_nobody_is_refused) {
  for (const char* coverage : {"0", "1", "\"0.1\"", "2"})
    EXPECT_FALSE(read_holdout("h", json(std::string(R"({"coverage":)") + coverage + "}")).ok())
        << coverage;
  EXPECT_TRUE(read_holdout("h", json(R"({"coverage":0.05})")).ok());
}

TEST(FlagDefinition, The_next_step_of_a_ramp_is_known) {
  const auto all = flags({{"f", json(R"({"default":0,"rules":[{"force":1,"ramp":[)"
                                     R"({"at":"2026-01-01T00:00:00Z","coverage":0.2},)"
                                     R"({"at":"2026-01-02T00:00:00Z","coverage":0.6}]}]})")}});
  const Instant first = parse_rfc3339("2026-01-01T00:00:00Z").value();
  const Instant second = parse_rfc3339("2026-01-02T00:00:00Z").value();
  EXPECT_EQ(next_step(all, {}), first);
  EXPECT_EQ(next_step(all, first), second);
  EXPECT_EQ(next_step(all, second), std::nullopt);
}

TEST(FlagDefinition, Two_experiments_of_one_key_are_refused) {
  EXPECT_FALSE(check_flags(flags({{"a", experiment("e", "")}, {"b", experiment("e", "")}})).ok());
}

TEST(FlagDefinition, An_id_in_a_holdout_sees_no_experiment) {
  const auto all = flags({{"a", experiment("a", "")}, {"b", experiment("b", "")}});
  const Json payload = payload_of(all, {{.key = "q4", .coverage = 0.1}}, {});
  int held = 0;
  for (int id = 0; id < 2000; ++id) {
    const bool out = source(payload, id, "a") == "defaultValue";
    EXPECT_EQ(out, source(payload, id, "b") == "defaultValue") << id;
    held += out ? 1 : 0;
  }
  EXPECT_NEAR(held, 200, 60);
}

TEST(FlagDefinition, Nobody_leaves_a_ramp_as_it_grows) {
  for (const std::string kind : {R"("force":1)", R"("key":"e","variations":[1,2])"}) {
    const auto all = flags({{"f", json(R"({"default":0,"rules":[{)" + kind +
                                       R"(,"ramp":[)"
                                       R"({"at":"2026-01-01T00:00:00Z","coverage":0.2},)"
                                       R"({"at":"2026-01-02T00:00:00Z","coverage":0.6}]}]})")}});
    const auto at = [&](std::string_view time) {
      return payload_of(all, {}, parse_rfc3339(time).value());
    };
    const Json before = at("2025-12-31T23:59:59Z");
    const Json first = at("2026-01-01T00:00:00Z");
    const Json second = at("2026-01-03T00:00:00Z");
    int joined = 0;
    for (int id = 0; id < 1000; ++id) {
      EXPECT_EQ(source(before, id, "f"), "defaultValue");
      const bool early = source(first, id, "f") != "defaultValue";
      const bool late = source(second, id, "f") != "defaultValue";
      EXPECT_TRUE(late || !early) << id;
      joined += late && !early ? 1 : 0;
    }
    EXPECT_GT(joined, 300);
  }
}

}  // namespace
}  // namespace strata::wire::growthbook
