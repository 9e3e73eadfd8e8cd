#include "platform/expressions/expressions.hpp"

#include <cstddef>
#include <cstdint>

// Any text: what compiles means the same in brackets, reads only what it was given, has the type
// that it says, and gives the same bits twice.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::platform::expressions;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<Input> inputs = {{"b", Type::kBool},
                                     {"i", Type::kInt64},
                                     {"d", Type::kDouble},
                                     {"s", Type::kString},
                                     {"v.t", Type::kTimestamp}};
  const auto compiled = Expression::compile(text, inputs);
  if (!compiled) {
    if (compiled.error().field != "expression") __builtin_trap();
    return 0;
  }
  const auto again = Expression::compile("(" + text + ")", inputs);
  if (again && again->digest() != compiled->digest()) __builtin_trap();
  static_cast<void>(compiled->to_sql([](const Input& input) { return input.name; }));
  const Program program({*compiled});
  for (const bool present : {false, true}) {
    std::vector<Value> row;
    for (const auto& input : program.inputs()) {
      row.push_back(Value::null(input.type));
      row.back().present = present;
      row.back().integer = 1;
      row.back().number = -0.5;
      row.back().text = input.type == Type::kString ? "12" : "";
    }
    const auto first = program.run(row);
    const auto second = program.run(row);
    if (!first || !second || first->front().type != compiled->type()) __builtin_trap();
    if (!first->front().same_bits(second->front())) __builtin_trap();
  }
  return 0;
}
