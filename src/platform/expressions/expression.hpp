#pragma once

// The typed tree that an expression becomes: inputs, constants and calls of kernels, nothing else.
// Private to the room.

#include <memory>
#include <string>
#include <vector>

#include "platform/expressions/expressions.hpp"

namespace strata::platform::expressions {

struct Expression::Node {
  Type type = Type::kBool;
  const Kernel* kernel = nullptr;  // of a call
  std::vector<std::shared_ptr<const Node>> arguments;
  std::string input;  // its name; empty for constants and calls
  Value constant;
  std::string canonical;
  int depth = 1;
};

}  // namespace strata::platform::expressions
