#include "platform/expressions/expressions.hpp"

#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::platform::expressions {
namespace {

using testing::HasSubstr;

const std::vector<Input> kInputs = {
    {"delay", Type::kDouble}, {"seats", Type::kInt64},           {"carrier", Type::kString},
    {"late", Type::kBool},    {"request.now", Type::kTimestamp}, {"landed", Type::kTimestamp}};

std::string refusal(std::string_view text) {
  const auto made = Expression::compile(text, kInputs);
  return made ? "accepted as " + made->canonical() : made.error().message;
}
std::string digest(std::string_view text) {
  const auto made = Expression::compile(text, kInputs);
  EXPECT_TRUE(made.ok()) << text << ": " << (made ? "" : made.error().message);
  return made ? made->digest() : "";
}

// The value of an expression on a row that brings these, and NULL for all else.
Value value(std::string_view text, const std::map<std::string, Value>& row = {}) {
  const auto made = Expression::compile(text, kInputs);
  EXPECT_TRUE(made.ok()) << text << ": " << (made ? "" : made.error().message);
  if (!made) return {};
  const Program program({*made});
  std::vector<Value> cells;
  for (const auto& input : program.inputs()) {
    const auto found = row.find(input.name);
    cells.push_back(found == row.end() ? Value::null(input.type) : found->second);
  }
  const auto out = program.run(cells);
  EXPECT_TRUE(out.ok());
  EXPECT_EQ(out->front().type, made->type());
  return out->front();
}

TEST(Expressions, Are_read_with_the_usual_strengths) {
  EXPECT_EQ(value("1 + 2 * 3 - 8 // 3 % 2").integer, 7);
  EXPECT_EQ(value("-2 - -3").integer, 1);
  EXPECT_EQ(value("NOT 1 = 2 AND 3 > 2 OR NULL").integer, 1);
  EXPECT_EQ(value("7 / 2").number, 3.5);
  EXPECT_EQ(value("'it''s ' || upper('ok')").text, "it's OK");
  EXPECT_EQ(value("-9223372036854775808").integer, INT64_MIN);
  EXPECT_EQ(value("(1 + 2)::string || 'x'").text, "3x");
}

TEST(Expressions, Compute_with_the_columns_of_a_row) {
  const std::map<std::string, Value> row = {{"delay", Value::of(90.0)},
                                            {"seats", Value::of(std::int64_t{3})},
                                            {"carrier", Value::of(std::string("aa"))}};
  EXPECT_EQ(value("delay / seats", row).number, 30.0);
  EXPECT_EQ(
      value("CASE WHEN delay > 60 THEN 'late' WHEN delay IS NULL THEN '?' ELSE 'ok' END", row).text,
      "late");
  EXPECT_EQ(
      value("CASE WHEN delay > 60 THEN 'late' WHEN delay IS NULL THEN '?' ELSE 'ok' END").text,
      "?");
  EXPECT_FALSE(value("CASE WHEN seats > 5 THEN 1 END", row).present);
  EXPECT_EQ(value("carrier IN ('dl', 'aa')", row).integer, 1);
  EXPECT_FALSE(value("carrier NOT IN ('dl', NULL)", row).present);
  EXPECT_EQ(value("seats NOT BETWEEN 4 AND 9", row).integer, 1);
  EXPECT_EQ(value("coalesce(NULL, nullif(seats, 3), 7)", row).integer, 7);
}

TEST(Expressions, Times_take_lengths_and_zones) {
  const std::map<std::string, Value> row = {
      {"landed", Value::of_micros(1'729'990'800'000'000)},        // 2024-10-27T01:00:00Z
      {"request.now", Value::of_micros(1'729'994'400'000'000)}};  // an hour later
  EXPECT_EQ(value("(request.now - landed) / INTERVAL '30m'", row).number, 2.0);
  EXPECT_EQ(value("landed + INTERVAL '1h' = request.now", row).integer, 1);
  EXPECT_EQ(value("request.now - INTERVAL '1h' = landed", row).integer, 1);
  EXPECT_EQ(value("hour(landed, 'Europe/Berlin')", row).integer, 2);
  EXPECT_EQ(value("hour(landed - INTERVAL '1h', 'Europe/Berlin')", row).integer, 2);
  EXPECT_EQ(value("date_trunc('day', landed)::string", row).text, "2024-10-27T00:00:00.000000Z");
  EXPECT_EQ(value("TIMESTAMP '2024-10-27 03:00+02:00' = landed", row).integer, 1);
}

TEST(Expressions, Buckets_count_the_bounds_that_are_reached) {
  const auto bucket = [](double at) {
    return value("bucketize(delay, 0, 15, 60)", {{"delay", Value::of(at)}}).integer;
  };
  EXPECT_EQ(bucket(-1), 0);
  EXPECT_EQ(bucket(0), 1);
  EXPECT_EQ(bucket(59.9), 2);
  EXPECT_EQ(bucket(60), 3);
  EXPECT_EQ(bucket(std::numeric_limits<double>::quiet_NaN()), 3);
  EXPECT_FALSE(value("bucketize(delay, 0, 15, 60)").present);
}

TEST(Expressions, Texts_that_compute_the_same_have_one_digest) {
  EXPECT_EQ(digest("delay>60"), digest("(60 < delay)"));
  EXPECT_EQ(digest("delay > 60"), digest("delay > 60.0"));
  EXPECT_EQ(digest("seats + 1"), digest("(1 + seats)"));
  EXPECT_EQ(digest("late AND seats >= 2"), digest("2 <= seats and late"));
  EXPECT_EQ(digest("seats BETWEEN 1 AND 2"), digest("seats <= 2 AND 1 <= seats"));
  EXPECT_EQ(digest("carrier IN ('a', 'b')"), digest("carrier IN ('b', 'a', 'b')"));
  EXPECT_EQ(digest("CASE WHEN late THEN 1 ELSE 2 END"), digest("if(late, 1, 2)"));
  EXPECT_NE(digest("delay - 1"), digest("1 - delay"));
  EXPECT_NE(digest("seats"), digest("delay"));
  EXPECT_NE(digest("hour(landed)"), digest("hour(landed, 'Europe/Berlin')"));
}

// Versions of definitions rest upon it: it may not change while the format's number stays.
TEST(Expressions, The_canonical_form_stays_as_it_is) {
  const auto made = Expression::compile("delay / 60 > 1.5 OR carrier = 'a\"b'", kInputs);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->canonical(),
            "(or_b (eq_str (in str \"carrier\") (str \"a\\\"b\")) (lt_f64 (f64 3ff8000000000000) "
            "(div_f64 (column_f64 (in f64 \"delay\")) (f64 404e000000000000))))");
  EXPECT_EQ(digest("seats"),
            "sha256:9be21110e16337dbb5d85f52fc03966c07895effdea0f4e7e84d2f6b1ed1cb46");
}

TEST(Expressions, Names_only_what_is_really_read) {
  const auto made = Expression::compile("delay * 2 + request.now::string::double", kInputs);
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->inputs().size(), 2U);
  EXPECT_EQ(made->inputs()[0].name, "delay");
  EXPECT_EQ(made->inputs()[1].name, "request.now");
}

TEST(Expressions, Are_sql_of_kernels_alone) {
  const auto made = Expression::compile("coalesce(carrier, 'it''s')", kInputs);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->to_sql([](const Input& input) { return "t." + input.name; }),
            "strata_coalesce_str(CAST(t.carrier AS VARCHAR), CAST('it''s' AS VARCHAR))");
}

TEST(Expressions, Refusals_name_the_place_and_the_way_out) {
  EXPECT_THAT(refusal("dely + 1"), HasSubstr("column 1: there is no column 'dely'"));
  EXPECT_THAT(refusal("dely + 1"), HasSubstr("Did you mean 'delay'?"));
  EXPECT_THAT(refusal("delay + carrier"), HasSubstr("column 9: this is string"));
  EXPECT_THAT(refusal("delay + carrier"), HasSubstr("CAST(... AS double)"));
  EXPECT_THAT(refusal("lowr(carrier)"), HasSubstr("Did you mean 'lower'?"));
  EXPECT_THAT(refusal("substr(carrier)"), HasSubstr("takes 3 arguments, not 1"));
  EXPECT_THAT(refusal("hour(landed, 'Europe/Berln')"), HasSubstr("no time zone 'Europe/Berln'"));
  EXPECT_THAT(refusal("hour(landed, carrier)"), HasSubstr("constant text"));
  EXPECT_THAT(refusal("landed::int64"), HasSubstr("micros(t)"));
  EXPECT_THAT(refusal("NULL"), HasSubstr("CAST(NULL AS double)"));
  EXPECT_THAT(refusal("delay >"), HasSubstr("ends where a value should stand"));
  EXPECT_THAT(refusal("delay = 'x"), HasSubstr("column 9: the quote that opens here never closes"));
  EXPECT_THAT(refusal("delay; DROP TABLE t"), HasSubstr("';' is no part"));
  EXPECT_THAT(refusal("bucketize(delay, 2, 1)"), HasSubstr("must rise"));
  EXPECT_THAT(refusal("seats + 9223372036854775808"), HasSubstr("does not fit 64 bits"));
  EXPECT_THAT(refusal("CASE delay WHEN 1 THEN 2 END"), HasSubstr("CASE WHEN condition"));
  EXPECT_THAT(refusal("delay::decimal"), HasSubstr("is no type"));
  EXPECT_THAT(refusal("landed + 1.5"), HasSubstr("int64 is needed"));
}

TEST(Expressions, What_grows_without_bound_is_refused_early) {
  std::string nested = "seats";
  for (int i = 0; i < 45; ++i)
    nested = "(" + nested + " BETWEEN seats AND seats) :: int64";
  EXPECT_THAT(refusal(nested), HasSubstr("too large"));
  EXPECT_THAT(refusal(std::string(3000, '(')), HasSubstr("too many brackets"));
  std::string sum = "1";
  for (int i = 0; i < 1000; ++i)
    sum += "+1";
  EXPECT_THAT(refusal(sum), HasSubstr("nested more than"));
  EXPECT_THAT(refusal(std::string(9000, ' ')), HasSubstr("9000 bytes"));
}

TEST(Expressions, A_program_computes_what_is_shared_once_and_refuses_other_rows) {
  const auto a = Expression::compile("delay * 2 + 1", kInputs);
  const auto b = Expression::compile("(delay * 2 + 1) / seats", kInputs);
  ASSERT_TRUE(a.ok() && b.ok());
  const Program program({*a, *b});
  ASSERT_EQ(program.inputs().size(), 2U);
  const auto out = program.run({Value::of(1.5), Value::of(std::int64_t{2})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].number, 4.0);
  EXPECT_EQ((*out)[1].number, 2.0);
  EXPECT_FALSE(program.run({Value::of(1.5)}).ok());
  EXPECT_FALSE(program.run({Value::of(std::int64_t{1}), Value::of(1.5)}).ok());
}

}  // namespace
}  // namespace strata::platform::expressions
