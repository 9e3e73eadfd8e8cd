#include "wire/growthbook/regex.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <re2/re2.h>

#include "wire/growthbook/js_value.hpp"

namespace strata::wire::growthbook {

namespace {

constexpr std::int64_t kMaxMemory = 4 << 20;
constexpr char32_t kLast = 0xFFFF;
// They fold to ASCII for RE2 and to nothing of ASCII for JavaScript.
constexpr char32_t kLongS = 0x17F;
constexpr char32_t kKelvin = 0x212A;

using Range = std::pair<char32_t, char32_t>;
using Ranges = std::vector<Range>;

const Ranges kDigits = {{'0', '9'}};
const Ranges kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                       {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                       {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const Ranges kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

Ranges merged(Ranges ranges) {
  std::ranges::sort(ranges);
  Ranges out;
  for (const auto& range : ranges) {
    if (!out.empty() && range.first <= out.back().second + 1) {
      out.back().second = std::max(out.back().second, range.second);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

Ranges others(const Ranges& ranges) {
  Ranges out;
  char32_t next = 0;
  for (const auto& [first, last] : merged(ranges)) {
    if (first > next) out.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLast) out.emplace_back(next, kLast);
  return out;
}

void append_class(std::string& out, const Ranges& ranges) {
  if (ranges.empty()) {
    out += "[^\\x{0}-\\x{10FFFF}]";
    return;
  }
  out += '[';
  for (const auto& [first, last] : ranges)
    out += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<unsigned>(first),
                       static_cast<unsigned>(last));
  out += ']';
}

// Both cases of the ASCII letters in it.
void add_other_case(Ranges& ranges) {
  const Ranges before = ranges;
  for (const auto& [first, last] : before) {
    for (char32_t c = std::max<char32_t>(first, 'A'); c <= std::min<char32_t>(last, 'z'); ++c) {
      const char32_t lower = c | 0x20U;
      if (lower >= 'a' && lower <= 'z') ranges.emplace_back(c ^ 0x20U, c ^ 0x20U);
    }
  }
}

// Rewrites one pattern. The first fault ends it.
class Rewriter {
 public:
  Rewriter(std::string_view pattern, bool fold) : text_(utf16(pattern)), fold_(fold) {}

  Result<std::string> run() {
    while (at_ < text_.size() && !fault_)
      term();
    if (depth_ > 0 && !fault_) fail("a '(' is not closed");
    if (fault_) return *std::move(fault_);
    return std::move(out_);
  }

 private:
  bool more(std::size_t ahead = 0) const { return at_ + ahead < text_.size(); }
  char16_t peek(std::size_t ahead = 0) const { return more(ahead) ? text_[at_ + ahead] : u'\0'; }
  bool looking_at(std::u16string_view word) const {
    return std::u16string_view(text_).substr(at_).starts_with(word);
  }
  void fail(std::string_view what) {
    if (!fault_)
      fault_ = Error(Code::kInvalidArgument, fmt::format("{} at character {}", what, at_));
  }

  void term() {
    switch (const char16_t c = text_[at_++]) {
      case u'(':
        return group();
      case u')':
        out_ += ')';
        if (--depth_ < 0) fail("a ')' closes nothing");
        return;
      case u'|':
      case u'*':
      case u'+':
      case u'?':
        out_ += static_cast<char>(c);
        return;
      case u'^':
        out_ += "\\A";
        return;
      case u'$':
        out_ += "\\z";
        return;
      case u'.':
        return append(others(kLineEnds));
      case u'[':
        return char_class();
      case u'{':
        return counted();
      case u'\\':
        return escape();
      default:
        append({{c, c}});
    }
  }

  void group() {
    ++depth_;
    if (peek() != u'?') {
      out_ += "(?:";
      return;
    }
    if (looking_at(u"?:")) {
      at_ += 2;
      out_ += "(?:";
      return;
    }
    for (const std::u16string_view look : {u"?=", u"?!", u"?<=", u"?<!"}) {
      if (looking_at(look)) return fail("look-around ('(?=', '(?!', '(?<=', '(?<!')");
    }
    if (!looking_at(u"?<")) return fail("'(?' must be followed by ':' or '<name>'");
    const auto end = text_.find(u'>', at_);
    if (end == std::u16string::npos || end == at_ + 2) return fail("a group's name is not closed");
    at_ = end + 1;
    named_ = true;
    out_ += "(?:";
  }

  // {2}, {2,}, {2,5}; any other brace stands for itself.
  void counted() {
    std::size_t end = at_;
    const auto digits = [&] {
      const std::size_t from = end;
      while (end < text_.size() && text_[end] >= u'0' && text_[end] <= u'9')
        ++end;
      return end > from;
    };
    bool valid = digits();
    if (valid && end < text_.size() && text_[end] == u',') {
      ++end;
      digits();
    }
    valid = valid && end < text_.size() && text_[end] == u'}';
    if (!valid) return append({{'{', '{'}});
    out_ += '{';
    for (; at_ <= end; ++at_)
      out_ += static_cast<char>(text_[at_]);
  }

  std::optional<char32_t> hex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char16_t c = peek(i);
      const char16_t lower = c | 0x20U;
      if (c >= u'0' && c <= u'9') {
        value = value * 16 + (c - u'0');
      } else if (lower >= u'a' && lower <= u'f') {
        value = value * 16 + (lower - u'a' + 10);
      } else {
        return {};
      }
    }
    at_ += digits;
    return value;
  }

  // A set such as \d, or nothing.
  static std::optional<Ranges> set_of(char16_t c) {
    switch (c) {
      case u'd':
        return kDigits;
      case u'D':
        return others(kDigits);
      case u'w':
        return kWord;
      case u'W':
        return others(kWord);
      case u's':
        return kSpace;
      case u'S':
        return others(kSpace);
      default:
        return {};
    }
  }

  // The character that an escape behind its backslash stands for; `c` is consumed.
  char32_t escaped(char16_t c) {
    constexpr std::u16string_view kNames = u"tnvfr";
    constexpr std::u16string_view kValues = u"\t\n\v\f\r";
    if (const auto named = kNames.find(c); named != std::u16string_view::npos)
      return kValues[named];
    if (c == u'0' && (peek() < u'0' || peek() > u'9')) return 0;
    if (c == u'x') return hex(2).value_or(c);
    if (c == u'u') return hex(4).value_or(c);
    const char16_t next = peek();
    const bool letter = (next | 0x20U) >= u'a' && (next | 0x20U) <= u'z';
    if (c == u'c' && letter) {
      ++at_;
      return next & 0x1FU;
    }
    if (c == u'c') {
      --at_;  // the backslash stands for itself
      return u'\\';
    }
    return c;
  }

  void escape() {
    if (!more()) return fail("a '\\' at the end");
    const char16_t c = text_[at_++];
    if (c == u'b' || c == u'B') {
      out_ += c == u'b' ? "\\b" : "\\B";
      return;
    }
    if (c >= u'1' && c <= u'9') return fail("a reference to a group ('\\1')");
    if (c == u'k' && (named_ || peek() == u'<'))
      return fail("a reference to a group ('\\k<name>')");
    if (c == u'0' && peek() >= u'0' && peek() <= u'9') return fail("an octal escape ('\\012')");
    if (auto set = set_of(c)) return append(*std::move(set));
    const char32_t one = escaped(c);
    append({{one, one}});
  }

  // One member of a class: its characters, and whether it may begin or end a range.
  std::pair<Ranges, bool> member() {
    const char16_t c = text_[at_++];
    if (c != u'\\') return {{{c, c}}, true};
    if (!more()) {
      fail("a '\\' at the end");
      return {{}, false};
    }
    const char16_t e = text_[at_++];
    if (auto set = set_of(e)) return {*std::move(set), false};
    if (e >= u'1' && e <= u'9') {
      fail("an octal escape ('\\1') in a class");
      return {{}, false};
    }
    const char32_t one = e == u'b' ? U'\b' : escaped(e);
    return {{{one, one}}, true};
  }

  void char_class() {
    const bool negated = peek() == u'^';
    if (negated) ++at_;
    Ranges all;
    while (more() && peek() != u']' && !fault_) {
      auto [low, single] = member();
      if (peek() == u'-' && more(1) && peek(1) != u']' && !fault_) {
        ++at_;
        auto [high, single_too] = member();
        if (single && single_too && !fault_) {
          if (low[0].first > high[0].first) return fail("a range in a class runs backwards");
          all.emplace_back(low[0].first, high[0].first);
          continue;
        }
        all.emplace_back('-', '-');
        all.insert(all.end(), high.begin(), high.end());
      }
      all.insert(all.end(), low.begin(), low.end());
    }
    if (!more()) return fail("a '[' is not closed");
    ++at_;
    negated ? append_negated(std::move(all)) : append(std::move(all));
  }

  // Folds first and negates then: [^a] with the i flag takes neither a nor A.
  void append_negated(Ranges ranges) {
    if (fold_) add_other_case(ranges);
    append_class(out_, others(ranges));
  }

  void append(Ranges ranges) {
    if (!fold_) return append_class(out_, merged(std::move(ranges)));
    add_other_case(ranges);
    ranges = merged(std::move(ranges));
    Ranges plain;
    Ranges folded;
    for (const auto& [first, last] : ranges) {
      if (first < 0x80) plain.emplace_back(first, std::min<char32_t>(last, 0x7F));
      if (last >= 0x80) folded.emplace_back(std::max<char32_t>(first, 0x80), last);
    }
    for (const char32_t odd : {kLongS, kKelvin}) {
      for (std::size_t i = 0; i < folded.size(); ++i) {
        const auto [first, last] = folded[i];
        if (odd < first || odd > last) continue;
        plain.emplace_back(odd, odd);
        folded.erase(folded.begin() + static_cast<std::ptrdiff_t>(i));
        if (first < odd) folded.emplace_back(first, odd - 1);
        if (odd < last) folded.emplace_back(odd + 1, last);
        break;
      }
    }
    if (folded.empty()) return append_class(out_, plain);
    out_ += "(?:";
    if (!plain.empty()) {
      append_class(out_, plain);
      out_ += '|';
    }
    out_ += "(?i:";
    append_class(out_, folded);
    out_ += "))";
  }

  std::u16string text_;
  bool fold_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool named_ = false;
  std::string out_;
  std::optional<Error> fault_;
};

}  // namespace

Regex::Regex(std::unique_ptr<re2::RE2> engine) : engine_(std::move(engine)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern, bool fold) {
  if (pattern.size() > kMaxPattern) {
    return Error(Code::kInvalidArgument,
                 fmt::format("it has {} bytes, {} may be", pattern.size(), kMaxPattern));
  }
  auto rewritten = Rewriter(pattern, fold).run();
  if (!rewritten) return std::move(rewritten).error();
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  auto engine = std::make_unique<re2::RE2>(*rewritten, options);
  if (!engine->ok()) return Error(Code::kInvalidArgument, engine->error());
  return Regex(std::move(engine));
}

bool Regex::search(std::string_view text) const {
  return re2::RE2::PartialMatch(cesu8(text), *engine_);
}

}  // namespace strata::wire::growthbook
