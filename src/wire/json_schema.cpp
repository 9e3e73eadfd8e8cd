#include "wire/json_schema.hpp"

#include "base/bytes.hpp"

namespace strata::wire {

namespace {

std::string member_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

Error wrong(const std::string& path, const std::string& what) {
  return invalid(path, fmt::format("{}: {}", path.empty() ? "the body" : path, what));
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") return value.is_int() || value.is_uint64();
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

Status check_type(const Json& schema, const Json& value, const std::string& path) {
  const Json& type = schema["type"];
  if (type.is_null()) return {};
  if (type.is_string()) {
    if (has_type(value, type.as_string())) return {};
    return wrong(path, fmt::format("expected {}, got {}", type.as_string(), value.type_name()));
  }
  std::vector<std::string> wanted;
  for (const auto& one : type.as_array()) {
    if (has_type(value, one.as_string())) return {};
    wanted.push_back(one.as_string());
  }
  return wrong(path,
               fmt::format("expected {}, got {}", fmt::join(wanted, " or "), value.type_name()));
}

Status check_bounds(const Json& schema, const Json& value, const std::string& path) {
  if (const Json* low = schema.find("minimum");
      low && value.is_number() && value.as_double() < low->as_double()) {
    return wrong(path, fmt::format("{} is less than {}", value.dump(), low->dump()));
  }
  if (const Json* high = schema.find("maximum");
      high && value.is_number() && value.as_double() > high->as_double()) {
    return wrong(path, fmt::format("{} is more than {}", value.dump(), high->dump()));
  }
  if (value.is_string()) {
    const auto size = static_cast<std::int64_t>(value.as_string().size());
    if (size < schema.integer("minLength", 0)) return wrong(path, "must not be empty");
    const std::int64_t most = schema.integer("maxLength", size);
    if (size > most) return wrong(path, fmt::format("{} bytes are more than {}", size, most));
  }
  if (value.is_array() &&
      static_cast<std::int64_t>(value.size()) > schema.integer("maxItems", INT64_MAX)) {
    return wrong(
        path, fmt::format("{} items are more than {}", value.size(), schema.integer("maxItems")));
  }
  const Json& allowed = schema["enum"];
  if (!allowed.is_array()) return {};
  std::vector<std::string> texts;
  for (const auto& one : allowed.as_array()) {
    if (one == value) return {};
    texts.push_back(one.is_string() ? one.as_string() : one.dump());
  }
  return wrong(path,
               fmt::format("{} is not one of {}", printable(value.dump()), fmt::join(texts, ", ")));
}

Status check(const Json& schema, const Json& value, const std::string& path);

Status check_object(const Json& schema, const Json& value, const std::string& path) {
  for (const auto& name :
       schema["required"].is_array() ? schema["required"].as_array() : Json::Array{}) {
    if (value.find(name.as_string()) == nullptr) {
      return wrong(member_path(path, name.as_string()), "is required but missing");
    }
  }
  const Json& properties = schema["properties"];
  for (const auto& [name, member] : value.as_object()) {
    const Json* rule = properties.find(name);
    if (rule != nullptr) {
      STRATA_TRY(check(*rule, member, member_path(path, name)));
      continue;
    }
    const Json* others = schema.find("additionalProperties");
    if (others != nullptr && others->is_object())
      STRATA_TRY(check(*others, member, member_path(path, name)));
    if (others == nullptr || !others->is_bool() || others->as_bool()) continue;
    std::vector<std::string> known;
    if (properties.is_object()) {
      for (const auto& [known_name, unused] : properties.as_object())
        known.push_back(known_name);
    }
    const std::string nearest = did_you_mean(name, known);
    return wrong(member_path(path, printable(name)),
                 nearest.empty() ? fmt::format("is not known; known are {}", fmt::join(known, ", "))
                                 : fmt::format("is not known. Did you mean '{}'?", nearest));
  }
  return {};
}

Status check(const Json& schema, const Json& value, const std::string& path) {
  STRATA_TRY(check_type(schema, value, path));
  STRATA_TRY(check_bounds(schema, value, path));
  if (value.is_object()) return check_object(schema, value, path);
  const Json& items = schema["items"];
  if (!value.is_array() || !items.is_object()) return {};
  for (std::size_t i = 0; i < value.size(); ++i) {
    STRATA_TRY(check(items, value.as_array()[i], fmt::format("{}[{}]", path, i)));
  }
  return {};
}

}  // namespace

Status check_schema(const Json& schema, const Json& value) {
  return check(schema, value, "");
}

}  // namespace strata::wire
