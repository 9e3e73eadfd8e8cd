#include "wire/flow/json_reader.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::wire {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | (code >> 18U));
    out += static_cast<char>(0x80U | ((code >> 12U) & 0x3FU));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

}  // namespace

JsonReader::JsonReader(std::string_view text, std::size_t origin) : text_(text), origin_(origin) {
  if (!is_utf8(text_)) fail("the text is not valid UTF-8");
}

bool JsonReader::fail(std::string_view what) {
  if (!error_) {
    error_ = Error(Code::kMalformed, fmt::format("JSON at byte {}: {}", origin_ + at_, what));
  }
  return false;
}

void JsonReader::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
    ++at_;
  }
}

JsonReader::Kind JsonReader::peek() {
  if (failed()) return Kind::kEnd;
  skip_space();
  if (at_ >= text_.size()) return Kind::kEnd;
  if (text_[at_] == '[') return Kind::kArray;
  return text_[at_] == '{' ? Kind::kObject : Kind::kScalar;
}

bool JsonReader::enter(char open, std::string_view what) {
  if (failed()) return false;
  skip_space();
  if (at_ >= text_.size() || text_[at_] != open) return fail(fmt::format("expected {}", what));
  if (depth_ >= kMaxDepth) return fail(fmt::format("nested deeper than {}", kMaxDepth));
  ++at_;
  first_[static_cast<std::size_t>(++depth_)] = true;
  return true;
}

bool JsonReader::enter_object() {
  return enter('{', "an object");
}
bool JsonReader::enter_array() {
  return enter('[', "an array");
}

bool JsonReader::next_item(char close) {
  if (failed()) return false;
  skip_space();
  if (at_ >= text_.size()) return fail("the text ends inside an array or object");
  if (text_[at_] == close) {
    ++at_;
    --depth_;
    return false;
  }
  bool& first = first_[static_cast<std::size_t>(depth_)];
  if (!first) {
    if (text_[at_] != ',') return fail(fmt::format("expected ',' or '{}'", close));
    ++at_;
    skip_space();
  }
  first = false;
  return true;
}

bool JsonReader::next_member(std::string& name) {
  if (!next_item('}')) return false;
  if (at_ >= text_.size() || text_[at_] != '"') return fail("expected a member name in quotes");
  if (!read_text(name)) return false;
  skip_space();
  if (at_ >= text_.size() || text_[at_] != ':') return fail("expected ':' after a member name");
  ++at_;
  return true;
}

bool JsonReader::next_element() {
  return next_item(']');
}

bool JsonReader::word(std::string_view w) {
  if (text_.substr(at_, w.size()) != w) return false;
  at_ += w.size();
  return true;
}

bool JsonReader::scalar(JsonScalar& out) {
  if (failed()) return false;
  skip_space();
  if (at_ >= text_.size()) return fail("the text ends where a value should stand");
  switch (text_[at_]) {
    case '"':
      out.kind = JsonScalar::Kind::kText;
      return read_text(out.text);
    case 't':
    case 'f':
      out.kind = JsonScalar::Kind::kBool;
      out.boolean = text_[at_] == 't';
      return word(out.boolean ? "true" : "false") || fail("expected a value");
    case 'n':
      out.kind = JsonScalar::Kind::kNull;
      return word("null") || fail("expected a value");
    case 'N':
      out.kind = JsonScalar::Kind::kDouble;
      out.number = std::numeric_limits<double>::quiet_NaN();
      return word("NaN") || fail("expected a value");
    case 'I':
      out.kind = JsonScalar::Kind::kDouble;
      out.number = std::numeric_limits<double>::infinity();
      return word("Infinity") || fail("expected a value");
    case '[':
    case '{':
      return fail("expected a number, text, true, false or null");
    default:
      return read_number(out);
  }
}

bool JsonReader::text(std::string& out) {
  if (failed()) return false;
  skip_space();
  if (at_ >= text_.size() || text_[at_] != '"') return fail("expected a text in quotes");
  return read_text(out);
}

bool JsonReader::read_number(JsonScalar& out) {
  if (word("-Infinity")) {
    out.kind = JsonScalar::Kind::kDouble;
    out.number = -std::numeric_limits<double>::infinity();
    return true;
  }
  const std::size_t start = at_;
  std::size_t i = at_;
  const auto digits = [&] {
    const std::size_t before = i;
    while (i < text_.size() && is_digit(text_[i]))
      ++i;
    return i - before;
  };
  if (i < text_.size() && text_[i] == '-') ++i;
  const std::size_t whole = i;
  if (digits() == 0) return fail("expected a value");
  if (text_[whole] == '0' && i - whole > 1) return fail("a number starts with 0");
  bool integral = true;
  if (i < text_.size() && text_[i] == '.') {
    integral = false;
    ++i;
    if (digits() == 0) return fail("no digit behind the decimal point");
  }
  if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
    integral = false;
    ++i;
    if (i < text_.size() && (text_[i] == '+' || text_[i] == '-')) ++i;
    if (digits() == 0) return fail("no digit in the exponent");
  }
  const char* const from = text_.data() + start;
  const char* const to = text_.data() + i;
  at_ = i;
  if (integral) {
    out.kind = JsonScalar::Kind::kInt;
    if (std::from_chars(from, to, out.integer).ec == std::errc{}) return true;
    out.kind = JsonScalar::Kind::kUnsigned;
    if (*from != '-' && std::from_chars(from, to, out.unsigned_integer).ec == std::errc{})
      return true;
  }
  out.kind = JsonScalar::Kind::kDouble;
  if (std::from_chars(from, to, out.number).ec == std::errc{}) return true;
  // from_chars does not tell a number that is too large from one that is too close to zero.
  out.number = std::strtod(std::string(from, to).c_str(), nullptr);
  if (std::isinf(out.number)) {
    at_ = start;
    return fail("a number is too large");
  }
  return true;
}

bool JsonReader::read_text(std::string& out) {
  ++at_;
  out.clear();
  while (true) {
    const std::size_t stop = text_.find_first_of("\"\\", at_);
    if (stop == std::string_view::npos) return fail("a text is not closed");
    const auto plain = text_.substr(at_, stop - at_);
    for (const char c : plain) {
      if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a text");
    }
    out += plain;
    at_ = stop + 1;
    if (text_[stop] == '"') return true;
    if (!read_escape(out)) return false;
  }
}

bool JsonReader::read_hex4(std::uint32_t& out) {
  if (at_ + 4 > text_.size()) return fail("a \\u escape is cut off");
  const auto digits = text_.substr(at_, 4);
  const auto done = std::from_chars(digits.data(), digits.data() + 4, out, 16);
  if (done.ec != std::errc{} || done.ptr != digits.data() + 4)
    return fail("a \\u escape needs 4 hex digits");
  at_ += 4;
  return true;
}

bool JsonReader::read_escape(std::string& out) {
  if (at_ >= text_.size()) return fail("a text is not closed");
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char c = text_[at_++];
  if (const auto known = kNames.find(c); known != std::string_view::npos) {
    out += kMeanings[known];
    return true;
  }
  if (c != 'u') return fail("an unknown escape in a text");
  std::uint32_t code = 0;
  if (!read_hex4(code)) return false;
  if (code >= 0xDC00 && code < 0xE000) return fail("a lone surrogate in a text");
  if (code >= 0xD800 && code < 0xDC00) {
    std::uint32_t low = 0;
    if (!word("\\u") || !read_hex4(low) || low < 0xDC00 || low >= 0xE000) {
      return fail("a lone surrogate in a text");
    }
    code = 0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00);
  }
  append_utf8(out, code);
  return true;
}

std::string_view JsonReader::skip() {
  const Kind kind = peek();
  const std::size_t start = at_;
  std::string name;
  if (kind == Kind::kObject) {
    enter_object();
    while (next_member(name))
      skip();
  } else if (kind == Kind::kArray) {
    enter_array();
    while (next_element())
      skip();
  } else {
    JsonScalar ignored;
    scalar(ignored);
  }
  return failed() ? std::string_view() : text_.substr(start, at_ - start);
}

bool JsonReader::finish() {
  if (failed()) return false;
  skip_space();
  return at_ == text_.size() || fail("unexpected text behind the JSON value");
}

}  // namespace strata::wire
