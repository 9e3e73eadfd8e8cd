#include "wire/flow/tzdata.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace strata::wire {
namespace {

constexpr std::int64_t kDay = 86400;
// RFC 9636 section 3.2: an offset is more than -25 hours and less than 26.
constexpr std::int32_t kLeastOffset = -25 * 3600 + 1, kMostOffset = 26 * 3600 - 1;
// Hours of an offset in a POSIX rule, and of the time of day at which it changes.
constexpr int kOffsetHours = 24, kChangeHours = 167;

Error malformed(const std::string& zone, std::string_view what) {
  return Error(Code::kMalformed, fmt::format("time zone '{}': {}", zone, what));
}

// Big-endian integers at an offset that the caller has checked.
std::int64_t read_be(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  if (width == 4) return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
  return static_cast<std::int64_t>(value);
}

struct Header {
  char version = 0;
  std::size_t ut_local = 0, standard_wall = 0, leaps = 0, times = 0, types = 0, chars = 0;
  // Length of the data block that follows, with times of `width` bytes.
  std::size_t block(std::size_t width) const {
    return times * (width + 1) + types * 6 + chars + leaps * (width + 4) + standard_wall + ut_local;
  }
};

constexpr std::size_t kHeaderSize = 44;
constexpr std::size_t kMaxCount = 100'000;

bool read_header(std::string_view bytes, Header& out) {
  if (bytes.size() < kHeaderSize || !bytes.starts_with("TZif")) return false;
  out.version = bytes[4];
  std::size_t* const fields[] = {&out.ut_local, &out.standard_wall, &out.leaps,
                                 &out.times,    &out.types,         &out.chars};
  for (std::size_t i = 0; i < 6; ++i) {
    const auto value = static_cast<std::uint32_t>(read_be(bytes, 20 + 4 * i, 4));
    if (value > kMaxCount) return false;
    *fields[i] = value;
  }
  return out.types > 0;
}

bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

std::int64_t days_to(int year, int month, int day) {
  CivilTime civil;
  civil.year = year;
  civil.month = month;
  civil.day = day;
  return from_civil(civil).seconds() / kDay;
}

}  // namespace

// The POSIX TZ string, as RFC 9636 section 3.3.1 extends it (hours -167 to 167).
class TimeZone::FooterParser {
 public:
  explicit FooterParser(std::string_view text) : text_(text) {}

  bool parse(Rule& rule) {
    if (text_.empty()) return true;
    std::int32_t west = 0;
    if (!designation() || !duration(west, kOffsetHours)) return false;
    rule.present = true;
    rule.standard = rule.daylight = -west;
    if (text_.empty()) return true;
    if (!designation()) return false;
    rule.has_dst = true;
    rule.daylight = rule.standard + 3600;
    if (!text_.empty() && text_.front() != ',') {
      if (!duration(west, kOffsetHours)) return false;
      rule.daylight = -west;
    }
    return take(',') && date(rule.start) && take(',') && date(rule.end) && text_.empty();
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool designation() {
    if (take('<')) {
      const auto end = text_.find('>');
      if (end == std::string_view::npos) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    std::size_t length = 0;
    while (length < text_.size() &&
           ((text_[length] | 0x20) >= 'a' && (text_[length] | 0x20) <= 'z'))
      ++length;
    text_.remove_prefix(length);
    return length >= 3;
  }
  bool number(int& out, int least, int most) {
    int value = 0;
    std::size_t length = 0;
    while (length < text_.size() && length < 4 && text_[length] >= '0' && text_[length] <= '9') {
      value = value * 10 + (text_[length++] - '0');
    }
    text_.remove_prefix(length);
    out = value;
    return length > 0 && value >= least && value <= most;
  }
  // [+-]hh[:mm[:ss]] in seconds.
  bool duration(std::int32_t& out, int most_hours) {
    const bool negative = take('-');
    if (!negative) take('+');
    int hours = 0, minutes = 0, seconds = 0;
    if (!number(hours, 0, most_hours)) return false;
    if (take(':') && !number(minutes, 0, 59)) return false;
    if (take(':') && !number(seconds, 0, 59)) return false;
    out = (hours * 60 + minutes) * 60 + seconds;
    if (negative) out = -out;
    return true;
  }
  bool date(RuleDate& out) {
    if (take('M')) {
      out.form = RuleDate::Form::kMonthWeekDay;
      if (!number(out.month, 1, 12) || !take('.') || !number(out.week, 1, 5) || !take('.') ||
          !number(out.day, 0, 6)) {
        return false;
      }
    } else if (take('J')) {
      out.form = RuleDate::Form::kJulianNoLeap;
      if (!number(out.day, 1, 365)) return false;
    } else {
      out.form = RuleDate::Form::kDayOfYear;
      if (!number(out.day, 0, 365)) return false;
    }
    return !take('/') || duration(out.time, kChangeHours);
  }

  std::string_view text_;
};

TimeZone TimeZone::utc() {
  TimeZone zone;
  zone.name_ = "UTC";
  return zone;
}

Result<TimeZone> TimeZone::parse(std::string name, std::string_view tzif) {
  Header header;
  if (!read_header(tzif, header)) return malformed(name, "not a TZif file");
  std::size_t start = kHeaderSize;
  std::size_t width = 4;
  if (header.version >= '2') {
    // The first block repeats the data in 32 bits for old readers; skip to the 64-bit one.
    const std::size_t next = start + header.block(4);
    if (next > tzif.size() || !read_header(tzif.substr(next), header))
      return malformed(name, "second header missing");
    start = next + kHeaderSize;
    width = 8;
  }
  if (start + header.block(width) > tzif.size()) return malformed(name, "data is cut off");

  TimeZone zone;
  zone.name_ = std::move(name);
  const std::size_t indices = start + header.times * width;
  const std::size_t types = indices + header.times;
  const auto offset_of_type = [&](std::size_t type) {
    return static_cast<std::int32_t>(read_be(tzif, types + type * 6, 4));
  };
  for (std::size_t type = 0; type < header.types; ++type) {
    if (offset_of_type(type) < kLeastOffset || offset_of_type(type) > kMostOffset)
      return malformed(zone.name_, "an offset is a day or more");
  }
  zone.first_offset_ = offset_of_type(0);
  zone.transitions_.reserve(header.times);
  for (std::size_t i = 0; i < header.times; ++i) {
    const auto type = static_cast<unsigned char>(tzif[indices + i]);
    if (type >= header.types) return malformed(zone.name_, "transition to an undefined type");
    const std::int64_t at = read_be(tzif, start + i * width, width);
    if (!zone.transitions_.empty() && at <= zone.transitions_.back().at) {
      return malformed(zone.name_, "transitions are not in order");
    }
    zone.transitions_.push_back({at, offset_of_type(type)});
  }
  if (width == 8) {
    std::string_view footer = tzif.substr(start + header.block(width));
    if (footer.size() < 2 || footer.front() != '\n') return malformed(zone.name_, "footer missing");
    footer.remove_prefix(1);
    footer = footer.substr(0, footer.find('\n'));
    if (!FooterParser(footer).parse(zone.footer_)) {
      return malformed(zone.name_, fmt::format("footer '{}' is no POSIX time zone", footer));
    }
  }
  return zone;
}

// Local seconds, in the offset in force before it, at which the rule's date falls in `year`.
std::int64_t TimeZone::date_in_year(const RuleDate& date, int year) {
  std::int64_t day = 0;
  switch (date.form) {
    case RuleDate::Form::kMonthWeekDay: {
      const std::int64_t first = days_to(year, date.month, 1);
      const auto weekday = static_cast<int>(((first % 7) + 11) % 7);  // 1970-01-01 was a Thursday
      day = first + (date.day - weekday + 7) % 7 + (date.week - 1) * 7;
      const std::int64_t next_month =
          date.month == 12 ? days_to(year + 1, 1, 1) : days_to(year, date.month + 1, 1);
      while (day >= next_month)
        day -= 7;
      break;
    }
    case RuleDate::Form::kJulianNoLeap:
      day = days_to(year, 1, 1) + date.day - 1 + (is_leap(year) && date.day >= 60 ? 1 : 0);
      break;
    case RuleDate::Form::kDayOfYear:
      day = days_to(year, 1, 1) + date.day;
      break;
  }
  return day * kDay + date.time;
}

std::int32_t TimeZone::footer_offset_at(std::int64_t utc_seconds) const {
  if (!footer_.has_dst) return footer_.standard;
  const int year = to_civil(Instant::from_seconds(utc_seconds + footer_.standard)).year;
  // The newest change at or before the moment decides; the year before covers both ends of the
  // year.
  std::int64_t newest = INT64_MIN;
  std::int32_t offset = footer_.standard;
  for (const int y : {year - 1, year, year + 1}) {
    const std::int64_t start = date_in_year(footer_.start, y) - footer_.standard;
    const std::int64_t end = date_in_year(footer_.end, y) - footer_.daylight;
    if (start <= utc_seconds && start > newest) {
      newest = start;
      offset = footer_.daylight;
    }
    if (end <= utc_seconds && end > newest) {
      newest = end;
      offset = footer_.standard;
    }
  }
  return offset;
}

std::int32_t TimeZone::offset_at(std::int64_t utc_seconds) const {
  const auto after = std::ranges::upper_bound(transitions_, utc_seconds, {}, &Transition::at);
  if (after == transitions_.end() && footer_.present) return footer_offset_at(utc_seconds);
  if (after == transitions_.begin()) return first_offset_;
  return std::prev(after)->offset;
}

TimeZone::Meaning TimeZone::to_utc(LocalSeconds local) const {
  // No zone is a day away from UTC and none changes twice in two days, so these two offsets are the
  // only candidates.
  const std::int32_t before = offset_at(local - kDay);
  const std::int32_t after = offset_at(local + kDay);
  const std::int64_t by_before = local - before;
  const std::int64_t by_after = local - after;
  const bool before_holds = offset_at(by_before) == before;
  const bool after_holds = offset_at(by_after) == after;
  if (before_holds && after_holds && by_before != by_after) {
    return {Kind::kFold, std::min(by_before, by_after), std::max(by_before, by_after)};
  }
  if (before_holds) return {Kind::kUnique, by_before, by_before};
  if (after_holds) return {Kind::kUnique, by_after, by_after};
  // In a gap: find the jump between the two moments.
  std::int64_t low = std::min(by_before, by_after) - 1;
  std::int64_t high = std::max(by_before, by_after) + 1;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (offset_at(middle) == before ? low : high) = middle;
  }
  return {Kind::kGap, high, high};
}

}  // namespace strata::wire
