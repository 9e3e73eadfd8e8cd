#include "base/time.hpp"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace strata {

namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

constexpr std::chrono::milliseconds kMaxDuration = std::chrono::days(100'000);

// `count` digits at `at`, or nothing.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool in_range(const CivilTime& c) {
  namespace ch = std::chrono;
  const ch::year_month_day date{ch::year(c.year), ch::month(static_cast<unsigned>(c.month)),
                                ch::day(static_cast<unsigned>(c.day))};
  return date.ok() && c.hour < 24 && c.minute < 60 && c.second < 61;
}

Error bad_time(std::string_view text, std::string_view form) {
  return invalid("", fmt::format("'{}' is not a time of the form {}", text.substr(0, 64), form));
}

std::optional<std::int64_t> unit_millis(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  return std::nullopt;
}

// The zone at the end of an RFC 3339 text, in seconds east of Greenwich.
std::optional<std::int64_t> parse_offset(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  const auto hours = digits(zone, 1, 2);
  const auto minutes = digits(zone, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::int64_t offset = *hours * 3600 + *minutes * 60;
  return zone[0] == '-' ? -offset : offset;
}

}  // namespace

CivilTime to_civil(Instant t) {
  namespace ch = std::chrono;
  std::int64_t seconds = t.micros / 1'000'000;
  if (t.micros % 1'000'000 < 0) --seconds;
  const auto whole = ch::sys_seconds(ch::seconds(seconds));
  const auto day = ch::floor<ch::days>(whole);
  const ch::year_month_day date(day);
  const ch::hh_mm_ss clock(whole - day);
  return CivilTime{.year = int(date.year()),
                   .month = static_cast<int>(unsigned(date.month())),
                   .day = static_cast<int>(unsigned(date.day())),
                   .hour = static_cast<int>(clock.hours().count()),
                   .minute = static_cast<int>(clock.minutes().count()),
                   .second = static_cast<int>(clock.seconds().count()),
                   .weekday = static_cast<int>(ch::weekday(day).c_encoding())};
}

Instant from_civil(const CivilTime& c) {
  namespace ch = std::chrono;
  const ch::sys_days day =
      ch::year_month_day{ch::year(c.year), ch::month(static_cast<unsigned>(c.month)),
                         ch::day(static_cast<unsigned>(c.day))};
  const auto whole = day + ch::hours(c.hour) + ch::minutes(c.minute) + ch::seconds(c.second);
  return Instant::from_seconds(whole.time_since_epoch().count());
}

std::string to_rfc3339(Instant t) {
  const CivilTime c = to_civil(t);
  const std::int64_t ms = ((t.micros / 1000) % 1000 + 1000) % 1000;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, ms);
}

std::string to_basic_iso8601(Instant t) {
  const CivilTime c = to_civil(t);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute,
                     c.second);
}

std::string to_http_date(Instant t) {
  const CivilTime c = to_civil(t);
  return fmt::format(
      "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(c.weekday)], c.day,
      kMonths[static_cast<std::size_t>(c.month - 1)], c.year, c.hour, c.minute, c.second);
}

Result<Instant> parse_rfc3339(std::string_view text) {
  constexpr std::string_view kForm = "2026-11-22T15:04:05.123Z";
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  const bool shape = text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
                     (text[10] == 'T' || text[10] == 't' || text[10] == ' ') && text[13] == ':' &&
                     text[16] == ':';
  if (!shape || !year || !month || !day || !hour || !minute || !second)
    return bad_time(text, kForm);
  const CivilTime civil{*year, *month, *day, *hour, *minute, *second, 0};
  if (!in_range(civil)) return bad_time(text, kForm);
  std::int64_t micros = 0;
  std::size_t at = 19;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      micros += (text[at] - '0') * scale;
    }
  }
  const auto offset = parse_offset(text.substr(at));
  if (!offset) return bad_time(text, kForm);
  return Instant{from_civil(civil).micros + micros - *offset * 1'000'000};
}

Result<Instant> parse_basic_iso8601(std::string_view text) {
  constexpr std::string_view kForm = "20261122T150405Z";
  const auto year = digits(text, 0, 4), month = digits(text, 4, 2), day = digits(text, 6, 2);
  const auto hour = digits(text, 9, 2), minute = digits(text, 11, 2), second = digits(text, 13, 2);
  const bool shape = text.size() == 16 && text[8] == 'T' && text[15] == 'Z';
  if (!shape || !year || !month || !day || !hour || !minute || !second)
    return bad_time(text, kForm);
  const CivilTime civil{*year, *month, *day, *hour, *minute, *second, 0};
  if (!in_range(civil)) return bad_time(text, kForm);
  return from_civil(civil);
}

Result<Instant> parse_http_date(std::string_view text) {
  constexpr std::string_view kForm = "Sun, 22 Nov 2026 15:04:05 GMT";
  if (text.size() != 29 || text.substr(25) != " GMT") return bad_time(text, kForm);
  const auto day = digits(text, 5, 2), year = digits(text, 12, 4), hour = digits(text, 17, 2);
  const auto minute = digits(text, 20, 2), second = digits(text, 23, 2);
  int month = 0;
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (text.substr(8, 3) == kMonths[i]) month = static_cast<int>(i) + 1;
  }
  if (!day || !year || !hour || !minute || !second || month == 0) return bad_time(text, kForm);
  const CivilTime civil{*year, month, *day, *hour, *minute, *second, 0};
  if (!in_range(civil)) return bad_time(text, kForm);
  return from_civil(civil);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return invalid("", fmt::format("'{}' is not a duration; write for example 90s, 15m, 36h or 7d",
                                   text.substr(0, 40)));
  };
  std::string_view rest = text;
  std::int64_t total = 0;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    std::int64_t count = 0;
    const auto [end, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (fault != std::errc() || count < 0 || count > 1'000'000'000) return bad();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    std::size_t letters = 0;
    while (letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z')
      ++letters;
    const auto unit = unit_millis(rest.substr(0, letters));
    if (!unit) return bad();
    total += count * *unit;
    // Far from the end of microseconds in 64 bits, to which callers convert and add.
    if (total > kMaxDuration / std::chrono::milliseconds(1))
      return invalid("", fmt::format("'{}' is longer than 100000d", text.substr(0, 40)));
    rest.remove_prefix(letters);
  }
  return std::chrono::milliseconds(total);
}

std::string show_duration(std::chrono::milliseconds d) {
  const std::int64_t ms = d.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 10'000) return fmt::format("{}.{} s", ms / 1000, ms % 1000 / 100);
  const std::int64_t s = ms / 1000;
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} m {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} m", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / 86'400, s % 86'400 / 3600);
}

}  // namespace strata
