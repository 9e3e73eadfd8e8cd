#pragma once

// The text of an expression as a tree, before names and types mean anything. Private to the room.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::platform::expressions {

struct Syntax {
  enum class Kind : std::uint8_t {
    kNull,
    kBool,
    kInteger,
    kDecimal,
    kText,
    kTime,      // TIMESTAMP '...'
    kInterval,  // INTERVAL '...'
    kName,      // "a" or "a.b"
    kCall,      // also operators, by their sign: "+", "IS NULL", "CASE", "BETWEEN", "NEGATE"
    kCast       // to the type `text`
  };
  Kind kind = Kind::kNull;
  std::string text;
  std::vector<Syntax> arguments;
  std::size_t at = 0;  // byte in the expression
  int depth = 1;
};

inline constexpr std::size_t kMaxExpression = 8192;  // bytes
inline constexpr int kMaxDepth = 100;

// Errors: kInvalidArgument with the column, field "expression".
Result<Syntax> parse_expression(std::string_view text);
// The error of a place in an expression.
Error fault_at(std::size_t at, std::string_view what);

}  // namespace strata::platform::expressions
