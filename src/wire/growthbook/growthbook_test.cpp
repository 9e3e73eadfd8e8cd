#include <cmath>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "wire/growthbook/bucket.hpp"
#include "wire/growthbook/evaluate.hpp"
#include "wire/growthbook/js_value.hpp"

namespace strata::wire::growthbook {
namespace {

// GrowthBook's cross-language vectors; tests/data/growthbook/README.md says where they are from.
const Json& vectors(std::string_view part) {
  static const Json all = [] {
    const std::string path = std::string(__FILE__).substr(0, std::string(__FILE__).rfind("/src/"));
    std::ifstream in(path + "/tests/data/growthbook/cases.json", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return parse_json(text).value();
  }();
  EXPECT_GT(all[part].size(), 0U) << part;
  return all[part];
}

// Numbers in one form, members in one order.
Json canonical(const Json& value) {
  if (value.is_number()) return js_number_text(value.as_double());
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& one : value.as_array())
      out.push(canonical(one));
    return out;
  }
  if (!value.is_object()) return value;
  std::map<std::string, Json> members;
  for (const auto& [name, member] : value.as_object())
    members.insert_or_assign(name, canonical(member));
  Json out = Json::object();
  for (const auto& [name, member] : members)
    out.set(name, member);
  return out;
}

std::string shown(const Json& value) {
  return canonical(value).dump();
}

Subject subject_of(const Json& context) {
  Subject out;
  if (context["attributes"].is_object()) out.attributes = context["attributes"];
  if (context["forcedVariations"].is_object()) out.forced_variations = context["forcedVariations"];
  out.url = context.text("url");
  out.enabled = context.boolean("enabled", true);
  out.qa_mode = context.boolean("qaMode");
  return out;
}

void check_features(std::string_view part) {
  for (const Json& one : vectors(part).as_array()) {
    const auto& c = one.as_array();
    Subject subject = subject_of(c[1]);
    const Payload payload(c[1]);
    const auto result = Evaluation(payload, subject).feature(c[2].as_string());
    EXPECT_EQ(shown(result.to_json()), shown(c[3])) << part << ": " << c[0].as_string();
  }
}

TEST(GrowthBookVectors, feature) {
  check_features("feature");
}

TEST(GrowthBookVectors, contextualBandit) {
  check_features("contextualBandit");
}

TEST(GrowthBookVectors, evalCondition) {
  for (const Json& one : vectors("evalCondition").as_array()) {
    const auto& c = one.as_array();
    Patterns patterns;
    patterns.add(c[1]);
    const Json groups = c.size() > 4 ? c[4] : Json::object();
    ConditionContext context{.saved_groups = &groups, .patterns = &patterns};
    EXPECT_EQ(meets(c[2], c[1], context), c[3].as_bool()) << c[0].as_string();
  }
}

TEST(GrowthBookVectors, hash) {
  for (const Json& one : vectors("hash").as_array()) {
    const auto& c = one.as_array();
    const auto n = bucket_of(c[0].as_string(), c[1].as_string(), static_cast<int>(c[2].as_int()));
    EXPECT_EQ(n ? Json(js_number_text(*n)) : Json(), canonical(c[3])) << one.dump();
  }
}

TEST(GrowthBookVectors, getBucketRange) {
  for (const Json& one : vectors("getBucketRange").as_array()) {
    const auto& c = one.as_array();
    const auto& in = c[1].as_array();
    std::vector<double> weights;
    if (in[2].is_array()) {
      for (const Json& weight : in[2].as_array())
        weights.push_back(weight.as_double());
    }
    const auto ranges = bucket_ranges(static_cast<int>(in[0].as_int()), in[1].as_double(), weights);
    ASSERT_EQ(ranges.size(), c[2].size()) << c[0].as_string();
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_NEAR(ranges[i].first, c[2].as_array()[i].as_array()[0].as_double(), 1e-8);
      EXPECT_NEAR(ranges[i].second, c[2].as_array()[i].as_array()[1].as_double(), 1e-8);
    }
  }
}

TEST(GrowthBookVectors, chooseVariation) {
  for (const Json& one : vectors("chooseVariation").as_array()) {
    const auto& c = one.as_array();
    std::vector<BucketRange> ranges;
    for (const Json& range : c[2].as_array())
      ranges.emplace_back(range.as_array()[0].as_double(), range.as_array()[1].as_double());
    EXPECT_EQ(choose_variation(c[1].as_double(), ranges), c[3].as_int()) << c[0].as_string();
  }
}

TEST(GrowthBookVectors, getQueryStringOverride) {
  for (const Json& one : vectors("getQueryStringOverride").as_array()) {
    const auto& c = one.as_array();
    const auto index =
        query_string_override(c[1].as_string(), c[2].as_string(), static_cast<int>(c[3].as_int()));
    EXPECT_EQ(index ? Json(*index) : Json(), c[4]) << c[0].as_string();
  }
}

TEST(GrowthBookVectors, inNamespace) {
  for (const Json& one : vectors("inNamespace").as_array()) {
    const auto& c = one.as_array();
    const auto& space = c[2].as_array();
    EXPECT_EQ(in_namespace(c[1].as_string(), space[0].as_string(), space[1].as_double(),
                           space[2].as_double()),
              c[3].as_bool())
        << c[0].as_string();
  }
}

TEST(GrowthBookVectors, getEqualWeights) {
  for (const Json& one : vectors("getEqualWeights").as_array()) {
    const auto& c = one.as_array();
    const auto weights = equal_weights(static_cast<int>(c[0].as_int()));
    ASSERT_EQ(weights.size(), c[1].size());
    for (std::size_t i = 0; i < weights.size(); ++i)
      EXPECT_NEAR(weights[i], c[1].as_array()[i].as_double(), 1e-8);
  }
}

TEST(GrowthBookVectors, run) {
  for (const Json& one : vectors("run").as_array()) {
    const auto& c = one.as_array();
    Subject subject = subject_of(c[1]);
    const Payload payload(Json::object({{"context", c[1]},
                                        {"experiment", c[2]},
                                        {"features", c[1]["features"]},
                                        {"savedGroups", c[1]["savedGroups"]}}));
    const Json result = Evaluation(payload, subject).run(c[2]);
    EXPECT_EQ(shown(result["value"]), shown(c[3])) << c[0].as_string();
    EXPECT_EQ(result["inExperiment"], c[4]) << c[0].as_string();
    EXPECT_EQ(result["hashUsed"], c[5]) << c[0].as_string();
  }
}

TEST(GrowthBookVectors, decrypt) {
  for (const Json& one : vectors("decrypt").as_array()) {
    const auto& c = one.as_array();
    const auto text = decrypt(c[1].as_string(), c[2].as_string());
    EXPECT_EQ(text ? Json(*text) : Json(), c[3]) << c[0].as_string();
  }
}

TEST(GrowthBookVectors, stickyBucket) {
  for (const Json& one : vectors("stickyBucket").as_array()) {
    const auto& c = one.as_array();
    Subject subject = subject_of(c[1]);
    subject.sticky = Json::object();
    const Json& given = c[1]["stickyBucketAssignmentDocs"];
    if (given.is_object()) subject.sticky = given;
    // The SDK asks its store for the documents of the subject's own attributes only.
    for (const Json& doc : c[2].as_array()) {
      if (js_text(subject.attributes[doc.text("attributeName")]) != doc.text("attributeValue"))
        continue;
      subject.sticky->set(doc.text("attributeName") + "||" + doc.text("attributeValue"), doc);
    }
    const Payload payload(c[1]);
    const auto result = Evaluation(payload, subject).feature(c[3].as_string());
    EXPECT_EQ(shown(result.experiment_result), shown(c[4])) << c[0].as_string();
    EXPECT_EQ(shown(*subject.sticky), shown(c[5])) << c[0].as_string();
  }
}

TEST(GrowthBook, Ids_outside_of_ASCII_hash_by_their_UTF_16_code_units) {
  EXPECT_DOUBLE_EQ(*bucket_of("seed", "jos\u00e9", 2), 0.5199);
  for (const auto& [id, expected] : (std::vector<std::pair<std::string, double>>{
           {"\U0001f600", 0.4346}, {"M\u00fcller", 0.1807}, {"\u6771\u4eac", 0.3121}}))
    EXPECT_DOUBLE_EQ(*bucket_of("seed", id, 2), expected) << id;
}

TEST(GrowthBook, Ids_that_JavaScript_takes_for_false_are_in_no_experiment) {
  const Payload payload(
      parse_json(R"({"features":{"f":{"defaultValue":0,"rules":[{"variations":[1,2]}]}}})")
          .value());
  for (const std::string_view id : {R"("")", "0", "false", "null"}) {
    Subject subject;
    subject.attributes = parse_json(R"({"id":)" + std::string(id) + "}").value();
    EXPECT_EQ(Evaluation(payload, subject).feature("f").source, "defaultValue") << id;
  }
  Subject text_zero;
  text_zero.attributes = parse_json(R"({"id":"0"})").value();
  EXPECT_EQ(Evaluation(payload, text_zero).feature("f").source, "experiment");
}

TEST(GrowthBook, Numbers_print_as_in_JavaScript) {
  for (const auto& [value, text] :
       std::vector<std::pair<double, std::string>>{{1, "1"},
                                                   {1e21, "1e+21"},
                                                   {1e20, "100000000000000000000"},
                                                   {0.1, "0.1"},
                                                   {1.5e-7, "1.5e-7"},
                                                   {0.000001, "0.000001"},
                                                   {-12.25, "-12.25"},
                                                   {-0.0, "0"}})
    EXPECT_EQ(js_number_text(value), text);
}

TEST(GrowthBook, Patterns_match_as_in_JavaScript) {
  const auto match = [](std::string_view pattern, std::string_view text, bool fold = false) {
    return Regex::compile(pattern, fold).value().search(text);
  };
  EXPECT_TRUE(match("^..$", "\U0001F600"));  // two code units
  EXPECT_FALSE(match("a.b", "a\u2028b"));
  EXPECT_TRUE(match("^\\s$", "\u00a0"));
  EXPECT_FALSE(match("a$", "a\n"));
  EXPECT_TRUE(match("^\\u0061/[^]$", "a/\n"));
  EXPECT_TRUE(match("^STRASSE [^x]$", "strasse y", true));
  EXPECT_FALSE(match("[^a]", "A", true));
  EXPECT_FALSE(match("k", "\u212a", true));
  EXPECT_TRUE(match("a{,2}", "a{,2}"));
}

TEST(GrowthBook, Patterns_that_need_more_than_linear_time_are_refused) {
  for (const std::string_view pattern :
       {"(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(a)\\1", "(?<n>a)\\k<n>"})
    EXPECT_FALSE(Regex::compile(pattern, false).ok()) << pattern;
  EXPECT_FALSE(Regex::compile("(a+)+$", false).value().search(std::string(100'000, 'a') + "!"));
}

TEST(GrowthBook, Documents_that_ask_for_too_much_work_end_as_exhausted) {
  std::string list = "0";
  for (int i = 0; i < 4000; ++i)
    list += ",0";
  const Payload payload(parse_json(R"({"features":{"f":{"defaultValue":0,"rules":[{"force":1,)"
                                   R"("condition":{"a":{"$in":[)" +
                                   list + "]}}}]}}}")
                            .value());
  Subject subject;
  std::string ones = "1";
  for (int i = 0; i < 4000; ++i)
    ones += ",1";
  subject.attributes = parse_json(R"({"a":[)" + ones + "]}").value();
  Evaluation evaluation(payload, subject);
  static_cast<void>(evaluation.feature("f"));
  EXPECT_TRUE(evaluation.exhausted());
}

}  // namespace
}  // namespace strata::wire::growthbook
