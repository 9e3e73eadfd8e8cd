#include "platform/features/online.hpp"

#include <gtest/gtest.h>

#include "platform/features/push.hpp"
#include "platform/features/values.hpp"

namespace strata::platform::features {
namespace {

using streams::KeyState;

constexpr std::int64_t kNow = 1'000'000'000;

constexpr std::string_view kDefinitions = R"x(
entities:
  carrier: {keys: {carrier: string}}
  pair: {keys: {a: int64, b: int64}}
sources:
  s: {stream: true, columns: {carrier: string, x: double, y: int64, t: timestamp}, timestamp: t}
  p: {stream: true, columns: {a: int64, b: int64, x: double, t: timestamp}, timestamp: t}
views:
  v:
    entities: [carrier]
    source: s
    ttl: 1s
    features: {twice: x * 2, both: x + y, y: y, when: t, who: upper(carrier), one: "1"}
  pairs: {entities: [pair], source: p, features: {x: x}}
on_demand:
  d: {request: {z: double}, features: {sum: v.twice + z, safe: "coalesce(v.twice, -1.0)"
}
}
services:
  all: {features: [v.twice, v.both, v.y, v.when, v.who, v.one, d.sum, d.safe]}
)x";

Catalog catalog() {
  const auto document = read_features_yaml(kDefinitions, "f.yaml");
  EXPECT_TRUE(document.ok()) << (document ? "" : document.error().message);
  auto out = make_catalog(document->definitions);
  EXPECT_TRUE(out.ok()) << (out ? "" : out.error().message);
  return *std::move(out);
}

// The state after rows of s, each pushed in its own record.
KeyState state_of(const Catalog& of, const std::vector<std::string>& rows) {
  KeyState state;
  std::uint64_t sequence = 0;
  for (const auto& text : rows) {
    const PushRequest request{"s", "", Json::array(), Json()};
    PushRequest one = request;
    one.rows.push(*parse_json(text));
    const auto record = record_of(of, "p", one, Instant{kNow});
    EXPECT_TRUE(record.ok()) << (record ? "" : record.error().message);
    fold(state, record->columns, record->rows[0], {++sequence, 0});
  }
  return state;
}

struct Vector {
  std::map<std::string, FeatureValue> by_name;
  std::string show(const std::string& name) const {
    const FeatureValue& one = by_name.at(name);
    return std::string(presence_name(one.presence)) + " " + to_json(one.value).dump();
  }
};

Vector at(const Catalog& of, const KeyState& state, std::int64_t now) {
  const auto& service = of.services.at("all");
  const auto input = input_of(service, *parse_json(R"({"carrier": ["aa"], "z": [0.5]})"));
  EXPECT_TRUE(input.ok()) << (input ? "" : input.error().message);
  const auto values = evaluate(of, service, *input, 0, {{"v", {state, {}}}}, Instant{now});
  EXPECT_TRUE(values.ok());
  Vector out;
  for (std::size_t i = 0; i < values->size(); ++i)
    out.by_name[service.features[i].feature] = (*values)[i];
  return out;
}

std::string row(std::string_view members, std::int64_t event) {
  return fmt::format(R"({{"carrier": "aa", {} "t": "{}"}})", members, show_micros(event));
}

TEST(OnlineFeatures, Computes_of_the_newest_row_the_key_and_the_request) {
  const Catalog of = catalog();
  const auto got = at(of, state_of(of, {row(R"("x": 1.5, "y": 2,)", kNow - 10)}), kNow);
  EXPECT_EQ(got.show("twice"), "PRESENT 3.0");
  EXPECT_EQ(got.show("both"), "PRESENT 3.5");
  EXPECT_EQ(got.show("who"), R"(PRESENT "AA")");
  EXPECT_EQ(got.show("one"), "PRESENT 1");
  EXPECT_EQ(got.show("sum"), "PRESENT 3.5");
  EXPECT_EQ(got.show("when"), "PRESENT \"" + show_micros(kNow - 10) + "\"");
  EXPECT_EQ(got.by_name.at("twice").event, kNow - 10);
}

TEST(OnlineFeatures, A_value_is_valid_up_to_and_with_the_microsecond_of_its_ttl) {
  const Catalog of = catalog();
  const KeyState state = state_of(of, {row(R"("x": 1.5, "y": 2,)", kNow)});
  EXPECT_EQ(at(of, state, kNow + 1'000'000).show("twice"), "PRESENT 3.0");
  EXPECT_EQ(at(of, state, kNow + 1'000'001).show("twice"), "OUTSIDE_MAX_AGE null");
  EXPECT_EQ(at(of, state, kNow + 1'000'001).by_name.at("twice").event, kNow);
  EXPECT_EQ(at(of, state, kNow - 5).show("twice"), "PRESENT 3.0");  // clocks differ
  EXPECT_EQ(at(of, state, kNow + 1'000'001).show("safe"), "PRESENT -1.0");
}

TEST(OnlineFeatures, Null_missing_and_expired_are_told_apart) {
  const Catalog of = catalog();
  const auto nothing = at(of, KeyState(), kNow);
  for (const auto* const name : {"twice", "both", "y", "when", "who", "one"})
    EXPECT_EQ(nothing.show(name), "NOT_FOUND null") << name;
  EXPECT_EQ(nothing.show("sum"), "NULL_VALUE null");
  const auto null = at(of, state_of(of, {row(R"("x": null,)", kNow)}), kNow);
  EXPECT_EQ(null.show("twice"), "NULL_VALUE null");
  EXPECT_EQ(null.show("y"), "NOT_FOUND null");  // no row ever said anything of it
  EXPECT_EQ(null.show("both"), "NULL_VALUE null");
}

TEST(OnlineFeatures, A_feature_is_as_old_as_the_oldest_of_what_it_reads) {
  const Catalog of = catalog();
  const KeyState state =
      state_of(of, {row(R"("x": 1.5, "y": 2,)", kNow - 900'000), row(R"("y": 7,)", kNow)});
  const auto got = at(of, state, kNow + 100'001);
  EXPECT_EQ(got.show("twice"), "OUTSIDE_MAX_AGE null");
  EXPECT_EQ(got.show("both"), "OUTSIDE_MAX_AGE null");
  EXPECT_EQ(got.show("y"), "PRESENT 7");
}

TEST(OnlineFeatures, Keys_with_the_same_digits_are_not_the_same_and_null_is_nobodys) {
  const Catalog of = catalog();
  const auto service = plan_service(of, {"pairs.x"}, "features");
  ASSERT_TRUE(service.ok());
  const auto input = input_of(*service, *parse_json(R"({"a": [1, 12, null], "b": [23, 3, 4]})"));
  ASSERT_TRUE(input.ok());
  const PlannedView& view = of.views.at("pairs");
  EXPECT_EQ((*key_in(view, *input, 0))[0].integer, 1);
  EXPECT_EQ((*key_in(view, *input, 1))[0].integer, 12);
  EXPECT_FALSE(key_in(view, *input, 2));
}

struct Slip {
  std::string json, field;
};

TEST(OnlineFeatures, A_request_that_does_not_fit_is_refused_with_its_field) {
  const Catalog of = catalog();
  const std::string large(2000, 'k');
  for (const auto& [json, field] : std::vector<Slip>{
           {R"([1])", "entities"},
           {R"({"z": [1]})", "entities.carrier"},
           {R"({"carrier": ["a"], "z": [1, 2]})", "entities.z"},
           {R"({"carrier": ["a"], "z": [1], "carier": ["b"]})", "entities.carier"},
           {R"({"carrier": [7], "z": [1]})", "entities.carrier.0"},
           {R"({"carrier": ["a"], "z": ["b"]})", "entities.z.0"},
           {R"({"carrier": [")" + large + R"("], "z": [1]})", "entities.carrier.0"}}) {
    const auto refused = input_of(of.services.at("all"), *parse_json(json));
    ASSERT_FALSE(refused.ok()) << json;
    EXPECT_EQ(refused.error().field, field);
  }
}

TEST(OnlineFeatures, A_row_that_does_not_fit_is_refused_with_its_field) {
  const Catalog of = catalog();
  const std::string late = show_micros(kNow + 60'000'001);
  const std::string edge = show_micros(kNow + 60'000'000);
  const std::string large(2000, 'k');
  const std::string t = show_micros(kNow);
  for (const auto& [json, field] : std::vector<Slip>{
           {R"({"carrier": "a", "t": ")" + late + R"("})", "rows.0.t"},
           {R"({"carrier": "a"})", "rows.0.t"},
           {R"({"carrier": "a", "t": null})", "rows.0.t"},
           {R"({"carrier": "a", "t": 5})", "rows.0.t"},
           {R"({"carrier": "a", "t": "2026-01-01T00:00:00.0000001Z"})", "rows.0.t"},
           {R"({"carrier": "a", "xx": 1, "t": ")" + t + R"("})", "rows.0.xx"},
           {R"({"carrier": "a", "y": 1.5, "t": ")" + t + R"("})", "rows.0.y"},
           {R"({"carrier": "a", "y": 9223372036854775808, "t": ")" + t + R"("})", "rows.0.y"},
           {R"({"carrier": null, "t": ")" + t + R"("})", "rows.0"},
           {R"({"carrier": ")" + large + R"(", "t": ")" + t + R"("})", "rows.0.carrier"},
           {R"(5)", "rows.0"}}) {
    PushRequest request{"s", "", Json::array(), Json()};
    request.rows.push(*parse_json(json));
    const auto refused = record_of(of, "p", request, Instant{kNow});
    ASSERT_FALSE(refused.ok()) << json;
    EXPECT_EQ(refused.error().field, field) << refused.error().message;
  }
  PushRequest fits{"s", "", Json::array(), Json()};
  fits.rows.push(*parse_json(R"({"carrier": "a", "y": 3.0, "t": ")" + edge + R"("})"));
  fits.rows.push(*parse_json(R"({"carrier": "a", "x": "NaN", "t": "1970-01-01 00:00:05"})"));
  const auto taken = record_of(of, "p", fits, Instant{kNow});
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(taken->rows[1].event, 5'000'000);
}

}  // namespace
}  // namespace strata::platform::features
