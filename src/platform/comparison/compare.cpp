#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "platform/comparison/description.hpp"

namespace strata::platform::comparison {

namespace {

constexpr std::array<std::string_view, 9> kSections = {
    "files", "requirements", "params", "metrics", "data", "code", "aliases", "owner", "verdicts"};

class Changes {
 public:
  void add(std::string_view section, std::string_view change, std::string_view name, Json a,
           Json b) {
    list_.push(Json::object({{"section", section},
                             {"change", change},
                             {"name", name},
                             {"a", std::move(a)},
                             {"b", std::move(b)}}));
  }
  Json take() { return std::move(list_); }

 private:
  Json list_ = Json::array();
};

void compare_section(std::string_view section, const std::map<std::string, Json>& a,
                     const std::map<std::string, Json>& b, Changes& changes) {
  for (const auto& [name, was] : a) {
    const auto is = b.find(name);
    if (is == b.end())
      changes.add(section, "removed", name, was, Json());
    else if (!(is->second == was))
      changes.add(section, "changed", name, was, is->second);
  }
  for (const auto& [name, is] : b) {
    if (!a.contains(name)) changes.add(section, "added", name, Json(), is);
  }
}

const std::string* type_in(const Fields& fields, const std::string& name) {
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& field) { return field.first == name; });
  return at == fields.end() ? nullptr : &at->second;
}

// The names that both have, in the order of the first.
Json common_names(const Fields& fields, const Fields& other) {
  Json names = Json::array();
  for (const auto& [name, type] : fields) {
    if (type_in(other, name) != nullptr) names.push(Json(name));
  }
  return names;
}

void compare_fields(std::string_view what, const Fields& a, const Fields& b, Changes& changes) {
  for (const auto& [name, type] : a) {
    const auto* const now = type_in(b, name);
    const std::string label = fmt::format("{} {}", what, name);
    if (now == nullptr)
      changes.add("signature", "removed", label, Json(type), Json());
    else if (*now != type)
      changes.add("signature", "retyped", label, Json(type), Json(*now));
  }
  for (const auto& [name, type] : b) {
    if (type_in(a, name) == nullptr)
      changes.add("signature", "added", fmt::format("{} {}", what, name), Json(), Json(type));
  }
  Json before = common_names(a, b);
  Json after = common_names(b, a);
  if (!(before == after))
    changes.add("signature", "reordered", fmt::format("{}s", what), std::move(before),
                std::move(after));
}

Json side(const Description& one) {
  return Json::object({{"model", one.model},
                       {"version", one.version},
                       {"digest", one.digest},
                       {"package_digest", one.package_digest}});
}

const std::map<std::string, Json>& section_of(const Description& one, std::string_view section) {
  static const std::map<std::string, Json> kNothing;
  const auto at = one.sections.find(std::string(section));
  return at == one.sections.end() ? kNothing : at->second;
}

}  // namespace

std::map<std::string, Json> requirements_of(std::string_view text) {
  constexpr std::string_view kName =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  std::map<std::string, Json> out;
  for (const auto& raw : split(std::string(text), '\n')) {
    const std::string line(trim(raw.substr(0, raw.find(" #"))));
    if (line.empty() || line.front() == '#') continue;
    const auto end = std::min(line.find_first_not_of(kName), line.size());
    if (end == 0 || line.starts_with("-") || line.find("://") != std::string::npos) {
      out.emplace(line, Json(line));
      continue;
    }
    std::string name;
    for (const char c : to_lower(line.substr(0, end))) {
      const bool joins = c == '-' || c == '_' || c == '.';
      if (!joins || (!name.empty() && name.back() != '-')) name += joins ? '-' : c;
    }
    out[name] = Json(trim(std::string_view(line).substr(end)));
  }
  return out;
}

Json compare(const Description& a, const Description& b) {
  Changes changes;
  std::set<std::string> hidden = a.hidden;
  hidden.insert(b.hidden.begin(), b.hidden.end());
  compare_fields("input", a.inputs, b.inputs, changes);
  compare_fields("output", a.outputs, b.outputs, changes);
  compare_fields("param", a.params, b.params, changes);
  for (const auto section : kSections) {
    if (!hidden.contains(std::string(section)))
      compare_section(section, section_of(a, section), section_of(b, section), changes);
  }
  Json list = changes.take();
  Json left_out = Json::array();
  for (const auto& section : hidden)
    left_out.push(Json(section));
  const bool equal = list.size() == 0 && hidden.empty();
  return Json::object(
      {{"a", side(a)},
       {"b", side(b)},
       {"equal", equal},
       {"same_files", !a.package_digest.empty() && a.package_digest == b.package_digest},
       {"hidden", std::move(left_out)},
       {"changes", std::move(list)}});
}

}  // namespace strata::platform::comparison
