#pragma once

// What feature definitions compute with: the kernels, and their call on single values. The contract
// of a kernel stands at struct Kernel.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "platform/expressions/kernels.hpp"

namespace strata::platform::expressions {

// One value or NULL of a type.
struct Value {
  Type type = Type::kInt64;
  bool present = false;
  std::int64_t integer = 0;  // bool (0 or 1), int64, timestamp
  double number = 0;
  std::string text;

  static Value null(Type type);
  static Value of(bool value);
  static Value of(std::int64_t value);
  static Value of(double value);
  static Value of(std::string value);
  static Value of_micros(std::int64_t micros);
  // The same type, both NULL or both the same bits.
  bool same_bits(const Value& other) const;
};

// Calls a kernel on one row. Never blocks, but for the first use of a time zone. Errors:
// kInvalidArgument when the arguments are not of the kernel's types.
Result<Value> call(const Kernel& kernel, const std::vector<Value>& arguments);

}  // namespace strata::platform::expressions
