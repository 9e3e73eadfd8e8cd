#include "app/commands/yaml.hpp"

#include <array>

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::app {

namespace {

// Text that no reader of YAML 1.1 or 1.2 could take for a number, a date, a boolean or syntax.
bool is_plain(std::string_view text) {
  static constexpr std::array<std::string_view, 8> kWords = {"true", "false", "null", "yes",
                                                             "no",   "on",    "off",  "n"};
  if (text.empty() || text.size() > 200) return false;
  const char first = text.front();
  const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
  if (!letter || to_lower(text) == "y") return false;
  for (const auto word : kWords) {
    if (to_lower(text) == word) return false;
  }
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "_-./@+") == std::string_view::npos;
}

// JSON takes characters that YAML does not: controls beyond ASCII's and marks of byte order, which
// are escaped instead.
std::string printable_only(std::string_view json) {
  std::string out;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = json.substr(i);
    if (rest.front() == '\x7f') {
      out += "\\u007f";
    } else if (rest.size() > 1 && rest[0] == '\xc2' && static_cast<unsigned char>(rest[1]) < 0xa0) {
      out += fmt::format("\\u00{:02x}", static_cast<unsigned char>(rest[1]));
      ++i;
    } else if (rest.starts_with("\xef\xbf\xbe") || rest.starts_with("\xef\xbf\xbf")) {
      out += rest[2] == '\xbe' ? "\\ufffe" : "\\uffff";
      i += 2;
    } else if (rest.starts_with("\xef\xbb\xbf")) {
      out += "\\ufeff";
      i += 2;
    } else {
      out += rest.front();
    }
  }
  return out;
}

std::string scalar(const Json& value) {
  if (value.is_string() && is_plain(value.as_string())) return value.as_string();
  std::string text = value.dump();  // JSON's scalars, {} and [] are YAML
  if (value.is_string()) return printable_only(text);
  if (!value.is_number()) return text;
  // But readers of YAML 1.1 want a point and a sign where there is an exponent.
  const auto e = text.find('e');
  if (e == std::string::npos) return text;
  if (text[e + 1] != '-' && text[e + 1] != '+') text.insert(e + 1, "+");
  if (text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

bool is_nested(const Json& value) {
  return (value.is_object() || value.is_array()) && value.size() > 0;
}

void write(const Json& value, const std::string& indent, std::string& out) {
  if (value.is_array()) {
    for (const auto& item : value.as_array()) {
      out += indent + "-";
      if (!is_nested(item)) {
        out += " " + scalar(item) + "\n";
        continue;
      }
      // The first line of the item stands behind its dash.
      std::string inner;
      write(item, indent + "  ", inner);
      out += " " + inner.substr(indent.size() + 2);
    }
    return;
  }
  for (const auto& [name, item] : value.as_object()) {
    out += indent + scalar(Json(name)) + ":";
    out += is_nested(item) ? "\n" : " " + scalar(item) + "\n";
    if (is_nested(item)) write(item, indent + "  ", out);
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  if (!is_nested(value)) return scalar(value) + "\n";
  std::string out;
  write(value, "", out);
  return out;
}

}  // namespace strata::app
