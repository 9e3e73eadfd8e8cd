#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace strata {

// A JSON value (RFC 8259). Objects keep their members' order, so that what is written stays
// readable and digests are stable. Integers that fit 64 bits stay exact; a double is written in its
// shortest round-trip form.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}                                     // NOLINT(google-explicit-constructor)
  Json(bool v) : value_(v) {}                                 // NOLINT(google-explicit-constructor)
  Json(int v) : value_(static_cast<std::int64_t>(v)) {}       // NOLINT(google-explicit-constructor)
  Json(unsigned v) : value_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  Json(long v) : value_(static_cast<std::int64_t>(v)) {}      // NOLINT(google-explicit-constructor)
  Json(long long v)
      : value_(static_cast<std::int64_t>(v)) {}         // NOLINT(google-explicit-constructor)
  Json(unsigned long v) { set_unsigned(v); }            // NOLINT(google-explicit-constructor)
  Json(unsigned long long v) { set_unsigned(v); }       // NOLINT(google-explicit-constructor)
  Json(double v) : value_(v) {}                         // NOLINT(google-explicit-constructor)
  Json(std::string v) : value_(std::move(v)) {}         // NOLINT(google-explicit-constructor)
  Json(std::string_view v) : value_(std::string(v)) {}  // NOLINT(google-explicit-constructor)
  Json(const char* v) : value_(std::string(v)) {}       // NOLINT(google-explicit-constructor)
  Json(Array v) : value_(std::move(v)) {}               // NOLINT(google-explicit-constructor)
  Json(Object v) : value_(std::move(v)) {}              // NOLINT(google-explicit-constructor)

  static Json object() { return Json(Object{}); }
  static Json array() { return Json(Array{}); }
  // {{"name", value}, ...} written in place.
  static Json object(std::initializer_list<Member> members) { return Json(Object(members)); }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_uint64() const { return std::holds_alternative<std::uint64_t>(value_); }
  bool is_number() const {
    return is_int() || is_uint64() || std::holds_alternative<double>(value_);
  }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  // "null", "boolean", "integer", "number", "string", "array" or "object", for messages.
  std::string_view type_name() const;

  // Undefined unless the value has that type: ask first.
  bool as_bool() const { return std::get<bool>(value_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(value_); }
  const std::string& as_string() const { return std::get<std::string>(value_); }
  const Array& as_array() const { return std::get<Array>(value_); }
  Array& as_array() { return std::get<Array>(value_); }
  const Object& as_object() const { return std::get<Object>(value_); }
  Object& as_object() { return std::get<Object>(value_); }
  // Any number as a double (0 for everything else); uint64 for what does not fit a signed integer.
  double as_double() const;
  std::uint64_t as_uint64() const;

  // The member called `name`, or null when this is no object or has none. With repeated names the
  // last one counts.
  const Json* find(std::string_view name) const;
  const Json& operator[](std::string_view name) const;  // a shared null when absent
  // Sets or replaces a member; a null value becomes an object first.
  Json& set(std::string_view name, Json value);
  void push(Json value);
  std::size_t size() const;

  // Member lookups with a default, for documents that we wrote ourselves.
  std::string text(std::string_view name, std::string_view fallback = "") const;
  std::int64_t integer(std::string_view name, std::int64_t fallback = 0) const;
  double number(std::string_view name, double fallback = 0) const;
  bool boolean(std::string_view name, bool fallback = false) const;

  // Compact text, or indented by `indent` spaces. Non-finite doubles are written as "NaN",
  // "Infinity" and "-Infinity" strings.
  std::string dump(int indent = 0) const;
  void dump_to(std::string& out, int indent = 0, int level = 0) const;

  bool operator==(const Json&) const = default;

 private:
  void set_unsigned(std::uint64_t v);
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      value_;
};

struct JsonLimits {
  int depth = 64;  // arrays and objects within each other
};

// Parses one JSON document. Rejects invalid UTF-8, bare NaN and trailing text.
// Errors: kMalformed with line and column.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

// Appends `text` quoted and escaped; invalid UTF-8 bytes become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
// Appends the shortest text that reads back as the same double.
void append_json_double(std::string& out, double value);

}  // namespace strata
