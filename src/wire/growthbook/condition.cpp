#include "wire/growthbook/condition.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "wire/growthbook/js_value.hpp"

namespace strata::wire::growthbook {

namespace {

const Json kNull;

const Json& path(const Json& object, std::string_view name) {
  const Json* current = &object;
  for (const auto& part : split(name, '.')) {
    const Json* next = nullptr;
    if (current->is_object()) {
      next = current->find(part);
    } else if (current->is_array()) {
      const auto index = to_int(part);
      if (index && *index >= 0 && *index < static_cast<std::int64_t>(current->size()))
        next = &current->as_array()[static_cast<std::size_t>(*index)];
    }
    if (next == nullptr) return kNull;
    current = next;
  }
  return *current;
}

bool is_operators(const Json& value) {
  return value.is_object() && value.size() > 0 &&
         std::ranges::all_of(value.as_object(),
                             [](const auto& member) { return member.first.starts_with('$'); });
}

// The condition of one value, by the operators that it names.
class Check {
 public:
  explicit Check(ConditionContext& context) : context_(context) {}

  bool object(const Json& value, const Json& condition) {
    if (!step()) return false;
    if (!condition.is_object()) return true;
    return std::ranges::all_of(condition.as_object(), [&](const auto& member) {
      const auto& [name, wanted] = member;
      if (name == "$or") return any(value, wanted);
      if (name == "$nor") return !any(value, wanted);
      if (name == "$not") return !object(value, wanted);
      if (name == "$and") {
        return !wanted.is_array() || std::ranges::all_of(wanted.as_array(), [&](const Json& one) {
          return object(value, one);
        });
      }
      return matches(path(value, name), wanted, false);
    });
  }

 private:
  bool step() { return context_.steps_left > 0 && --context_.steps_left > 0; }

  bool any(const Json& value, const Json& conditions) {
    if (!conditions.is_array() || conditions.size() == 0) return true;
    return std::ranges::any_of(conditions.as_array(),
                               [&](const Json& one) { return object(value, one); });
  }

  bool matches(const Json& value, const Json& wanted, bool fold) {
    if (!step()) return false;
    if (wanted.is_string()) {
      if (fold) return js_lower(js_text(value)) == js_lower(wanted.as_string());
      return js_text(value) == wanted.as_string();
    }
    if (wanted.is_number()) return js_number(value) == wanted.as_double();
    if (wanted.is_bool()) return !value.is_null() && js_truthy(value) == wanted.as_bool();
    if (wanted.is_null()) return value.is_null();
    if (!is_operators(wanted)) return js_stringify(value) == js_stringify(wanted);
    return std::ranges::all_of(wanted.as_object(), [&](const auto& member) {
      return by_operator(member.first, value, member.second);
    });
  }

  bool by_operator(std::string_view name, const Json& value, const Json& wanted) {
    if (name == "$eq") return js_same(value, wanted);
    if (name == "$ne") return !js_same(value, wanted);
    if (name == "$lt" || name == "$lte" || name == "$gt" || name == "$gte")
      return in_order(name.substr(1), js_order(value, wanted));
    if (name.starts_with("$v")) return by_version(name.substr(2), value, wanted);
    if (name == "$exists") return js_truthy(wanted) != value.is_null();
    if (name == "$in" || name == "$ini")
      return wanted.is_array() && in(value, wanted, name == "$ini");
    if (name == "$nin" || name == "$nini")
      return wanted.is_array() && !in(value, wanted, name == "$nini");
    if (name == "$inGroup") return in(value, group(wanted), false);
    if (name == "$notInGroup") return !in(value, group(wanted), false);
    if (name == "$not") return !matches(value, wanted, false);
    if (name == "$all" || name == "$alli") return has_all(value, wanted, name == "$alli");
    if (name == "$size") {
      return value.is_array() &&
             matches(Json(static_cast<std::int64_t>(value.size())), wanted, false);
    }
    if (name == "$elemMatch") return has_element(value, wanted);
    if (name == "$regex" || name == "$regexi") return by_pattern(value, wanted, name == "$regexi");
    if (name == "$type") return wanted.is_string() && type_of(value) == wanted.as_string();
    return false;
  }

  static std::string_view type_of(const Json& value) {
    return value.is_number() ? "number" : value.type_name();
  }

  static bool in_order(std::string_view name, int order) {
    if (order == 2) return false;
    if (name == "lt") return order < 0;
    if (name == "lte") return order <= 0;
    return name == "gt" ? order > 0 : order >= 0;
  }

  static bool by_version(std::string_view name, const Json& value, const Json& wanted) {
    const int order = utf16(padded_version(value)).compare(utf16(padded_version(wanted)));
    if (name == "eq") return order == 0;
    if (name == "ne") return order != 0;
    if (name != "lt" && name != "lte" && name != "gt" && name != "gte") return false;
    return in_order(name, order < 0 ? -1 : order > 0 ? 1 : 0);
  }

  const Json& group(const Json& name) const {
    if (context_.saved_groups == nullptr || !name.is_string()) return kNull;
    return (*context_.saved_groups)[name.as_string()];
  }

  bool is_one(const Json& value, const Json& list, bool fold) {
    return std::ranges::any_of(list.as_array(), [&](const Json& one) {
      if (!step()) return false;
      if (fold && value.is_string() && one.is_string())
        return js_lower(value.as_string()) == js_lower(one.as_string());
      return js_same(value, one);
    });
  }

  bool in(const Json& value, const Json& list, bool fold) {
    if (!list.is_array()) return false;
    if (!value.is_array()) return is_one(value, list, fold);
    return std::ranges::any_of(value.as_array(),
                               [&](const Json& one) { return is_one(one, list, fold); });
  }

  bool has_all(const Json& value, const Json& wanted, bool fold) {
    if (!value.is_array() || !wanted.is_array()) return false;
    return std::ranges::all_of(wanted.as_array(), [&](const Json& one) {
      return std::ranges::any_of(value.as_array(),
                                 [&](const Json& has) { return matches(has, one, fold); });
    });
  }

  bool has_element(const Json& value, const Json& wanted) {
    if (!value.is_array()) return false;
    return std::ranges::any_of(value.as_array(), [&](const Json& one) {
      if (!js_truthy(one)) return false;
      return is_operators(wanted) ? matches(one, wanted, false) : object(one, wanted);
    });
  }

  bool by_pattern(const Json& value, const Json& wanted, bool fold) const {
    if (!wanted.is_string() || context_.patterns == nullptr) return false;
    const Regex* const regex = context_.patterns->find(wanted.as_string(), fold);
    return regex != nullptr && regex->search(js_text(value));
  }

  ConditionContext& context_;
};

}  // namespace

void Patterns::add(const Json& document) {
  if (document.is_array()) {
    for (const Json& one : document.as_array())
      add(one);
  }
  if (!document.is_object()) return;
  for (const auto& [name, value] : document.as_object()) {
    if ((name == "$regex" || name == "$regexi") && value.is_string()) {
      const bool fold = name == "$regexi";
      auto regex = Regex::compile(value.as_string(), fold);
      if (regex) compiled_.try_emplace({value.as_string(), fold}, *std::move(regex));
    } else {
      add(value);
    }
  }
}

const Regex* Patterns::find(const std::string& pattern, bool fold) const {
  const auto found = compiled_.find({pattern, fold});
  return found == compiled_.end() ? nullptr : &found->second;
}

bool meets(const Json& attributes, const Json& condition, ConditionContext& context) {
  return Check(context).object(attributes, condition);
}

std::string padded_version(const Json& version) {
  std::string text = version.is_number() ? js_text(version) : "";
  if (version.is_string()) text = version.as_string();
  if (text.empty()) text = "0";
  if (text.starts_with('v')) text.erase(0, 1);
  if (const auto build = text.find('+'); build != std::string::npos) text.resize(build);
  std::ranges::replace(text, '.', '-');
  auto parts = split(text, '-');
  if (parts.size() == 3) parts.emplace_back("~");
  for (auto& part : parts) {
    const bool digits =
        !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    if (digits && part.size() < 5) part.insert(0, 5 - part.size(), ' ');
  }
  return join(parts, "-");
}

}  // namespace strata::wire::growthbook
