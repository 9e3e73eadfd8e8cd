#include "wire/growthbook/js_value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace strata::wire::growthbook {

namespace {

// Ten to this power and more is written with an exponent.
constexpr int kLongest = 21;

std::string with_exponent(const std::string& digits, int point) {
  std::string out = digits.substr(0, 1);
  if (digits.size() > 1) out += "." + digits.substr(1);
  out += point > 0 ? "e+" : "e-";
  return out + std::to_string(std::abs(point - 1));
}

// Shortest digits that read back as the same number, and where the point stands behind the first.
std::string place_point(const std::string& digits, int point) {
  const int count = static_cast<int>(digits.size());
  if (count <= point && point <= kLongest)
    return digits + std::string(static_cast<std::size_t>(point - count), '0');
  if (0 < point && point <= kLongest) {
    const auto at = static_cast<std::size_t>(point);
    return digits.substr(0, at) + "." + digits.substr(at);
  }
  if (-6 < point && point <= 0)
    return "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  return with_exponent(digits, point);
}

// An array index as ECMA-262 has it: such keys come first in an object, by value.
std::optional<std::uint64_t> index_of(std::string_view key) {
  if (key.empty() || key.size() > 10 || (key.size() > 1 && key.front() == '0')) return {};
  std::uint64_t value = 0;
  for (const char c : key) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value >= std::numeric_limits<std::uint32_t>::max()) return {};
  return value;
}

void stringify(const Json& value, std::string& out);

void stringify_object(const Json& value, std::string& out) {
  std::vector<std::string_view> named;
  std::vector<std::pair<std::uint64_t, std::string_view>> indexed;
  for (const auto& [name, member] : value.as_object()) {
    if (const auto index = index_of(name)) {
      indexed.emplace_back(*index, name);
    } else if (std::ranges::find(named, name) == named.end()) {
      named.push_back(name);
    }
  }
  std::ranges::sort(indexed);
  const auto repeated = std::ranges::unique(indexed);
  indexed.erase(repeated.begin(), repeated.end());
  std::vector<std::string_view> all;
  all.reserve(indexed.size() + named.size());
  for (const auto& entry : indexed)
    all.push_back(entry.second);
  all.insert(all.end(), named.begin(), named.end());
  out += '{';
  for (const auto name : all) {
    if (out.back() != '{') out += ',';
    append_json_string(out, name);
    out += ':';
    stringify(value[name], out);
  }
  out += '}';
}

void stringify(const Json& value, std::string& out) {
  if (value.is_number()) {
    out += js_number_text(value.as_double());
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& element : value.as_array()) {
      if (!first) out += ',';
      first = false;
      stringify(element, out);
    }
    out += ']';
  } else if (value.is_object()) {
    stringify_object(value, out);
  } else {
    out += value.dump();
  }
}

// StringToNumber without a sign: decimal, or with the prefix of another base.
double unsigned_number(std::string_view text) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text.empty() || (text.front() != '.' && (text.front() < '0' || text.front() > '9')))
    return kNan;
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec == std::errc::result_out_of_range) {
    const auto exponent = text.find_first_of("eE");
    const bool small = exponent == std::string_view::npos
                           ? text.starts_with("0.") || text.starts_with(".")
                           : text.substr(exponent + 1)[0] == '-';
    return small ? 0 : std::numeric_limits<double>::infinity();
  }
  return end.ec == std::errc() && end.ptr == text.data() + text.size() ? value : kNan;
}

double text_number(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return 0;
  text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  if (text.size() > 2 && text[0] == '0') {
    const char kind = static_cast<char>(text[1] | 0x20);
    const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (base != 0) {
      double value = 0;
      for (const char c : text.substr(2)) {
        const int digit = c >= '0' && c <= '9'                     ? c - '0'
                          : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                   : 16;
        if (digit >= base) return std::numeric_limits<double>::quiet_NaN();
        value = value * base + digit;
      }
      return value;
    }
  }
  const bool minus = text.front() == '-';
  if (minus || text.front() == '+') text.remove_prefix(1);
  const double value = unsigned_number(text);
  return minus ? -value : value;
}

}  // namespace

std::string js_number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (value == 0) return "0";
  if (value < 0) return "-" + js_number_text(-value);
  if (std::isinf(value)) return "Infinity";
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
  const std::string_view all(text, static_cast<std::size_t>(end.ptr - text));
  const auto e = all.find('e');
  std::string digits(all.substr(0, 1));
  if (e > 2) digits += all.substr(2, e - 2);
  const char* const power = text + e + (all[e + 1] == '+' ? 2 : 1);
  int exponent = 0;
  std::from_chars(power, end.ptr, exponent);  // what to_chars wrote
  return place_point(digits, exponent + 1);
}

std::string js_text(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_number()) return js_number_text(value.as_double());
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_null()) return "null";
  if (value.is_object()) return "[object Object]";
  std::string out;
  bool first = true;
  for (const Json& element : value.as_array()) {
    if (!first) out += ',';
    first = false;
    if (!element.is_null()) out += js_text(element);
  }
  return out;
}

std::string js_stringify(const Json& value) {
  std::string out;
  stringify(value, out);
  return out;
}

double js_number(const Json& value) {
  if (value.is_number()) return value.as_double();
  if (value.is_null()) return 0;
  if (value.is_bool()) return value.as_bool() ? 1 : 0;
  return text_number(js_text(value));
}

bool js_truthy(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_bool()) return value.as_bool();
  if (value.is_number()) return value.as_double() != 0 && !std::isnan(value.as_double());
  return !value.is_string() || !value.as_string().empty();
}

bool js_same(const Json& value, const Json& other) {
  if (value.is_number() && other.is_number()) return value.as_double() == other.as_double();
  if (value.is_object() || value.is_array()) return false;
  return value == other;
}

int js_order(const Json& value, const Json& other) {
  const auto is_text = [](const Json& v) {
    return v.is_string() || v.is_array() || v.is_object();
  };
  if (is_text(value) && is_text(other)) {
    const int order = utf16(js_text(value)).compare(utf16(js_text(other)));
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  const double a = js_number(value);
  const double b = js_number(other);
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : a > b ? 1 : 0;
}

std::u16string utf16(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t c = size == 1 ? lead : lead & (0x7FU >> size);
    for (std::size_t k = 1; k < size && i + k < text.size(); ++k)
      c = (c << 6U) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    i += size;
    if (c >= 0x10000) {
      c -= 0x10000;
      out += static_cast<char16_t>(0xD800 + (c >> 10U));
      c = 0xDC00 + (c & 0x3FFU);
    }
    out += static_cast<char16_t>(c);
  }
  return out;
}

void append_cesu8(std::string& out, char32_t unit) {
  if (unit < 0x80) {
    out += static_cast<char>(unit);
  } else if (unit < 0x800) {
    out += static_cast<char>(0xC0U | (unit >> 6U));
    out += static_cast<char>(0x80U | (unit & 0x3FU));
  } else {
    out += static_cast<char>(0xE0U | (unit >> 12U));
    out += static_cast<char>(0x80U | ((unit >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (unit & 0x3FU));
  }
}

std::string cesu8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char16_t unit : utf16(text))
    append_cesu8(out, unit);
  return out;
}

}  // namespace strata::wire::growthbook
