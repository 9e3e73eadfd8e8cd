#include "doors/mlflow/fields.hpp"

#include <cmath>
#include <limits>
#include <map>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::doors::mlflow {

using platform::tracking::KeyValue;
using platform::tracking::View;

namespace {

Json from_query(const http::Pairs& query) {
  Json::Object members;
  std::map<std::string_view, std::size_t> places;
  for (const auto& [name, value] : query) {
    const auto [place, fresh] = places.try_emplace(name, members.size());
    if (fresh) {
      members.emplace_back(name, value);
      continue;
    }
    Json& known = members[place->second].second;
    if (!known.is_array()) known = Json(Json::Array{known});
    known.push(Json(value));
  }
  return Json(std::move(members));
}

Result<Json> from_body(const std::string& body) {
  auto json = parse_json(body);
  if (json && json->is_string()) json = parse_json(json->as_string());  // some clients encode twice
  if (!json) return json;
  if (!json->is_object()) {
    return invalid(
        "body", fmt::format("Invalid request: expected a JSON object, got {}", json->type_name()));
  }
  return json;
}

std::optional<std::int64_t> integer_of(const Json& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_string()) return to_int(value.as_string());
  if (!value.is_number()) return std::nullopt;
  const double real = value.as_double();
  if (std::trunc(real) == real && std::abs(real) < 9.0e18) return static_cast<std::int64_t>(real);
  return std::nullopt;
}

std::optional<double> double_of(const Json& value) {
  if (value.is_number()) return value.as_double();
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.as_string();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return to_double(text);
}

}  // namespace

Task<Result<Fields>> Fields::read(const http::Authorized& request) {
  const http::Request& head = request.request();
  const bool by_query = head.method == http::Method::kGet && !head.query.empty();
  if (by_query) co_return Fields(from_query(head.query));
  auto body = co_await request.read_body();
  if (!body) co_return std::move(body).error();
  if (body->empty()) co_return Fields(from_query(head.query));
  const auto type = head.headers.find("content-type");
  if (type && !to_lower(*type).starts_with("application/json")) {
    co_return invalid("content-type",
                      fmt::format("Bad Request. Content-Type must be application/json, not '{}'",
                                  printable(*type)));
  }
  auto object = from_body(*body);
  if (!object) co_return std::move(object).error();
  co_return Fields(std::move(*object));
}

const Json* Fields::find(std::string_view name) const {
  const Json* value = object_.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void Fields::fail(Error error) {
  if (!fault_) fault_ = std::move(error);
}

Status Fields::status() const {
  if (fault_) return *fault_;
  return {};
}

void Fields::join(const Fields& nested) {
  if (nested.fault_) fail(*nested.fault_);
}

void Fields::wrong_type(std::string_view name, const Json& value, std::string_view wanted) {
  fail(invalid(path(name), fmt::format("Invalid value {} for parameter '{}' supplied: expected {}",
                                       printable(value.dump()), path(name), wanted)));
}

bool Fields::has(std::string_view name) const {
  return find(name) != nullptr;
}

std::string Fields::text(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return "";
  if (value->is_string()) return value->as_string();
  wrong_type(name, *value, "a string");
  return "";
}

std::string Fields::required(std::string_view name) {
  std::string value = text(name);
  if (find(name) == nullptr || value.empty()) {
    fail(invalid(
        path(name),
        fmt::format(
            "Missing value for required parameter '{}'. See the API docs for more information "
            "about request parameters.",
            path(name))));
  }
  return value;
}

std::string Fields::run_id() {
  if (std::string id = text("run_id"); !id.empty()) return id;
  if (std::string id = text("run_uuid"); !id.empty()) return id;
  return required("run_id");
}

std::optional<std::int64_t> Fields::integer(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto number = integer_of(*value);
  if (!number) wrong_type(name, *value, "an integer");
  return number;
}

std::int64_t Fields::required_integer(std::string_view name) {
  const auto number = integer(name);
  if (!has(name))
    fail(
        invalid(path(name), fmt::format("Missing value for required parameter '{}'.", path(name))));
  return number.value_or(0);
}

double Fields::required_double(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) {
    fail(
        invalid(path(name), fmt::format("Missing value for required parameter '{}'.", path(name))));
    return 0;
  }
  const auto number = double_of(*value);
  if (!number)
    wrong_type(name, *value,
               "a number; write NaN and infinity as \"NaN\", \"Infinity\" or \"-Infinity\"");
  return number.value_or(0);
}

bool Fields::boolean(std::string_view name, bool fallback) {
  const Json* value = find(name);
  if (value == nullptr) return fallback;
  if (value->is_bool()) return value->as_bool();
  if (value->is_string() && equal_ignoring_case(value->as_string(), "true")) return true;
  if (value->is_string() && equal_ignoring_case(value->as_string(), "false")) return false;
  wrong_type(name, *value, "true or false");
  return fallback;
}

std::vector<std::string> Fields::texts(std::string_view name) {
  const Json* value = find(name);
  std::vector<std::string> all;
  if (value == nullptr) return all;
  if (value->is_string()) return {value->as_string()};
  if (!value->is_array()) {
    wrong_type(name, *value, "a list of strings");
    return all;
  }
  for (const auto& one : value->as_array()) {
    if (one.is_string()) {
      all.push_back(one.as_string());
    } else if (one.is_int()) {
      all.push_back(std::to_string(one.as_int()));
    } else {
      wrong_type(name, *value, "a list of strings");
    }
  }
  return all;
}

std::vector<Fields> Fields::objects(std::string_view name) {
  const Json* value = find(name);
  std::vector<Fields> all;
  if (value == nullptr) return all;
  if (!value->is_array()) {
    wrong_type(name, *value, "a list of objects");
    return all;
  }
  for (std::size_t i = 0; i < value->as_array().size(); ++i) {
    const Json& one = value->as_array()[i];
    if (!one.is_object()) {
      wrong_type(name, one, "an object");
      return all;
    }
    all.push_back(Fields(one, fmt::format("{}[{}].", path(name), i)));
  }
  return all;
}

std::optional<Fields> Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return Fields(*value, path(name) + ".");
  wrong_type(name, *value, "an object");
  return std::nullopt;
}

std::vector<KeyValue> Fields::pairs(std::string_view name) {
  std::vector<KeyValue> all;
  for (auto& one : objects(name)) {
    all.push_back({one.required("key"), one.text("value")});
    join(one);
  }
  return all;
}

std::int64_t Fields::version(std::string_view name) {
  const std::string written = find(name) != nullptr && find(name)->is_int()
                                  ? std::to_string(find(name)->as_int())
                                  : required(name);
  const auto number = to_int(written);
  if (!number)
    fail(invalid(path(name),
                 fmt::format("Parameter '{}' must be an integer, got '{}'.", path(name), written)));
  return number.value_or(0);
}

View Fields::view(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return View::kActive;
  const std::string text = value->is_string() ? value->as_string() : value->dump();
  if (text == "ACTIVE_ONLY" || text == "1") return View::kActive;
  if (text == "DELETED_ONLY" || text == "2") return View::kDeleted;
  if (text == "ALL" || text == "3") return View::kAll;
  wrong_type(name, *value, "ACTIVE_ONLY, DELETED_ONLY or ALL");
  return View::kActive;
}

}  // namespace strata::doors::mlflow
