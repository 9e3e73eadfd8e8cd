#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace strata::wire {

// A time of the wall clock, seconds since 1970-01-01 00:00 as if the zone were UTC.
using LocalSeconds = std::int64_t;

// One IANA time zone, from the bytes of a TZif file (RFC 9636, versions 1 to 4) with its POSIX
// footer for the time after the last listed transition. Immutable once made.
class TimeZone {
 public:
  // Errors: kMalformed when the bytes are no TZif file or its footer cannot be read.
  static Result<TimeZone> parse(std::string name, std::string_view tzif);
  static TimeZone utc();

  const std::string& name() const { return name_; }
  // Seconds to add to UTC for local time at that moment.
  std::int32_t offset_at(std::int64_t utc_seconds) const;

  // What a wall-clock time means: one moment, none (clocks jumped over it) or two (clocks were set
  // back).
  enum class Kind : std::uint8_t { kUnique, kGap, kFold };
  struct Meaning {
    Kind kind = Kind::kUnique;
    std::int64_t first =
        0;  // UTC seconds; in a gap the moment of the jump, which is the first valid one after it
    std::int64_t second = 0;  // the later of two in a fold, else the same as `first`
  };
  Meaning to_utc(LocalSeconds local) const;

 private:
  // One end of daylight saving time in a POSIX rule: Mm.w.d, Jn or n, at `time` seconds of the
  // local day.
  struct RuleDate {
    enum class Form : std::uint8_t {
      kMonthWeekDay,
      kJulianNoLeap,
      kDayOfYear
    } form = Form::kMonthWeekDay;
    int month = 0, week = 0, day = 0;
    std::int32_t time = 7200;
  };
  struct Rule {
    bool present = false, has_dst = false;
    std::int32_t standard = 0, daylight = 0;
    RuleDate start, end;
  };
  struct Transition {
    std::int64_t at;
    std::int32_t offset;  // in force from `at` on
  };
  class FooterParser;

  std::int32_t footer_offset_at(std::int64_t utc_seconds) const;
  static std::int64_t date_in_year(const RuleDate& date, int year);

  std::string name_;
  std::int32_t first_offset_ = 0;  // before the first transition
  std::vector<Transition> transitions_;
  Rule footer_;
};

}  // namespace strata::wire
