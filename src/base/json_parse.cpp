#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"

namespace strata {

namespace {

// Recursive descent over the text; the depth limit keeps the stack bounded.
class Parser {
 public:
  Parser(std::string_view text, JsonLimits limits) : text_(text), limits_(limits) {}

  Result<Json> document() {
    if (!is_utf8(text_)) return Error(Code::kMalformed, "JSON text is not valid UTF-8");
    auto value = parse_value(0);
    if (!value) return value;
    skip_space();
    if (at_ != text_.size()) return fail("unexpected text after the JSON value");
    return value;
  }

 private:
  Error fail(std::string_view what) const {
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n' ? 1U : 0U;
    }
    return Error(Code::kMalformed, fmt::format("JSON line {} column {}: {}", line, column, what));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Result<Json> parse_value(int depth) {
    skip_space();
    if (at_ >= text_.size()) return fail("the text ends where a value should stand");
    if (depth >= limits_.depth && (text_[at_] == '{' || text_[at_] == '['))
      return fail(fmt::format("nested deeper than {}", limits_.depth));
    switch (text_[at_]) {
      case '{':
        return parse_object(depth);
      case '[':
        return parse_array(depth);
      case '"':
        return parse_string().transform([](std::string s) { return Json(std::move(s)); });
      case 't':
        if (take_word("true")) return Json(true);
        break;
      case 'f':
        if (take_word("false")) return Json(false);
        break;
      case 'n':
        if (take_word("null")) return Json();
        break;
      default:
        return parse_number();
    }
    return fail("expected a value");
  }

  Result<Json> parse_object(int depth) {
    ++at_;
    Json::Object members;
    if (take('}')) return Json(std::move(members));
    while (true) {
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '"') return fail("expected a member name in quotes");
      auto name = parse_string();
      if (!name) return std::move(name).error();
      if (!take(':')) return fail("expected ':' after the member name");
      auto value = parse_value(depth + 1);
      if (!value) return value;
      members.emplace_back(*std::move(name), *std::move(value));
      if (take('}')) return Json(std::move(members));
      if (!take(',')) return fail("expected ',' or '}'");
    }
  }

  Result<Json> parse_array(int depth) {
    ++at_;
    Json::Array items;
    if (take(']')) return Json(std::move(items));
    while (true) {
      auto value = parse_value(depth + 1);
      if (!value) return value;
      items.push_back(*std::move(value));
      if (take(']')) return Json(std::move(items));
      if (!take(',')) return fail("expected ',' or ']'");
    }
  }

  Result<std::string> parse_string() {
    ++at_;
    std::string out;
    while (true) {
      const std::size_t stop = text_.find_first_of("\"\\", at_);
      if (stop == std::string_view::npos) return fail("a string is not closed");
      const auto plain = text_.substr(at_, stop - at_);
      for (const char c : plain) {
        if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
      }
      out += plain;
      at_ = stop + 1;
      if (text_[stop] == '"') return out;
      auto done = parse_escape(out);
      if (!done) return std::move(done).error();
    }
  }

  Status parse_escape(std::string& out) {
    if (at_ >= text_.size()) return fail("a string is not closed");
    const char c = text_[at_++];
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out += c;
        return {};
      case 'b':
        out += '\b';
        return {};
      case 'f':
        out += '\f';
        return {};
      case 'n':
        out += '\n';
        return {};
      case 'r':
        out += '\r';
        return {};
      case 't':
        out += '\t';
        return {};
      case 'u':
        return parse_unicode(out);
      default:
        return fail("unknown escape in a string");
    }
  }

  std::optional<std::uint32_t> hex4() {
    if (at_ + 4 > text_.size()) return std::nullopt;
    std::uint32_t unit = 0;
    const auto [end, fault] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, unit, 16);
    if (fault != std::errc() || end != text_.data() + at_ + 4) return std::nullopt;
    at_ += 4;
    return unit;
  }

  Status parse_unicode(std::string& out) {
    const auto first = hex4();
    if (!first) return fail("\\u needs four hexadecimal digits");
    std::uint32_t point = *first;
    if (point >= 0xD800 && point <= 0xDBFF) {
      if (!take_word("\\u")) return fail("a high surrogate without its low one");
      const auto low = hex4();
      if (!low || *low < 0xDC00 || *low > 0xDFFF)
        return fail("a high surrogate without its low one");
      point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00);
    } else if (point >= 0xDC00 && point <= 0xDFFF) {
      return fail("a low surrogate without its high one");
    }
    append_utf8(out, point);
    return {};
  }

  static void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) {
      out += static_cast<char>(byte);
    };
    if (point < 0x80) {
      put(point);
    } else if (point < 0x800) {
      put(0xC0 | (point >> 6));
      put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      put(0xE0 | (point >> 12));
      put(0x80 | ((point >> 6) & 0x3F));
      put(0x80 | (point & 0x3F));
    } else {
      put(0xF0 | (point >> 18));
      put(0x80 | ((point >> 12) & 0x3F));
      put(0x80 | ((point >> 6) & 0x3F));
      put(0x80 | (point & 0x3F));
    }
  }

  // The length of a number by the grammar of RFC 8259, 0 when there is none.
  std::size_t number_length(bool& integral) const {
    std::size_t i = at_;
    const auto digit = [&] {
      return i < text_.size() && text_[i] >= '0' && text_[i] <= '9';
    };
    if (i < text_.size() && text_[i] == '-') ++i;
    if (!digit()) return 0;
    if (text_[i] == '0') {
      ++i;
    } else {
      while (digit())
        ++i;
    }
    integral = true;
    if (i < text_.size() && text_[i] == '.') {
      integral = false;
      ++i;
      if (!digit()) return 0;
      while (digit())
        ++i;
    }
    if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
      integral = false;
      ++i;
      if (i < text_.size() && (text_[i] == '+' || text_[i] == '-')) ++i;
      if (!digit()) return 0;
      while (digit())
        ++i;
    }
    return i - at_;
  }

  Result<Json> parse_number() {
    bool integral = false;
    const std::size_t length = number_length(integral);
    if (length == 0) return fail("expected a value");
    const char* begin = text_.data() + at_;
    const char* end = begin + length;
    at_ += length;
    if (integral) {
      std::int64_t i = 0;
      if (std::from_chars(begin, end, i).ec == std::errc()) return Json(i);
      std::uint64_t u = 0;
      if (*begin != '-' && std::from_chars(begin, end, u).ec == std::errc()) return Json(u);
    }
    double d = 0;
    const auto [stop, fault] = std::from_chars(begin, end, d);
    if (fault == std::errc::result_out_of_range)
      return fail("a number is out of the range of a double");
    return Json(d);
  }

  std::string_view text_;
  JsonLimits limits_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  return Parser(text, limits).document();
}

}  // namespace strata
