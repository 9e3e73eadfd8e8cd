#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata::config {

enum class Kind : std::uint8_t { kText, kAddress, kChoice, kInteger, kBytes };

// One thing that can be set. Its key is its place in the file ("tls.private_key"); the flag
// (--tls-private-key) and the environment variable (STRATA_TLS_PRIVATE_KEY) follow from it.
struct Setting {
  std::string_view key;
  Kind kind = Kind::kText;
  std::string_view fallback;  // as a flag would give it; empty for none
  std::string_view help;
  std::string_view choices{};  // of kChoice, with commas between them
  std::int64_t low = 0;        // of kInteger and kBytes
  std::int64_t high = INT64_MAX;
};

std::string flag_of(const Setting& setting);
std::string variable_of(const Setting& setting);

// Where a value came from; a later origin wins over an earlier one, in whatever order they are
// read.
enum class Origin : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
std::string_view origin_name(Origin origin);

struct Value {
  std::string text;
  Origin origin = Origin::kDefault;
  std::string where;  // "strata.toml:3:8", "STRATA_HTTP" or "--http"; empty for a default
};

// What a schema's settings are, read from a file (TOML 1.0), the environment and flags. Every read
// checks all it reads: names, types, ranges. Errors: kInvalidArgument, beginning with the place and
// naming what was probably meant. Pure: the texts come from the caller.
class Settings {
 public:
  explicit Settings(std::span<const Setting> schema);

  // `path` is only for messages.
  Status read_file(const std::string& path, std::string_view toml);
  // Takes the schema's variables; an empty one counts as not set. A variable that begins with
  // STRATA_, is not among `others` (such as "STRATA_URL") and is one slip away from a setting's is
  // an error: it would be without effect.
  Status read_environment(const std::vector<std::pair<std::string, std::string>>& environment,
                          const std::vector<std::string>& others);
  Status set_flag(std::string_view key, const std::string& text);

  std::span<const Setting> schema() const { return schema_; }
  const Value& value(std::string_view key) const;
  const std::string& text(std::string_view key) const { return value(key).text; }
  // Of kInteger and kBytes; 0 when there is none.
  std::int64_t integer(std::string_view key) const;

 private:
  Status set(const Setting& setting, std::string text, Origin origin, std::string where);

  std::span<const Setting> schema_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace strata::config
