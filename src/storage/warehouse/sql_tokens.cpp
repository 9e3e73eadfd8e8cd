#include "base/text.hpp"
#include "storage/warehouse/sql_text.hpp"

namespace strata::storage::warehouse {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
// Bytes above 127 belong to letters of other scripts.
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool in_word(char c) {
  return starts_word(c) || is_digit(c) || c == '$';
}

// Reads tokens one by one; the rules are PostgreSQL's lexer's, which DuckDB took over.
class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  Result<std::vector<SqlToken>> run() {
    std::vector<SqlToken> tokens;
    while (true) {
      STRATA_TRY(skip_blanks());
      if (at_ >= sql_.size()) return tokens;
      auto token = next();
      if (!token) return std::move(token).error();
      tokens.push_back(std::move(*token));
    }
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }

  Error unfinished(std::size_t begin, std::string_view what) const {
    return invalid(place_in(sql_, begin), "this " + std::string(what) + " has no end");
  }

  Status skip_blanks() {
    while (at_ < sql_.size()) {
      if (is_space(sql_[at_])) {
        ++at_;
      } else if (peek() == '-' && peek(1) == '-') {
        while (at_ < sql_.size() && sql_[at_] != '\n')
          ++at_;
      } else if (peek() == '/' && peek(1) == '*') {
        STRATA_TRY(skip_comment());
      } else {
        break;
      }
    }
    return {};
  }

  Status skip_comment() {  // comments nest
    const std::size_t begin = at_;
    int depth = 0;
    do {
      if (at_ >= sql_.size()) return unfinished(begin, "comment");
      if (peek() == '/' && peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (peek() == '*' && peek(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0);
    return {};
  }

  Result<SqlToken> next() {
    const std::size_t begin = at_;
    const char c = peek();
    if (c == '\'') return quoted(begin, SqlToken::Kind::kText, '\'', false);
    if (c == '"') return quoted(begin, SqlToken::Kind::kQuotedName, '"', false);
    if ((c == 'e' || c == 'E') && peek(1) == '\'') {
      ++at_;
      return quoted(begin, SqlToken::Kind::kText, '\'', true);
    }
    if (c == '$' && !is_digit(peek(1))) {
      if (const auto tag = dollar_tag()) return dollar_text(begin, *tag);
    }
    if (starts_word(c)) {
      while (at_ < sql_.size() && in_word(sql_[at_]))
        ++at_;
      return SqlToken{SqlToken::Kind::kWord, to_lower(sql_.substr(begin, at_ - begin)), begin, at_};
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      while (at_ < sql_.size() && (in_word(sql_[at_]) || sql_[at_] == '.'))
        ++at_;
      return SqlToken{SqlToken::Kind::kNumber, std::string(sql_.substr(begin, at_ - begin)), begin,
                      at_};
    }
    ++at_;
    return SqlToken{SqlToken::Kind::kSign, std::string(1, c), begin, at_};
  }

  Result<SqlToken> quoted(std::size_t begin, SqlToken::Kind kind, char quote, bool escapes) {
    std::string value;
    ++at_;
    while (at_ < sql_.size()) {
      const char c = sql_[at_];
      if (c == quote && peek(1) == quote) {
        value += quote;
        at_ += 2;
      } else if (c == quote) {
        ++at_;
        return SqlToken{kind, std::move(value), begin, at_};
      } else if (escapes && c == '\\' && at_ + 1 < sql_.size()) {
        value +=
            sql_.substr(at_, 2);  // decoded by the engine; here only the end of the text matters
        at_ += 2;
      } else {
        value += c;
        ++at_;
      }
    }
    return unfinished(begin, kind == SqlToken::Kind::kText ? "text" : "name");
  }

  // "$tag$" at the current place, if one stands there.
  std::optional<std::string> dollar_tag() const {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && (starts_word(sql_[end]) || is_digit(sql_[end])))
      ++end;
    if (end >= sql_.size() || sql_[end] != '$') return std::nullopt;
    return std::string(sql_.substr(at_, end + 1 - at_));
  }

  Result<SqlToken> dollar_text(std::size_t begin, const std::string& tag) {
    const std::size_t content = begin + tag.size();
    const std::size_t end = sql_.find(tag, content);
    if (end == std::string_view::npos) return unfinished(begin, "text");
    at_ = end + tag.size();
    return SqlToken{SqlToken::Kind::kText, std::string(sql_.substr(content, end - content)), begin,
                    at_};
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

bool matches_class(std::string_view pattern, std::size_t& p, char c) {
  std::size_t i = p + 1;
  const bool inverted = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (inverted) ++i;
  bool found = false;
  bool first = true;
  for (; i < pattern.size() && (first || pattern[i] != ']'); ++i, first = false) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (c >= pattern[i] && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || c == pattern[i];
    }
  }
  if (i >= pattern.size()) return false;
  p = i + 1;
  return found != inverted;
}

// One path segment. Iterative with one point to return to, so no pattern takes more than quadratic
// time.
bool matches_segment(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    std::size_t after = p;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && pattern[p] == '[' && matches_class(pattern, after, text[t])) {
      p = after;
      ++t;
    } else if (p < pattern.size() && pattern[p] != '[' &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

}  // namespace

Result<std::vector<SqlToken>> tokenize_sql(std::string_view sql) {
  return Lexer(sql).run();
}

std::pair<int, int> line_and_column(std::string_view script, std::size_t at) {
  int line = 1;
  int column = 1;
  for (std::size_t i = 0; i < at && i < script.size(); ++i) {
    if (script[i] == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(script[i]) & 0xC0U) != 0x80U) {
      ++column;
    }
  }
  return {line, column};
}

std::string place_in(std::string_view script, std::size_t at) {
  const auto [line, column] = line_and_column(script, at);
  return "sql:" + std::to_string(line) + ":" + std::to_string(column);
}

namespace {
std::string quote(std::string_view text, char sign) {
  std::string out(1, sign);
  for (const char c : text) {
    if (c == sign) out += sign;
    out += c;
  }
  return out + sign;
}
}  // namespace

std::string quote_sql_text(std::string_view text) {
  return quote(text, '\'');
}
std::string quote_sql_name(std::string_view name) {
  return quote(name, '"');
}

bool has_pattern(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

bool matches_pattern(std::string_view pattern, std::string_view key) {
  const auto wanted = split(pattern, '/');
  const auto given = split(key, '/');
  // reach[i]: the pattern's segments so far can cover the first i segments of the key.
  std::vector<char> reach(given.size() + 1, 0);
  reach[0] = 1;
  for (const auto& segment : wanted) {
    std::vector<char> next(given.size() + 1, 0);
    if (segment == "**") {
      char seen = 0;
      for (std::size_t i = 0; i <= given.size(); ++i)
        next[i] = seen = static_cast<char>(seen | reach[i]);
    } else {
      for (std::size_t i = 0; i < given.size(); ++i) {
        if (reach[i] != 0 && matches_segment(segment, given[i])) next[i + 1] = 1;
      }
    }
    reach = std::move(next);
  }
  return reach.back() != 0;
}

RewrittenSql::RewrittenSql(std::string_view script, std::size_t begin, std::size_t end,
                           const std::vector<Change>& changes) {
  std::size_t from = begin;
  for (const auto& change : changes) {
    pieces_.push_back({text_.size(), from, false});
    text_ += script.substr(from, change.begin - from);
    pieces_.push_back({text_.size(), change.begin, true});
    text_ += change.text;
    from = change.end;
  }
  pieces_.push_back({text_.size(), from, false});
  text_ += script.substr(from, end - from);
}

std::size_t RewrittenSql::original(std::size_t at) const {
  const Piece* found = pieces_.data();
  for (const auto& piece : pieces_) {
    if (piece.at <= at) found = &piece;
  }
  return found->replaced ? found->from : found->from + (at - found->at);
}

}  // namespace strata::storage::warehouse
