#pragma once

// What feature definitions compute with: a scalar expression language, compiled into kernels that
// run on single rows online and in SQL offline. The contract of a kernel stands at struct Kernel.

#include <functional>
#include <map>
#include <memory>
#include <optional>
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

// What an expression reads: a column, a field of a request, a feature ("view.feature").
struct Input {
  std::string name;
  Type type = Type::kInt64;
};

// A compiled expression: typed, immutable, and in one canonical form, so that texts that compute
// the same by the same kernels are equal. Blanks, brackets, the case of words, sugar (BETWEEN, IN,
// CASE, bucketize), the direction of comparisons and the order of the operands of what commutes
// leave no trace in it.
class Expression {
 public:
  struct Node;

  // Errors: kInvalidArgument, field "expression", with the column, the reason and the fix: syntax,
  // unknown names and functions, types that do not fit.
  static Result<Expression> compile(std::string_view text, const std::vector<Input>& inputs);

  Type type() const;
  const std::string& canonical() const;
  // "sha256:..." of the canonical form and its format's number.
  std::string digest() const;
  // What it really reads, by name.
  std::vector<Input> inputs() const;
  // The same in the SQL of the warehouse's engine. `column` gives the SQL of an input, which is
  // cast to its type.
  std::string to_sql(const std::function<std::string(const Input&)>& column) const;

 private:
  friend class Program;
  explicit Expression(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

// Evaluates expressions on single rows; what several of them share is computed once. Immutable:
// any thread may run it.
class Program {
 public:
  explicit Program(const std::vector<Expression>& expressions);

  // What a row has to bring, in this order.
  const std::vector<Input>& inputs() const { return inputs_; }
  // One value for each expression. Never blocks, but for the first use of a time zone. Errors:
  // kInvalidArgument when `row` does not fit inputs().
  Result<std::vector<Value>> run(const std::vector<Value>& row) const;

 private:
  // Fills the register of its own number: from the row, a constant, or by a kernel.
  struct Step {
    const Kernel* kernel = nullptr;
    std::vector<std::size_t> arguments;  // registers
    std::optional<std::size_t> input;
    Value constant;
  };
  std::size_t place(const Expression::Node& node);

  std::vector<Input> inputs_;
  std::vector<Step> steps_;
  std::vector<std::size_t> results_;                        // registers
  std::map<std::string, std::size_t, std::less<>> placed_;  // by canonical form
};

}  // namespace strata::platform::expressions
