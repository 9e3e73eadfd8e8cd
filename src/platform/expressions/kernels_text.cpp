// Texts, and casts from and to them. Letters are those of ASCII; lengths and places count
// characters of UTF-8.

#include <charconv>

#include "base/text.hpp"
#include "platform/expressions/kernel_forms.hpp"

namespace strata::platform::expressions {

namespace {

using Int = std::int64_t;
using Text = std::string_view;

constexpr std::size_t kMaxText = 1U << 20U;  // what a kernel makes; more is NULL

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

bool length_str(Arena&, Int& out, Text a) {
  for (const char c : a)
    out += begins_character(c) ? 1 : 0;
  return true;
}
template <char First, char Last, int Shift>
bool shift_letters(Arena& arena, Text& out, Text a) {
  std::string text(a);
  for (char& c : text) {
    if (c >= First && c <= Last) c = static_cast<char>(c + Shift);
  }
  out = arena.keep(std::move(text));
  return true;
}
bool trim_str(Arena&, Text& out, Text a) {
  constexpr Text kBlanks = " \t\n\v\f\r";
  const auto begin = a.find_first_not_of(kBlanks);
  out = begin == Text::npos ? Text() : a.substr(begin, a.find_last_not_of(kBlanks) - begin + 1);
  return true;
}
bool concat_str(Arena& arena, Text& out, Text a, Text b) {
  if (a.size() + b.size() > kMaxText) return false;
  std::string text(a);
  text += b;
  out = arena.keep(std::move(text));
  return true;
}
bool contains_str(Arena&, bool& out, Text a, Text b) {
  out = a.contains(b);
  return true;
}
bool starts_with_str(Arena&, bool& out, Text a, Text b) {
  out = a.starts_with(b);
  return true;
}
bool ends_with_str(Arena&, bool& out, Text a, Text b) {
  out = a.ends_with(b);
  return true;
}
// As SQL has it: characters from..from+count-1, counted from 1, as far as there are any.
bool substr_str(Arena&, Text& out, Text a, Int from, Int count) {
  if (count < 0) return false;
  Int end = 0;
  if (__builtin_add_overflow(from, count, &end)) end = INT64_MAX;
  std::size_t first = a.size();
  std::size_t behind = a.size();
  Int place = 0;
  for (std::size_t at = 0; at < a.size(); ++at) {
    if (!begins_character(a[at])) continue;
    ++place;
    if (place >= from && first == a.size()) first = at;
    if (place >= end) {
      behind = at;
      break;
    }
  }
  out = first < behind ? a.substr(first, behind - first) : Text();
  return true;
}
bool replace_str(Arena& arena, Text& out, Text a, Text from, Text by) {
  if (from.empty()) {
    out = a;
    return true;
  }
  std::string text;
  for (std::size_t at = 0;;) {
    const auto next = a.find(from, at);
    text += a.substr(at, next == Text::npos ? Text::npos : next - at);
    if (next == Text::npos) break;
    text += by;
    if (text.size() > kMaxText) return false;
    at = next + from.size();
  }
  if (text.size() > kMaxText) return false;
  out = arena.keep(std::move(text));
  return true;
}

Text trimmed(Text a) {
  Text out;
  Arena unused;
  trim_str(unused, out, a);
  return out;
}

bool str_to_i64(Arena&, Int& out, Text a) {
  Text digits = trimmed(a);
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
}
// Decimal, to the nearest double; what is out of range, too large or too small, has no value.
bool str_to_f64(Arena&, double& out, Text a) {
  Text digits = trimmed(a);
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  const std::string word = to_lower(digits);
  const bool negative = word.starts_with('-');
  const Text bare = negative ? Text(word).substr(1) : Text(word);
  if (bare == "nan") {
    out = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  if (bare == "inf" || bare == "infinity") {
    out = negative ? -std::numeric_limits<double>::infinity()
                   : std::numeric_limits<double>::infinity();
    return true;
  }
  if (bare.empty() || !(bare[0] == '.' || (bare[0] >= '0' && bare[0] <= '9'))) return false;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
}
bool str_to_b(Arena&, bool& out, Text a) {
  const std::string word = to_lower(trimmed(a));
  out = word == "true" || word == "t" || word == "1";
  return out || word == "false" || word == "f" || word == "0";
}
bool str_to_ts(Arena&, Micros& out, Text a) {
  return parse_time(trimmed(a), out);
}
bool i64_to_str(Arena& arena, Text& out, Int a) {
  out = arena.keep(std::to_string(a));
  return true;
}
// The shortest text that reads back as the same double.
bool f64_to_str(Arena& arena, Text& out, double a) {
  if (std::isnan(a)) {
    out = "NaN";
  } else if (std::isinf(a)) {
    out = a < 0 ? "-Infinity" : "Infinity";
  } else {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), a).ptr;
    out = arena.keep(std::string(text.data(), end));
  }
  return true;
}
bool b_to_str(Arena&, Text& out, bool a) {
  out = a ? "true" : "false";
  return true;
}
bool ts_to_str(Arena& arena, Text& out, Micros a) {
  out = arena.keep(time_text(a));
  return true;
}

}  // namespace

void add_text_kernels(std::vector<Kernel>& to) {
  const std::initializer_list<Kernel> all = {kernel<&length_str>("length_str"),
                                             kernel<&shift_letters<'A', 'Z', 32>>("lower_str"),
                                             kernel<&shift_letters<'a', 'z', -32>>("upper_str"),
                                             kernel<&trim_str>("trim_str"),
                                             kernel<&concat_str>("concat_str"),
                                             kernel<&contains_str>("contains_str"),
                                             kernel<&starts_with_str>("starts_with_str"),
                                             kernel<&ends_with_str>("ends_with_str"),
                                             kernel<&substr_str>("substr_str"),
                                             kernel<&replace_str>("replace_str"),
                                             kernel<&str_to_i64>("str_to_i64"),
                                             kernel<&str_to_f64>("str_to_f64"),
                                             kernel<&str_to_b>("str_to_b"),
                                             kernel<&str_to_ts>("str_to_ts"),
                                             kernel<&i64_to_str>("i64_to_str"),
                                             kernel<&f64_to_str>("f64_to_str"),
                                             kernel<&b_to_str>("b_to_str"),
                                             kernel<&ts_to_str>("ts_to_str")};
  to.insert(to.end(), all.begin(), all.end());
}

}  // namespace strata::platform::expressions
