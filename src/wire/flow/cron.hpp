#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/flow/tzdata.hpp"

namespace strata::wire {

// A cron schedule: five fields (minute, hour, day of month, month, day of week) with lists, ranges,
// steps and English names, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly,
// @annually. As in Vixie cron a day matches either day field when both are restricted.
//
// When clocks change: a schedule with fixed hours runs once for every matching wall-clock time. A
// time that the clocks jump over runs at the first valid moment after the jump; one that occurs
// twice runs at its first occurrence. A schedule whose hour field starts with '*' counts real time:
// it skips jumped hours and runs in both occurrences of a repeated one.
class Cron {
 public:
  // Errors: kInvalidArgument naming the field and its range, or the day that no month has.
  static Result<Cron> parse(std::string_view text);

  // The first run strictly after `after`; nothing when there is none within eight years.
  std::optional<Instant> next(Instant after, const TimeZone& zone) const;
  const std::string& text() const { return text_; }

 private:
  bool has_a_day() const;
  bool day_matches(std::int64_t day) const;
  std::optional<std::int64_t> first_on_day(std::int64_t day, std::int64_t after,
                                           const TimeZone& zone) const;

  std::string text_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_hour_ = false, any_day_ = false, any_weekday_ = false;
};

}  // namespace strata::wire
