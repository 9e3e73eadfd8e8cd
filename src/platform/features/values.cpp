#include "platform/features/values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace strata::platform::features {

using expressions::Value;

namespace {

constexpr double kExact = 9007199254740992.0;  // 2^53

Error wrong(const std::string& field, const Json& json, std::string_view wanted) {
  const std::string found = json.is_string() ? fmt::format("'{}'", printable(json.as_string(), 40))
                                             : std::string(json.type_name());
  return invalid(field, fmt::format("{}: expected {}, found {}", field, wanted, found));
}

std::optional<double> named_double(const std::string& text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

bool names_a_zone(std::string_view text) {
  if (text.ends_with('Z') || text.ends_with('z')) return true;
  return text.size() > 19 && text.find_first_of("+-", 19) != std::string_view::npos;
}

// Whether digits stand behind the sixth of the fraction that are not zero.
bool is_finer_than_micros(std::string_view text) {
  constexpr std::size_t kFraction = 20;
  if (text.size() < kFraction || text[kFraction - 1] != '.') return false;
  const auto digits =
      text.substr(kFraction, text.find_first_not_of("0123456789", kFraction) - kFraction);
  return digits.size() > 6 && digits.substr(6).find_first_not_of('0') != std::string_view::npos;
}

Result<Value> timestamp_of(const Json& json, const std::string& field) {
  constexpr std::string_view kWanted = "a time such as \"2026-01-31T12:00:00.123456Z\"";
  if (!json.is_string()) return wrong(field, json, kWanted);
  const std::string& text = json.as_string();
  const auto parsed = parse_rfc3339(names_a_zone(text) ? text : text + "Z");
  if (!parsed) return wrong(field, json, kWanted);
  if (is_finer_than_micros(text)) {
    return invalid(field, fmt::format("{}: '{}' is finer than a microsecond; round it first", field,
                                      printable(text)));
  }
  if (parsed->micros < expressions::kFirstMicros || parsed->micros > expressions::kLastMicros)
    return wrong(field, json, "a time of the years 1 to 9999");
  return Value::of_micros(parsed->micros);
}

Result<Value> integer_of(const Json& json, const std::string& field) {
  if (json.is_int()) return Value::of(json.as_int());
  const double number = json.as_double();
  if (json.is_number() && !json.is_uint64() && std::trunc(number) == number &&
      std::abs(number) <= kExact)
    return Value::of(static_cast<std::int64_t>(number));
  return wrong(field, json, "a whole number of 64 bits");
}

}  // namespace

Result<Value> value_of(const Json& json, Type type, const std::string& field,
                       std::size_t max_text) {
  if (json.is_null()) return Value::null(type);
  switch (type) {
    case Type::kBool:
      if (json.is_bool()) return Value::of(json.as_bool());
      return wrong(field, json, "true or false");
    case Type::kInt64:
      return integer_of(json, field);
    case Type::kDouble:
      if (json.is_number()) return Value::of(json.as_double());
      if (json.is_string()) {
        if (const auto number = named_double(json.as_string())) return Value::of(*number);
      }
      return wrong(field, json, "a number");
    case Type::kTimestamp:
      return timestamp_of(json, field);
    case Type::kString:
      break;
  }
  if (!json.is_string()) return wrong(field, json, "a text");
  if (json.as_string().size() <= max_text) return Value::of(json.as_string());
  return invalid(field, fmt::format("{}: has {} bytes and may have {}", field,
                                    json.as_string().size(), max_text));
}

std::string show_micros(std::int64_t micros) {
  const std::int64_t fraction = ((micros % 1'000'000) + 1'000'000) % 1'000'000;
  std::string text = to_rfc3339(Instant{micros - fraction});  // ends in ".000Z"
  text.resize(text.size() - 5);
  return fraction == 0 ? text + "Z" : fmt::format("{}.{:06}Z", text, fraction);
}

Json to_json(const Value& value) {
  if (!value.present) return {};
  switch (value.type) {
    case Type::kBool:
      return value.integer != 0;
    case Type::kDouble:
      return value.number;
    case Type::kString:
      return value.text;
    case Type::kTimestamp:
      return show_micros(value.integer);
    case Type::kInt64:
      break;
  }
  return value.integer;
}

}  // namespace strata::platform::features
