#include "base/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/bytes.hpp"

namespace strata {

std::string_view Json::type_name() const {
  constexpr std::array<std::string_view, 8> kNames = {"null",   "boolean", "integer", "integer",
                                                      "number", "string",  "array",   "object"};
  return kNames[value_.index()];
}

void Json::set_unsigned(std::uint64_t v) {
  if (v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    value_ = static_cast<std::int64_t>(v);
  } else {
    value_ = v;
  }
}

double Json::as_double() const {
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*u);
  if (const auto* d = std::get_if<double>(&value_)) return *d;
  return 0;
}

std::uint64_t Json::as_uint64() const {
  if (const auto* u = std::get_if<std::uint64_t>(&value_)) return *u;
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return static_cast<std::uint64_t>(*i);
  return 0;
}

const Json* Json::find(std::string_view name) const {
  if (!is_object()) return nullptr;
  const auto& members = as_object();
  const auto at = std::find_if(members.rbegin(), members.rend(),
                               [&](const Member& m) { return m.first == name; });
  return at == members.rend() ? nullptr : &at->second;
}

const Json& Json::operator[](std::string_view name) const {
  static const Json kNull;
  const Json* member = find(name);
  return member == nullptr ? kNull : *member;
}

Json& Json::set(std::string_view name, Json value) {
  if (is_null()) value_ = Object{};
  auto& members = as_object();
  const auto at = std::find_if(members.begin(), members.end(),
                               [&](const Member& m) { return m.first == name; });
  if (at == members.end()) {
    members.emplace_back(std::string(name), std::move(value));
  } else {
    at->second = std::move(value);
  }
  return *this;
}

void Json::push(Json value) {
  if (is_null()) value_ = Array{};
  as_array().push_back(std::move(value));
}

std::size_t Json::size() const {
  if (is_array()) return as_array().size();
  if (is_object()) return as_object().size();
  return 0;
}

std::string Json::text(std::string_view name, std::string_view fallback) const {
  const Json* member = find(name);
  return member != nullptr && member->is_string() ? member->as_string() : std::string(fallback);
}

std::int64_t Json::integer(std::string_view name, std::int64_t fallback) const {
  const Json* member = find(name);
  if (member == nullptr || !member->is_number()) return fallback;
  if (member->is_int()) return member->as_int();
  // Beyond 64 bits the nearest that fits: a cast of such a double is undefined.
  const double value = member->as_double();
  if (value >= 0x1p63) return std::numeric_limits<std::int64_t>::max();
  return value < -0x1p63 ? std::numeric_limits<std::int64_t>::min()
                         : static_cast<std::int64_t>(value);
}

double Json::number(std::string_view name, double fallback) const {
  const Json* member = find(name);
  return member != nullptr && member->is_number() ? member->as_double() : fallback;
}

bool Json::boolean(std::string_view name, bool fallback) const {
  const Json* member = find(name);
  return member != nullptr && member->is_bool() ? member->as_bool() : fallback;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const bool clean = is_utf8(text);
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20 || byte == 0x7F) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else if (byte >= 0x80 && !clean) {
          out += "\\ufffd";
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append_json_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  out += text;
  if (text.find_first_of(".en") == std::string_view::npos) out += ".0";
}

namespace {

void new_line(std::string& out, int indent, int level) {
  if (indent == 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(level), ' ');
}

}  // namespace

void Json::dump_to(std::string& out, int indent, int level) const {
  if (is_null()) {
    out += "null";
  } else if (is_bool()) {
    out += as_bool() ? "true" : "false";
  } else if (is_int()) {
    out += std::to_string(as_int());
  } else if (is_uint64()) {
    out += std::to_string(as_uint64());
  } else if (is_number()) {
    append_json_double(out, as_double());
  } else if (is_string()) {
    append_json_string(out, as_string());
  } else if (is_array()) {
    out += '[';
    for (std::size_t i = 0; i < as_array().size(); ++i) {
      if (i > 0) out += ',';
      new_line(out, indent, level + 1);
      as_array()[i].dump_to(out, indent, level + 1);
    }
    if (!as_array().empty()) new_line(out, indent, level);
    out += ']';
  } else {
    out += '{';
    for (std::size_t i = 0; i < as_object().size(); ++i) {
      if (i > 0) out += ',';
      new_line(out, indent, level + 1);
      append_json_string(out, as_object()[i].first);
      out += indent == 0 ? ":" : ": ";
      as_object()[i].second.dump_to(out, indent, level + 1);
    }
    if (!as_object().empty()) new_line(out, indent, level);
    out += '}';
  }
}

std::string Json::dump(int indent) const {
  std::string out;
  dump_to(out, indent);
  return out;
}

}  // namespace strata
