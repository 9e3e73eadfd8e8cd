#include "platform/expressions/syntax.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::platform::expressions {

namespace {

using Kind = Syntax::Kind;

struct Token {
  enum class Kind : std::uint8_t { kWord, kQuoted, kText, kNumber, kSign, kEnd };
  Kind kind = Kind::kEnd;
  std::string value;  // words as they stand, names and texts without their quotes
  std::size_t at = 0;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

constexpr std::array<std::string_view, 21> kSigns = {"<=", ">=", "<>", "!=", "||", "::", "//",
                                                     "<",  ">",  "=",  "+",  "-",  "*",  "/",
                                                     "%",  "(",  ")",  ",",  ".",  "[",  "]"};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> all() {
    std::vector<Token> out;
    while (true) {
      while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_]))
        ++at_;
      const std::size_t begin = at_;
      if (at_ == text_.size()) {
        out.push_back({Token::Kind::kEnd, "", begin});
        return out;
      }
      auto token = next();
      if (!token) return std::move(token).error();
      token->at = begin;
      out.push_back(*std::move(token));
    }
  }

 private:
  Result<Token> next() {
    const char c = text_[at_];
    if (c == '\'' || c == '"') return quoted(c);
    if (is_letter(c)) return Token{Token::Kind::kWord, run(&Lexer::is_word), 0};
    const bool number =
        is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]));
    if (number) return Token{Token::Kind::kNumber, read_number(), 0};
    for (const auto sign : kSigns) {
      if (!text_.substr(at_).starts_with(sign)) continue;
      at_ += sign.size();
      return Token{Token::Kind::kSign, std::string(sign), 0};
    }
    return fault_at(
        at_, fmt::format("'{}' is no part of an expression", printable(text_.substr(at_, 1))));
  }
  static bool is_word(char c) { return is_letter(c) || is_digit(c); }
  std::string run(bool (*belongs)(char)) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && belongs(text_[at_]))
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string read_number() {
    std::string out = run(&is_digit);
    if (at_ < text_.size() && text_[at_] == '.') {
      out += text_[at_++];
      out += run(&is_digit);
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      out += text_[at_++];
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) out += text_[at_++];
      out += run(&is_digit);
    }
    return out;
  }
  Result<Token> quoted(char quote) {
    const std::size_t begin = at_++;
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c != quote) {
        value += c;
      } else if (at_ < text_.size() && text_[at_] == quote) {
        value += text_[at_++];
      } else {
        return Token{quote == '"' ? Token::Kind::kQuoted : Token::Kind::kText, std::move(value), 0};
      }
    }
    return fault_at(begin, "the quote that opens here never closes");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

constexpr std::array<std::string_view, 15> kReserved = {"and",     "or",   "not",  "case",  "when",
                                                        "then",    "else", "end",  "is",    "in",
                                                        "between", "null", "true", "false", "cast"};

// Recursive descent, from what binds least to what binds most.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Syntax> whole() {
    auto out = either();
    if (!out) return out;
    if (here().kind != Token::Kind::kEnd) return unexpected("the end of the expression");
    return out;
  }

 private:
  using Rule = Result<Syntax> (Parser::*)();

  const Token& here() const { return tokens_[next_]; }
  bool is_word(std::string_view word) const {
    return here().kind == Token::Kind::kWord && equal_ignoring_case(here().value, word);
  }
  bool is_sign(std::string_view sign) const {
    return here().kind == Token::Kind::kSign && here().value == sign;
  }
  bool take_word(std::string_view word) {
    if (!is_word(word)) return false;
    ++next_;
    return true;
  }
  bool take_sign(std::string_view sign) {
    if (!is_sign(sign)) return false;
    ++next_;
    return true;
  }
  Error unexpected(std::string_view wanted) const {
    if (here().kind == Token::Kind::kEnd)
      return fault_at(here().at, fmt::format("the expression ends where {} should stand", wanted));
    return fault_at(
        here().at, fmt::format("'{}' stands where {} should", printable(here().value, 40), wanted));
  }

  static Result<Syntax> made(Kind kind, std::string text, std::vector<Syntax> arguments,
                             std::size_t at) {
    Syntax out{kind, std::move(text), std::move(arguments), at, 1};
    for (const auto& argument : out.arguments)
      out.depth = std::max(out.depth, argument.depth + 1);
    if (out.depth > kMaxDepth)
      return fault_at(at, fmt::format("the expression is nested more than {} deep", kMaxDepth));
    return out;
  }
  static Result<Syntax> call(std::string name, std::vector<Syntax> arguments, std::size_t at) {
    return made(Kind::kCall, std::move(name), std::move(arguments), at);
  }
  static Result<Syntax> call(std::string name, Syntax left, Syntax right, std::size_t at) {
    std::vector<Syntax> both;
    both.push_back(std::move(left));
    both.push_back(std::move(right));
    return call(std::move(name), std::move(both), at);
  }
  static Result<Syntax> call(std::string name, Syntax only, std::size_t at) {
    std::vector<Syntax> one;
    one.push_back(std::move(only));
    return call(std::move(name), std::move(one), at);
  }

  // Operators of one strength, from left to right.
  Result<Syntax> chain(Rule operand, std::span<const std::string_view> signs) {
    auto left = (this->*operand)();
    while (left) {
      const std::size_t at = here().at;
      const auto sign = std::ranges::find_if(
          signs, [&](std::string_view one) { return is_sign(one) || is_word(one); });
      if (sign == signs.end()) return left;
      ++next_;
      auto right = (this->*operand)();
      if (!right) return right;
      left = call(std::string(*sign), *std::move(left), *std::move(right), at);
    }
    return left;
  }
  Result<Syntax> either() {
    static constexpr std::array<std::string_view, 1> kOr = {"OR"};
    return chain(&Parser::both, kOr);
  }
  Result<Syntax> both() {
    static constexpr std::array<std::string_view, 1> kAnd = {"AND"};
    return chain(&Parser::negated, kAnd);
  }
  Result<Syntax> negated() {
    const std::size_t at = here().at;
    if (!take_word("NOT")) return compared();
    if (++nesting_ > kMaxDepth) return fault_at(at, "too many NOT");
    auto of = negated();
    --nesting_;
    if (!of) return of;
    return call("NOT", *std::move(of), at);
  }
  Result<Syntax> compared() {
    auto left = joined();
    if (!left) return left;
    const std::size_t at = here().at;
    for (const std::string_view sign : {"=", "<>", "!=", "<=", ">=", "<", ">"}) {
      if (!take_sign(sign)) continue;
      auto right = joined();
      if (!right) return right;
      return call(sign == "!=" ? "<>" : std::string(sign), *std::move(left), *std::move(right), at);
    }
    if (take_word("IS")) {
      const bool no = take_word("NOT");
      if (!take_word("NULL")) return unexpected("NULL");
      return wrapped(call("IS NULL", *std::move(left), at), no, at);
    }
    const bool no = is_word("NOT");
    if (no) ++next_;
    if (take_word("IN")) return wrapped(list_of("IN", *std::move(left), at), no, at);
    if (take_word("BETWEEN")) return wrapped(range(*std::move(left), at), no, at);
    if (no) return unexpected("IN or BETWEEN");
    return left;
  }
  static Result<Syntax> wrapped(Result<Syntax> inner, bool no, std::size_t at) {
    if (!inner || !no) return inner;
    return call("NOT", *std::move(inner), at);
  }
  Result<Syntax> range(Syntax value, std::size_t at) {
    auto low = joined();
    if (!low) return low;
    if (!take_word("AND")) return unexpected("AND");
    auto high = joined();
    if (!high) return high;
    std::vector<Syntax> all;
    all.push_back(std::move(value));
    all.push_back(*std::move(low));
    all.push_back(*std::move(high));
    return call("BETWEEN", std::move(all), at);
  }
  Result<Syntax> joined() {
    static constexpr std::array<std::string_view, 1> kJoin = {"||"};
    return chain(&Parser::sum, kJoin);
  }
  Result<Syntax> sum() {
    static constexpr std::array<std::string_view, 2> kSum = {"+", "-"};
    return chain(&Parser::product, kSum);
  }
  Result<Syntax> product() {
    static constexpr std::array<std::string_view, 4> kProduct = {"*", "//", "/", "%"};
    return chain(&Parser::signed_value, kProduct);
  }
  Result<Syntax> signed_value() {
    const std::size_t at = here().at;
    if (!take_sign("-")) return cast();
    if (here().kind == Token::Kind::kNumber) {  // so that the least integer can be written
      tokens_[next_].value.insert(0, "-");
      return cast();
    }
    if (++nesting_ > kMaxDepth) return fault_at(at, "too many signs");
    auto of = signed_value();
    --nesting_;
    if (!of) return of;
    return call("NEGATE", *std::move(of), at);
  }
  Result<Syntax> cast() {
    auto value = primary();
    while (value) {
      const std::size_t at = here().at;
      if (!take_sign("::")) return value;
      if (here().kind != Token::Kind::kWord) return unexpected("a type");
      value = cast_to(*std::move(value), at);
    }
    return value;
  }
  Result<Syntax> cast_to(Syntax value, std::size_t at) {
    std::string type = tokens_[next_++].value;
    std::vector<Syntax> one;
    one.push_back(std::move(value));
    return made(Kind::kCast, std::move(type), std::move(one), at);
  }

  Result<Syntax> primary() {
    const Token token = here();
    if (token.kind == Token::Kind::kNumber) {
      ++next_;
      const bool whole = token.value.find_first_of(".eE") == std::string::npos;
      return made(whole ? Kind::kInteger : Kind::kDecimal, token.value, {}, token.at);
    }
    if (token.kind == Token::Kind::kText) {
      ++next_;
      return made(Kind::kText, token.value, {}, token.at);
    }
    if (take_sign("(")) {
      if (++nesting_ > kMaxDepth) return fault_at(token.at, "too many brackets");
      auto inner = either();
      --nesting_;
      if (!inner) return inner;
      if (!take_sign(")")) return unexpected("')'");
      return inner;
    }
    if (token.kind == Token::Kind::kWord || token.kind == Token::Kind::kQuoted) {
      if (++nesting_ > kMaxDepth) return fault_at(token.at, "too many calls within each other");
      auto out = word(token);
      --nesting_;
      return out;
    }
    return unexpected("a value");
  }

  Result<Syntax> word(const Token& token) {
    ++next_;
    if (token.kind == Token::Kind::kWord) {
      const std::string lower = to_lower(token.value);
      if (lower == "null") return made(Kind::kNull, "", {}, token.at);
      if (lower == "true" || lower == "false") return made(Kind::kBool, lower, {}, token.at);
      if (lower == "case") return cases(token.at);
      if (lower == "cast") return cast_call(token.at);
      const bool literal = here().kind == Token::Kind::kText;
      if (literal && (lower == "timestamp" || lower == "interval")) {
        return made(lower == "timestamp" ? Kind::kTime : Kind::kInterval, tokens_[next_++].value,
                    {}, token.at);
      }
      if (std::ranges::find(kReserved, lower) != kReserved.end()) {
        --next_;
        return unexpected("a value");
      }
      if (is_sign("(")) return call_of(lower, token.at);
    }
    std::string name = token.value;
    if (take_sign(".")) {
      if (here().kind != Token::Kind::kWord && here().kind != Token::Kind::kQuoted)
        return unexpected("a name");
      name += "." + tokens_[next_++].value;
    }
    return made(Kind::kName, std::move(name), {}, token.at);
  }
  Result<Syntax> call_of(std::string name, std::size_t at) {
    ++next_;
    if (take_sign(")")) return call(std::move(name), std::vector<Syntax>(), at);
    return rest_of_list(std::move(name), {}, at);
  }
  Result<Syntax> list_of(std::string name, Syntax first, std::size_t at) {
    if (!take_sign("(")) return unexpected("'('");
    std::vector<Syntax> all;
    all.push_back(std::move(first));
    return rest_of_list(std::move(name), std::move(all), at);
  }
  Result<Syntax> rest_of_list(std::string name, std::vector<Syntax> all, std::size_t at) {
    do {
      auto one = either();
      if (!one) return one;
      all.push_back(*std::move(one));
    } while (take_sign(","));
    if (!take_sign(")")) return unexpected("',' or ')'");
    return call(std::move(name), std::move(all), at);
  }
  Result<Syntax> cast_call(std::size_t at) {
    if (!take_sign("(")) return unexpected("'('");
    auto value = either();
    if (!value) return value;
    if (!take_word("AS")) return unexpected("AS");
    if (here().kind != Token::Kind::kWord) return unexpected("a type");
    auto out = cast_to(*std::move(value), at);
    if (out && !take_sign(")")) return unexpected("')'");
    return out;
  }
  // Its arguments are condition, value, condition, value ... and what else.
  Result<Syntax> cases(std::size_t at) {
    std::vector<Syntax> all;
    const auto add = [&](Result<Syntax> part) -> Status {
      if (!part) return std::move(part).error();
      all.push_back(*std::move(part));
      return {};
    };
    if (!is_word("WHEN")) return unexpected("WHEN (CASE WHEN condition THEN value ... END)");
    while (take_word("WHEN")) {
      STRATA_TRY(add(either()));
      if (!take_word("THEN")) return unexpected("THEN");
      STRATA_TRY(add(either()));
    }
    STRATA_TRY(add(take_word("ELSE") ? either() : made(Kind::kNull, "", {}, here().at)));
    if (!take_word("END")) return unexpected("END");
    return call("CASE", std::move(all), at);
  }

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int nesting_ = 0;
};

}  // namespace

Error fault_at(std::size_t at, std::string_view what) {
  return invalid("expression", fmt::format("column {}: {}", at + 1, what));
}

Result<Syntax> parse_expression(std::string_view text) {
  if (text.size() > kMaxExpression) {
    return invalid("expression", fmt::format("{} bytes are more than an expression may have ({})",
                                             text.size(), kMaxExpression));
  }
  if (!is_utf8(text)) return invalid("expression", "the text is not UTF-8");
  if (const auto zero = text.find('\0'); zero != std::string_view::npos)
    return fault_at(zero, "a zero byte is no part of an expression");
  auto tokens = Lexer(text).all();
  if (!tokens) return std::move(tokens).error();
  return Parser(*std::move(tokens)).whole();
}

}  // namespace strata::platform::expressions
