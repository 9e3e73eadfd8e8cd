#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire::mlflow {

enum class TokenKind : std::uint8_t { kWord, kText, kNumber, kOperator, kList };

struct Token {
  TokenKind kind = TokenKind::kWord;
  std::string text;                // exactly as written, for messages and keys
  std::vector<std::string> items;  // of a list
};

// A word is a dotted name whose parts may be quoted by " or `; a text is quoted by '; a list stands
// in parentheses. Errors: kInvalidArgument for an open quote or parenthesis, or a character that
// starts no token.
Result<std::vector<Token>> lex_search(std::string_view text);

}  // namespace strata::wire::mlflow
