#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace strata {

// A point of wall-clock time in UTC, microseconds since 1970. Durations come from a steady clock
// instead: see runtime/clock.hpp.
struct Instant {
  std::int64_t micros = 0;

  std::int64_t millis() const { return micros / 1000; }
  std::int64_t seconds() const { return micros / 1'000'000; }
  static constexpr Instant from_millis(std::int64_t ms) { return Instant{ms * 1000}; }
  static constexpr Instant from_seconds(std::int64_t s) { return Instant{s * 1'000'000}; }

  auto operator<=>(const Instant&) const = default;
  Instant operator+(std::chrono::microseconds d) const { return Instant{micros + d.count()}; }
  Instant operator-(std::chrono::microseconds d) const { return Instant{micros - d.count()}; }
  std::chrono::microseconds operator-(Instant o) const {
    return std::chrono::microseconds(micros - o.micros);
  }
};

struct CivilTime {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int weekday = 4;  // 0 = Sunday
};

// UTC broken down, proleptic Gregorian calendar; the inverse ignores `weekday`.
CivilTime to_civil(Instant t);
Instant from_civil(const CivilTime& c);

// 2026-11-22T15:04:05.123Z (RFC 3339, milliseconds).
std::string to_rfc3339(Instant t);
// 20261122T150405Z, as signatures use it.
std::string to_basic_iso8601(Instant t);
// Sun, 22 Nov 2026 15:04:05 GMT (RFC 9110 IMF-fixdate).
std::string to_http_date(Instant t);

// Accept the forms above; RFC 3339 also with an offset and without fraction. Errors:
// kInvalidArgument.
Result<Instant> parse_rfc3339(std::string_view text);
Result<Instant> parse_basic_iso8601(std::string_view text);
Result<Instant> parse_http_date(std::string_view text);

// "90s", "15m", "36h", "7d", "250ms" or a sum such as "1h30m"; at most 100,000 days.
// Errors: kInvalidArgument.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// 1 m 12 s, 250 ms, 3 h 5 m: how durations are shown to people.
std::string show_duration(std::chrono::milliseconds d);

}  // namespace strata
