#include "platform/expressions/expressions.hpp"

#include <array>
#include <bit>

#include <fmt/format.h>

namespace strata::platform::expressions {

namespace {

constexpr std::size_t kMaxArguments = 4;

// One cell of any type, where kernels read and write it.
union Slot {
  std::uint8_t boolean;
  std::int64_t integer;
  double number;
  std::string_view text;
  Slot() : text() {}
};

void fill(Slot& slot, const Value& value) {
  switch (value.type) {
    case Type::kBool:
      slot.boolean = value.integer != 0 ? 1 : 0;
      return;
    case Type::kDouble:
      slot.number = value.number;
      return;
    case Type::kString:
      slot.text = value.text;
      return;
    default:
      slot.integer = value.integer;
  }
}

Value value_of(Type type, const Slot& slot) {
  Value out = Value::null(type);
  out.present = true;
  if (type == Type::kBool) {
    out.integer = slot.boolean;
  } else if (type == Type::kDouble) {
    out.number = slot.number;
  } else if (type == Type::kString) {
    out.text = slot.text;
  } else {
    out.integer = slot.integer;
  }
  return out;
}

}  // namespace

Value Value::null(Type type) {
  Value out;
  out.type = type;
  return out;
}
Value Value::of(bool value) {
  Value out{Type::kBool, true, value ? 1 : 0, 0, {}};
  return out;
}
Value Value::of(std::int64_t value) {
  return {Type::kInt64, true, value, 0, {}};
}
Value Value::of(double value) {
  return {Type::kDouble, true, 0, value, {}};
}
Value Value::of(std::string value) {
  return {Type::kString, true, 0, 0, std::move(value)};
}
Value Value::of_micros(std::int64_t micros) {
  return {Type::kTimestamp, true, micros, 0, {}};
}

bool Value::same_bits(const Value& other) const {
  if (type != other.type || present != other.present) return false;
  if (!present) return true;
  return integer == other.integer && text == other.text &&
         std::bit_cast<std::uint64_t>(number) == std::bit_cast<std::uint64_t>(other.number);
}

Result<Value> call(const Kernel& kernel, const std::vector<Value>& arguments) {
  if (arguments.size() != kernel.arguments.size()) {
    return invalid("arguments", fmt::format("{} takes {} arguments, not {}", kernel.name,
                                            kernel.arguments.size(), arguments.size()));
  }
  std::array<Slot, kMaxArguments> slots;
  std::array<std::uint8_t, kMaxArguments> present{};
  std::array<Cells, kMaxArguments> cells;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].type != kernel.arguments[i]) {
      return invalid("arguments",
                     fmt::format("argument {} of {} is {}, not {}", i + 1, kernel.name,
                                 type_name(kernel.arguments[i]), type_name(arguments[i].type)));
    }
    fill(slots.at(i), arguments[i]);
    present.at(i) = arguments[i].present ? 1 : 0;
    cells.at(i) = {&slots.at(i), &present.at(i)};
  }
  Arena arena;
  Slot result;
  std::uint8_t is_value = 0;
  kernel.run(std::span(cells).first(arguments.size()), {&result, &is_value}, 1, arena);
  return is_value != 0 ? value_of(kernel.result, result) : Value::null(kernel.result);
}

}  // namespace strata::platform::expressions
