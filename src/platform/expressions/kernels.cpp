#include "platform/expressions/kernels.hpp"

#include <array>
#include <map>

#include "base/text.hpp"
#include "platform/expressions/kernel_forms.hpp"

namespace strata::platform::expressions {

namespace {

constexpr std::array<std::string_view, kTypes> kTypeNames = {"bool", "int64", "double", "string",
                                                             "timestamp"};

std::vector<Kernel> make_kernels() {
  std::vector<Kernel> all;
  add_logic_kernels(all);
  add_number_kernels(all);
  add_text_kernels(all);
  add_time_kernels(all);
  return all;
}

const std::vector<Kernel>& table() {
  static const std::vector<Kernel> all = make_kernels();
  return all;
}

}  // namespace

std::string_view type_name(Type type) {
  return kTypeNames.at(static_cast<std::size_t>(type));
}

std::optional<Type> parse_type(std::string_view text) {
  static const std::map<std::string, Type, std::less<>> known = {{"bool", Type::kBool},
                                                                 {"boolean", Type::kBool},
                                                                 {"int64", Type::kInt64},
                                                                 {"bigint", Type::kInt64},
                                                                 {"int", Type::kInt64},
                                                                 {"integer", Type::kInt64},
                                                                 {"double", Type::kDouble},
                                                                 {"float64", Type::kDouble},
                                                                 {"string", Type::kString},
                                                                 {"varchar", Type::kString},
                                                                 {"text", Type::kString},
                                                                 {"timestamp", Type::kTimestamp},
                                                                 {"timestamptz", Type::kTimestamp}};
  const auto found = known.find(to_lower(text));
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

std::span<const Kernel> kernels() {
  return table();
}

const Kernel* find_kernel(std::string_view name) {
  static const auto by_name = [] {
    std::map<std::string_view, const Kernel*> out;
    for (const auto& one : table())
      out.emplace(one.name, &one);
    return out;
  }();
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

}  // namespace strata::platform::expressions
