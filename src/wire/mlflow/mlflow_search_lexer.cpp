#include "wire/mlflow/mlflow_search_lexer.hpp"

#include "base/bytes.hpp"

namespace strata::wire::mlflow {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_operator(char c) {
  return c == '<' || c == '>' || c == '=' || c == '!' || c == '~';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> all() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && is_space(text_[at_]))
        ++at_;
      if (at_ == text_.size()) return tokens;
      auto token = next();
      if (!token) return std::move(token).error();
      tokens.push_back(std::move(*token));
    }
  }

 private:
  Result<Token> next() {
    const char c = text_[at_];
    if (c == '\'') return quoted_text();
    if (c == '(') return list();
    if (is_operator(c)) return run(TokenKind::kOperator, is_operator);
    if (is_digit(c) || ((c == '-' || c == '.') && starts_number(at_ + 1))) {
      if (const auto end = number_end(); end != 0) return take(TokenKind::kNumber, end);
    }
    if (is_word(c) || c == '"' || c == '`') return word();
    return invalid("filter",
                   fmt::format("Invalid clause(s) in filter string: unexpected '{}' at position {}",
                               printable(text_.substr(at_, 1)), at_ + 1));
  }

  bool starts_number(std::size_t at) const {
    if (at < text_.size() && text_[at] == '.') ++at;
    return at < text_.size() && is_digit(text_[at]);
  }

  // End of a decimal number at the cursor, or 0 when what stands there is a name that begins with a
  // digit.
  std::size_t number_end() const {
    std::size_t end = at_;
    if (text_[end] == '-') ++end;
    while (end < text_.size() && is_digit(text_[end]))
      ++end;
    if (end < text_.size() && text_[end] == '.') {
      ++end;
      while (end < text_.size() && is_digit(text_[end]))
        ++end;
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      std::size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '-' || text_[exponent] == '+')) ++exponent;
      if (exponent < text_.size() && is_digit(text_[exponent])) {
        while (exponent < text_.size() && is_digit(text_[exponent]))
          ++exponent;
        end = exponent;
      }
    }
    return end < text_.size() && is_word(text_[end]) ? 0 : end;
  }

  Token take(TokenKind kind, std::size_t end) {
    Token token{kind, std::string(text_.substr(at_, end - at_)), {}};
    at_ = end;
    return token;
  }

  Token run(TokenKind kind, bool (*belongs)(char)) {
    std::size_t end = at_;
    while (end < text_.size() && belongs(text_[end]))
      ++end;
    return take(kind, end);
  }

  // Index behind the closing quote; a doubled quote stays inside, as in SQL.
  Result<std::size_t> quote_end(std::size_t at) const {
    const char quote = text_[at];
    for (std::size_t i = at + 1; i < text_.size(); ++i) {
      if (text_[i] != quote) continue;
      if (i + 1 < text_.size() && text_[i + 1] == quote) {
        ++i;
        continue;
      }
      return i + 1;
    }
    return invalid(
        "filter",
        fmt::format("Invalid clause(s) in filter string: the quote {} at position {} is not closed",
                    quote, at + 1));
  }

  Result<Token> quoted_text() {
    return quote_end(at_).transform([&](std::size_t end) { return take(TokenKind::kText, end); });
  }

  Result<Token> word() {
    std::size_t end = at_;
    while (end < text_.size()) {
      if (text_[end] == '"' || text_[end] == '`') {
        auto closed = quote_end(end);
        if (!closed) return std::move(closed).error();
        end = *closed;
      } else if (is_word(text_[end])) {
        while (end < text_.size() && is_word(text_[end]))
          ++end;
      } else {
        break;
      }
      if (end >= text_.size() || text_[end] != '.') break;
      ++end;
    }
    return take(TokenKind::kWord, end);
  }

  Result<Token> list() {
    const std::size_t start = at_++;
    Token token{TokenKind::kList, "", {}};
    bool comma = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_space(c)) {
        ++at_;
      } else if (c == ')') {
        ++at_;
        token.text = std::string(text_.substr(start, at_ - start));
        if (token.items.empty()) break;
        return token;
      } else if (c == ',' && !comma) {
        comma = true;
        ++at_;
      } else if ((c == '\'' || c == '"') && comma) {
        auto end = quote_end(at_);
        if (!end) return std::move(end).error();
        token.items.emplace_back(text_.substr(at_ + 1, *end - at_ - 2));
        at_ = *end;
        comma = false;
      } else {
        break;
      }
    }
    return invalid("filter",
                   "While parsing a list in the query, expected a non-empty list of quoted string "
                   "values such as ('a', 'b')");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<Token>> lex_search(std::string_view text) {
  return Lexer(text).all();
}

}  // namespace strata::wire::mlflow
