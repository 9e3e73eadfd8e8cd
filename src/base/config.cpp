#include "base/config.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::config {

namespace {

constexpr std::string_view kVariablePrefix = "STRATA_";

std::string spelled(std::string_view key, char separator, bool upper) {
  std::string out;
  for (const char c : key) {
    const bool breaks = c == '.' || c == '_';
    out += breaks                          ? separator
           : upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A')
                                           : c;
  }
  return out;
}

std::string place(const std::string& path, const toml::source_position& at) {
  return fmt::format("{}:{}:{}", path, at.line, at.column);
}

const Setting* find(std::span<const Setting> schema, std::string_view key) {
  for (const auto& setting : schema) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

std::string suggestion(const std::string& nearest) {
  return nearest.empty() ? "; strata config show lists all"
                         : fmt::format(". Did you mean '{}'?", nearest);
}

// The nearest known key; a key of the right name below another table is near as well.
std::string nearest_key(std::span<const Setting> schema, const std::string& key) {
  std::vector<std::string> known;
  for (const auto& setting : schema)
    known.emplace_back(setting.key);
  std::string nearest = did_you_mean(key, known);
  if (!nearest.empty()) return nearest;
  const auto last = [](std::string_view text) {
    const auto dot = text.rfind('.');
    return dot == std::string_view::npos ? text : text.substr(dot + 1);
  };
  for (const auto& candidate : known) {
    if (last(candidate) == last(key)) return candidate;
  }
  return {};
}

bool is_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto port = to_int(text.substr(colon + 1));
  return port && *port >= 0 && *port <= 65535;
}

std::string shown(const Setting& setting, std::int64_t number) {
  return setting.kind == Kind::kBytes && number > 0 ? show_bytes(static_cast<std::uint64_t>(number))
                                                    : std::to_string(number);
}

std::optional<std::int64_t> number_of(const Setting& setting, std::string_view text) {
  return setting.kind == Kind::kBytes ? parse_bytes(text) : to_int(text);
}

// What is wrong with a value; empty when nothing is.
std::string fault(const Setting& setting, const std::string& text) {
  const std::string quoted = fmt::format("'{}'", printable(text, 60));
  switch (setting.kind) {
    case Kind::kText:
      return {};
    case Kind::kAddress:
      return is_address(text)
                 ? ""
                 : quoted + " is no address; write HOST:PORT, for example 127.0.0.1:7700";
    case Kind::kChoice: {
      const auto choices = split(setting.choices, ',');
      if (std::find(choices.begin(), choices.end(), text) != choices.end()) return {};
      return fmt::format("{} is none of {}", quoted, join(choices, ", "));
    }
    case Kind::kInteger:
    case Kind::kBytes:
      break;
  }
  const auto number = number_of(setting, text);
  if (!number) {
    return quoted + (setting.kind == Kind::kBytes ? " is no size; write for example 512MiB or 2GiB"
                                                  : " is no whole number");
  }
  if (*number < setting.low)
    return fmt::format("{} is less than {}", quoted, shown(setting, setting.low));
  if (*number > setting.high)
    return fmt::format("{} is more than {}", quoted, shown(setting, setting.high));
  return {};
}

// A value of the file as a flag would give it; nothing when its type does not fit.
std::optional<std::string> file_text(const Setting& setting, const toml::node& node) {
  const bool number = setting.kind == Kind::kInteger || setting.kind == Kind::kBytes;
  if (const auto* integer = node.as_integer(); integer != nullptr && number)
    return std::to_string(integer->get());
  if (const auto* text = node.as_string(); text != nullptr && setting.kind != Kind::kInteger)
    return text->get();
  return std::nullopt;
}

std::string_view wanted_type(const Setting& setting) {
  if (setting.kind == Kind::kInteger) return "a whole number, without quotes";
  return setting.kind == Kind::kBytes ? "a size such as \"2GiB\", or a number of bytes"
                                      : "text in quotes";
}

// Whether a finger slipped once on a short name, which others resemble by chance: neighbours
// swapped, a letter too many or too few, another letter; of two letters only swapped or doubled.
bool is_one_slip(std::string_view word, std::string_view name) {
  const bool tiny = name.size() < 3;
  const std::size_t same = static_cast<std::size_t>(
      std::mismatch(word.begin(), word.end(), name.begin(), name.end()).first - word.begin());
  const std::string_view rest = word.substr(same);
  const std::string_view wanted = name.substr(same);
  if (rest.size() == wanted.size() + 1)
    return rest.substr(1) == wanted && (!tiny || (same > 0 && rest[0] == word[same - 1]));
  if (rest.size() + 1 == wanted.size()) return !tiny && rest == wanted.substr(1);
  if (rest.size() != wanted.size() || rest.empty()) return false;
  if (rest.substr(1) == wanted.substr(1)) return !tiny;
  return rest.size() > 1 && rest[0] == wanted[1] && rest[1] == wanted[0] &&
         rest.substr(2) == wanted.substr(2);
}

// What a variable's ending was probably meant to be; empty for another program's variable.
std::string nearest_ending(std::string_view ending, const std::vector<std::string>& endings) {
  constexpr std::size_t kLong = 5;
  std::string nearest = did_you_mean(ending, endings);
  if (nearest.size() >= kLong) return nearest;
  const auto slipped = std::ranges::find_if(endings, [&](const std::string& name) {
    return name.size() < kLong && is_one_slip(ending, name);
  });
  return slipped == endings.end() ? std::string() : *slipped;
}

using Found = std::function<Status(const Setting&, std::string text, std::string where)>;

Status walk(std::span<const Setting> schema, const std::string& path, const std::string& prefix,
            const toml::table& table, const Found& found) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const std::string at = place(path, name.source().begin);
    if (const auto* inner = node.as_table(); inner != nullptr && !inner->empty()) {
      STRATA_TRY(walk(schema, path, key + ".", *inner, found));
      continue;
    }
    const Setting* setting = find(schema, key);
    if (setting == nullptr) {
      return invalid(key, fmt::format("{}: there is no setting '{}'{}", at, printable(key, 80),
                                      suggestion(nearest_key(schema, key))));
    }
    auto text = file_text(*setting, node);
    const std::string value_at = place(path, node.source().begin);
    if (!text) {
      return invalid(key, fmt::format("{}: {} must be {}", value_at, key, wanted_type(*setting)));
    }
    STRATA_TRY(found(*setting, *std::move(text), value_at));
  }
  return {};
}

}  // namespace

std::string flag_of(const Setting& setting) {
  return "--" + spelled(setting.key, '-', false);
}

std::string variable_of(const Setting& setting) {
  return std::string(kVariablePrefix) + spelled(setting.key, '_', true);
}

std::string_view origin_name(Origin origin) {
  switch (origin) {
    case Origin::kDefault:
      return "default";
    case Origin::kFile:
      return "file";
    case Origin::kEnvironment:
      return "environment";
    case Origin::kFlag:
      return "flag";
  }
  return "default";
}

Settings::Settings(std::span<const Setting> schema) : schema_(schema) {
  for (const auto& setting : schema)
    values_.emplace(setting.key, Value{std::string(setting.fallback), Origin::kDefault, ""});
}

Status Settings::set(const Setting& setting, std::string text, Origin origin, std::string where) {
  if (const std::string wrong = fault(setting, text); !wrong.empty()) {
    return invalid(std::string(setting.key),
                   origin == Origin::kFile ? fmt::format("{}: {}: {}", where, setting.key, wrong)
                                           : fmt::format("{}: {}", where, wrong));
  }
  Value& value = values_.find(setting.key)->second;
  if (value.origin <= origin) value = Value{std::move(text), origin, std::move(where)};
  return {};
}

Status Settings::read_file(const std::string& path, std::string_view toml) {
  toml::table root;
  try {
    root = toml::parse(toml, path);
  } catch (const toml::parse_error& error) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{}: {}", place(path, error.source().begin), error.description()));
  }
  return walk(schema_, path, "", root,
              [this](const Setting& setting, std::string text, std::string where) {
                return set(setting, std::move(text), Origin::kFile, std::move(where));
              });
}

Status Settings::read_environment(
    const std::vector<std::pair<std::string, std::string>>& environment,
    const std::vector<std::string>& others) {
  std::map<std::string, const Setting*> by_variable;
  std::vector<std::string> endings;
  for (const auto& setting : schema_) {
    by_variable.emplace(variable_of(setting), &setting);
    endings.push_back(variable_of(setting).substr(kVariablePrefix.size()));
  }
  for (const auto& [name, text] : environment) {
    if (!name.starts_with(kVariablePrefix)) continue;
    if (const auto at = by_variable.find(name); at != by_variable.end()) {
      if (!text.empty()) STRATA_TRY(set(*at->second, text, Origin::kEnvironment, name));
      continue;
    }
    if (std::find(others.begin(), others.end(), name) != others.end()) continue;
    const std::string ending = name.substr(kVariablePrefix.size());
    const std::string nearest = nearest_ending(ending, endings);
    if (nearest.empty()) continue;
    return invalid(name, fmt::format("{}: there is no such setting. Did you mean '{}{}'?", name,
                                     kVariablePrefix, nearest));
  }
  return {};
}

Status Settings::set_flag(std::string_view key, const std::string& text) {
  const Setting& setting = *find(schema_, key);
  return set(setting, text, Origin::kFlag, flag_of(setting));
}

const Value& Settings::value(std::string_view key) const {
  return values_.find(key)->second;
}

std::int64_t Settings::integer(std::string_view key) const {
  return number_of(*find(schema_, key), text(key)).value_or(0);
}

}  // namespace strata::config
