#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace strata::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Where finished lines go; installed once at start-up by app/. Lines are dropped until then.
using Sink = std::function<void(std::string_view line)>;
void install(Sink sink, Level least);

// Writes one structured line: time, level, event and the fields, as JSON. Never blocks on anything
// but the sink. Thread-safe. `event` is a stable name such as "http.request"; values belong into
// fields, never into the name.
void write(Level level, std::string_view event, Json fields = Json::object());

// Whether a line of this level would be kept: one load, to be asked before a line is put together.
bool enabled(Level level);

// A line as write() makes it, put together field by field without a value in between: for the lines
// that every request writes. Values are those of the fields' names, in the order of the calls.
class Line {
 public:
  Line(Level level, std::string_view event);
  Line& text(std::string_view name, std::string_view value);
  Line& number(std::string_view name, std::int64_t value);
  Line& number(std::string_view name, double value);
  // Hands the line to the sink if its level is kept. Call once, last.
  void write();

 private:
  void name(std::string_view name);

  Level level_;
  std::string text_;
};

inline void debug(std::string_view event, Json fields = Json::object()) {
  write(Level::kDebug, event, std::move(fields));
}
inline void info(std::string_view event, Json fields = Json::object()) {
  write(Level::kInfo, event, std::move(fields));
}
inline void warn(std::string_view event, Json fields = Json::object()) {
  write(Level::kWarn, event, std::move(fields));
}
inline void error(std::string_view event, Json fields = Json::object()) {
  write(Level::kError, event, std::move(fields));
}

}  // namespace strata::log
