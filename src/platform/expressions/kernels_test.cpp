#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "platform/expressions/expressions.hpp"

namespace strata::platform::expressions {
namespace {

constexpr std::int64_t kMin = INT64_MIN;
constexpr std::int64_t kMax = INT64_MAX;
const Value kNullInt = Value::null(Type::kInt64);

Value run(std::string_view name, const std::vector<Value>& arguments) {
  const Kernel* const kernel = find_kernel(name);
  EXPECT_NE(kernel, nullptr) << name;
  auto out = call(*kernel, arguments);
  EXPECT_TRUE(out.ok());
  return *out;
}
Value number(std::int64_t value) {
  return Value::of(value);
}
Value time(const std::string& text) {
  return run("str_to_ts", {Value::of(text)});
}
std::string text(const Value& value) {
  return value.present ? value.text : "NULL";
}

TEST(Kernels, Integers_that_do_not_fit_are_null) {
  EXPECT_FALSE(run("add_i64", {number(kMax), number(1)}).present);
  EXPECT_FALSE(run("sub_i64", {number(kMin), number(1)}).present);
  EXPECT_FALSE(run("mul_i64", {number(kMin), number(-1)}).present);
  EXPECT_FALSE(run("neg_i64", {number(kMin)}).present);
  EXPECT_FALSE(run("abs_i64", {number(kMin)}).present);
  EXPECT_FALSE(run("div_i64", {number(kMin), number(-1)}).present);
  EXPECT_FALSE(run("div_i64", {number(1), number(0)}).present);
  EXPECT_FALSE(run("mod_i64", {number(1), number(0)}).present);
  EXPECT_EQ(run("mod_i64", {number(kMin), number(-1)}).integer, 0);
  EXPECT_EQ(run("div_i64", {number(-7), number(2)}).integer, -3);
  EXPECT_EQ(run("mod_i64", {number(-7), number(2)}).integer, -1);
  EXPECT_FALSE(run("add_i64", {kNullInt, number(1)}).present);
}

TEST(Kernels, Rounding_is_to_nearest_and_ties_to_even) {
  EXPECT_EQ(run("f64_to_i64", {Value::of(2.5)}).integer, 2);
  EXPECT_EQ(run("f64_to_i64", {Value::of(3.5)}).integer, 4);
  EXPECT_EQ(run("f64_to_i64", {Value::of(-0x1p63)}).integer, kMin);
  EXPECT_FALSE(run("f64_to_i64", {Value::of(0x1p63)}).present);
  EXPECT_FALSE(run("f64_to_i64", {Value::of(std::nan(""))}).present);
  EXPECT_EQ(run("round_f64", {Value::of(-2.5)}).number, -2.0);
  EXPECT_EQ(run("i64_to_f64", {number(9007199254740993)}).number, 9007199254740992.0);
}

TEST(Kernels, Every_nan_is_the_same_and_greater_than_all_else) {
  const Value nan = run("sub_f64", {Value::of(HUGE_VAL), Value::of(HUGE_VAL)});
  const Value negative = run("neg_f64", {nan});
  EXPECT_TRUE(nan.same_bits(negative));
  EXPECT_TRUE(nan.same_bits(Value::of(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_EQ(run("eq_f64", {nan, nan}).integer, 1);
  EXPECT_EQ(run("lt_f64", {Value::of(HUGE_VAL), nan}).integer, 1);
  EXPECT_EQ(run("eq_f64", {Value::of(0.0), Value::of(-0.0)}).integer, 1);
  EXPECT_TRUE(std::isinf(run("div_f64", {Value::of(1.0), Value::of(0.0)}).number));
}

TEST(Kernels, Logic_knows_what_null_leaves_open) {
  const Value yes = Value::of(true);
  const Value no = Value::of(false);
  const Value open = Value::null(Type::kBool);
  EXPECT_TRUE(run("and_b", {open, no}).same_bits(no));
  EXPECT_TRUE(run("and_b", {yes, open}).same_bits(open));
  EXPECT_TRUE(run("or_b", {open, yes}).same_bits(yes));
  EXPECT_TRUE(run("or_b", {no, open}).same_bits(open));
  EXPECT_EQ(run("if_i64", {open, number(1), number(2)}).integer, 2);
  EXPECT_EQ(run("coalesce_i64", {kNullInt, number(2)}).integer, 2);
  EXPECT_EQ(run("greatest_i64", {number(1), kNullInt}).integer, 1);
  EXPECT_EQ(run("is_null_i64", {kNullInt}).integer, 1);
}

TEST(Kernels, Texts_count_characters) {
  EXPECT_EQ(run("length_str", {Value::of(std::string("Zürich"))}).integer, 6);
  EXPECT_EQ(text(run("substr_str", {Value::of(std::string("Zürich")), number(2), number(2)})),
            "ür");
  EXPECT_EQ(text(run("substr_str", {Value::of(std::string("abc")), number(-1), number(3)})), "a");
  EXPECT_EQ(text(run("substr_str", {Value::of(std::string("abc")), number(2), number(kMax)})),
            "bc");
  EXPECT_EQ(text(run("substr_str", {Value::of(std::string("abc")), number(1), number(-1)})),
            "NULL");
  EXPECT_EQ(text(run("upper_str", {Value::of(std::string("aü"))})), "Aü");
  EXPECT_EQ(text(run("replace_str", {Value::of(std::string("aXbX")), Value::of(std::string("X")),
                                     Value::of(std::string(""))})),
            "ab");
  EXPECT_EQ(text(run("trim_str", {Value::of(std::string(" \ta b "))})), "a b");
}

TEST(Kernels, Casts_read_what_they_write_and_nothing_else) {
  EXPECT_EQ(run("str_to_i64", {Value::of(std::string(" +42 "))}).integer, 42);
  for (const auto* const bad : {"", "4.0", "0x10", "9223372036854775808", "1 2", "+-3"})
    EXPECT_FALSE(run("str_to_i64", {Value::of(std::string(bad))}).present) << bad;
  EXPECT_EQ(text(run("f64_to_str", {Value::of(0.1)})), "0.1");
  EXPECT_EQ(run("str_to_f64", {Value::of(std::string("-Infinity"))}).number, -HUGE_VAL);
  EXPECT_FALSE(run("str_to_f64", {Value::of(std::string("nanny"))}).present);
  EXPECT_EQ(text(run("ts_to_str", {time("2024-02-29 12:30+02:00")})),
            "2024-02-29T10:30:00.000000Z");
  for (const auto* const bad :
       {"2023-02-29", "2024-13-01", "2024-01-01T24:00:00", "2024-01-01T00:00:00.1234567", "noon"})
    EXPECT_FALSE(time(bad).present) << bad;
}

TEST(Kernels, Hours_and_days_are_those_of_the_zone) {
  const Value berlin = Value::of(std::string("Europe/Berlin"));
  EXPECT_EQ(run("hour_ts", {time("2024-03-31T00:59:59Z"), berlin}).integer, 1);
  EXPECT_EQ(run("hour_ts", {time("2024-03-31T01:00:00Z"), berlin}).integer, 3);
  // Clocks show two twice; the hours stay apart.
  const Value first = run("trunc_hour_ts", {time("2024-10-27T00:30:00Z"), berlin});
  const Value second = run("trunc_hour_ts", {time("2024-10-27T01:30:00Z"), berlin});
  EXPECT_EQ(second.integer - first.integer, 3'600'000'000);
  // In Sao Paulo midnight was skipped on that day.
  const Value day = run(
      "trunc_day_ts", {time("2018-11-04T12:00:00Z"), Value::of(std::string("America/Sao_Paulo"))});
  EXPECT_EQ(text(run("ts_to_str", {day})), "2018-11-04T03:00:00.000000Z");
  EXPECT_FALSE(
      run("hour_ts", {time("2024-01-01"), Value::of(std::string("Nowhere/None"))}).present);
}

TEST(Kernels, Weeks_are_those_of_iso_8601) {
  const Value utc = Value::of(std::string("UTC"));
  EXPECT_EQ(run("week_ts", {time("2021-01-03"), utc}).integer, 53);
  EXPECT_EQ(run("week_ts", {time("2024-12-30"), utc}).integer, 1);
  EXPECT_EQ(run("weekday_ts", {time("2024-12-29"), utc}).integer, 7);
  EXPECT_EQ(run("day_of_year_ts", {time("2024-12-31"), utc}).integer, 366);
  EXPECT_EQ(run("year_ts", {time("1969-12-31T23:59:59.999999Z"), utc}).integer, 1969);
}

TEST(Kernels, Times_beyond_what_a_year_of_four_digits_can_say_are_null) {
  EXPECT_FALSE(run("i64_to_ts", {number(kLastMicros + 1)}).present);
  EXPECT_FALSE(run("add_ts", {Value::of_micros(kLastMicros), number(1)}).present);
  EXPECT_TRUE(run("i64_to_ts", {number(kFirstMicros)}).present);
}

// Of the reference implementation (xxHash, BSD-2-Clause): XXH64 of nothing, seed 0.
TEST(Kernels, Hashes_are_xxh64) {
  EXPECT_EQ(static_cast<std::uint64_t>(run("hash_str", {Value::of(std::string(""))}).integer),
            0xEF46DB3751D8E999U);
  EXPECT_EQ(run("hash_f64", {Value::of(-0.0)}).integer, run("hash_f64", {Value::of(0.0)}).integer);
  EXPECT_EQ(run("bucket_i64", {number(-1), number(10)}).integer, 5);  // 2^64 - 1
}

TEST(Kernels, A_call_with_other_types_is_refused) {
  EXPECT_FALSE(call(*find_kernel("add_i64"), {number(1), Value::of(1.0)}).ok());
  EXPECT_FALSE(call(*find_kernel("add_i64"), {number(1)}).ok());
}

}  // namespace
}  // namespace strata::platform::expressions
