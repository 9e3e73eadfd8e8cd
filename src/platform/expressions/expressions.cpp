#include "platform/expressions/expressions.hpp"

#include <array>
#include <bit>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "platform/expressions/expression.hpp"

namespace strata::platform::expressions {

namespace {

constexpr std::size_t kMaxArguments = 4;
// Stands before the canonical form where that is hashed.
constexpr std::string_view kFormat = "strata expression 1\n";
constexpr std::array<std::string_view, kTypes> kSqlTypes = {"BOOLEAN", "BIGINT", "DOUBLE",
                                                            "VARCHAR", "TIMESTAMP"};

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

// In the SQL of the engine, where casts of texts are exact.
std::string constant_sql(const Value& value) {
  const auto type = kSqlTypes.at(static_cast<std::size_t>(value.type));
  if (!value.present) return fmt::format("CAST(NULL AS {})", type);
  std::string text;
  switch (value.type) {
    case Type::kBool:
      return value.integer != 0 ? "true" : "false";
    case Type::kDouble:
      text = fmt::format("{}", value.number);
      break;
    case Type::kTimestamp:
      return fmt::format("make_timestamp(CAST('{}' AS BIGINT))", value.integer);
    case Type::kString:
      for (const char c : value.text)
        text += c == '\'' ? std::string("''") : std::string(1, c);
      break;
    default:
      text = std::to_string(value.integer);
  }
  return fmt::format("CAST('{}' AS {})", text, type);
}

std::string node_sql(const Expression::Node& node,
                     const std::function<std::string(const Input&)>& column) {
  if (!node.input.empty()) {
    const std::string name = column({node.input, node.type});
    return fmt::format("CAST({} AS {})", name, kSqlTypes.at(static_cast<std::size_t>(node.type)));
  }
  if (node.kernel == nullptr) return constant_sql(node.constant);
  std::string out = fmt::format("strata_{}(", node.kernel->name);
  for (std::size_t i = 0; i < node.arguments.size(); ++i)
    out += (i > 0 ? ", " : "") + node_sql(*node.arguments[i], column);
  return out + ")";
}

void collect_inputs(const Expression::Node& node, std::map<std::string, Type>& to) {
  if (!node.input.empty()) to.emplace(node.input, node.type);
  for (const auto& argument : node.arguments)
    collect_inputs(*argument, to);
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

Type Expression::type() const {
  return node_->type;
}
const std::string& Expression::canonical() const {
  return node_->canonical;
}
std::string Expression::digest() const {
  return content_digest(std::string(kFormat) + node_->canonical);
}

std::vector<Input> Expression::inputs() const {
  std::map<std::string, Type> found;
  collect_inputs(*node_, found);
  std::vector<Input> out;
  for (const auto& [name, type] : found)
    out.push_back({name, type});
  return out;
}

std::string Expression::to_sql(const std::function<std::string(const Input&)>& column) const {
  return node_sql(*node_, column);
}

Program::Program(const std::vector<Expression>& expressions) {
  std::map<std::string, Type> found;
  for (const auto& expression : expressions)
    collect_inputs(*expression.node_, found);
  for (const auto& [name, type] : found)
    inputs_.push_back({name, type});
  for (const auto& expression : expressions)
    results_.push_back(place(*expression.node_));
}

std::size_t Program::place(const Expression::Node& node) {
  if (const auto found = placed_.find(node.canonical); found != placed_.end()) return found->second;
  Step step;
  step.kernel = node.kernel;
  step.constant = node.constant;
  for (std::size_t i = 0; i < inputs_.size() && !node.input.empty(); ++i) {
    if (inputs_[i].name == node.input) step.input = i;
  }
  for (const auto& argument : node.arguments)
    step.arguments.push_back(place(*argument));
  steps_.push_back(std::move(step));
  return placed_.emplace(node.canonical, steps_.size() - 1).first->second;
}

Result<std::vector<Value>> Program::run(const std::vector<Value>& row) const {
  if (row.size() != inputs_.size()) {
    return invalid("row",
                   fmt::format("{} values are given for {} inputs", row.size(), inputs_.size()));
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].type == inputs_[i].type) continue;
    return invalid(inputs_[i].name,
                   fmt::format("'{}' is {}, not {}", inputs_[i].name, type_name(inputs_[i].type),
                               type_name(row[i].type)));
  }
  Arena arena;
  std::vector<Slot> slots(steps_.size());
  std::vector<std::uint8_t> present(steps_.size());
  std::array<Cells, kMaxArguments> cells;
  for (std::size_t at = 0; at < steps_.size(); ++at) {
    const Step& step = steps_[at];
    if (step.kernel == nullptr) {
      const Value& value = step.input ? row[*step.input] : step.constant;
      fill(slots[at], value);
      present[at] = value.present ? 1 : 0;
      continue;
    }
    for (std::size_t i = 0; i < step.arguments.size(); ++i)
      cells.at(i) = {&slots[step.arguments[i]], &present[step.arguments[i]]};
    step.kernel->run(std::span(cells).first(step.arguments.size()), {&slots[at], &present[at]}, 1,
                     arena);
  }
  std::vector<Value> out;
  for (const std::size_t at : results_) {
    const Type type = steps_[at].kernel != nullptr ? steps_[at].kernel->result
                      : steps_[at].input           ? inputs_[*steps_[at].input].type
                                                   : steps_[at].constant.type;
    out.push_back(present[at] != 0 ? value_of(type, slots[at]) : Value::null(type));
  }
  return out;
}

}  // namespace strata::platform::expressions
