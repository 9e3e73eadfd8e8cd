// Times and their parts, in any time zone.

#include <map>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "base/time.hpp"
#include "platform/expressions/kernel_forms.hpp"
#include "resources/workflow/zones.hpp"

namespace strata::platform::expressions {

namespace {

using Int = std::int64_t;
using Text = std::string_view;
using wire::TimeZone;

constexpr Int kSecond = 1'000'000;
constexpr Int kDaySeconds = 86'400;
constexpr std::size_t kMaxZoneName = 64;

// Null for a name that is none. Zones stay for the life of the process: there are few.
const TimeZone* find_zone(Text name) {
  if (name.size() > kMaxZoneName) return nullptr;
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<TimeZone>, std::less<>> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(name); found != known.end()) return found->second.get();
  auto zone = resources::workflow::load_zone(std::string(name));
  if (!zone) return nullptr;
  auto kept = std::make_unique<TimeZone>(*std::move(zone));
  return known.emplace(std::string(name), std::move(kept)).first->second.get();
}

// Rows of a column mostly share a zone.
const TimeZone* zone_of(Text name) {
  thread_local std::string last;
  thread_local const TimeZone* zone = nullptr;
  if (zone != nullptr && last == name) return zone;
  zone = find_zone(name);
  last = name;
  return zone;
}

Int floor_div(Int a, Int b) {
  const Int whole = a / b;
  return a % b < 0 ? whole - 1 : whole;
}

// The wall clock of a zone at a moment.
struct Local {
  CivilTime civil;
  Int seconds = 0;  // as if the zone were UTC
  Int day() const { return floor_div(seconds, kDaySeconds); }
};

bool local_of(Micros time, Text zone, Local& out) {
  const TimeZone* const known = zone_of(zone);
  if (known == nullptr) return false;
  const Int utc = floor_div(time.value, kSecond);
  out.seconds = utc + known->offset_at(utc);
  out.civil = to_civil(Instant::from_seconds(out.seconds));
  return true;
}

Int days_to(int year, int month, int day) {
  CivilTime civil;
  civil.year = year;
  civil.month = month;
  civil.day = day;
  return floor_div(from_civil(civil).seconds(), kDaySeconds);
}

Int iso_weekday(const Local& local) {
  return local.civil.weekday == 0 ? 7 : local.civil.weekday;
}
// ISO 8601: the week belongs to the year in which its Thursday lies.
Int iso_week(const Local& local) {
  const Int thursday = local.day() - iso_weekday(local) + 4;
  const auto year = to_civil(Instant::from_seconds(thursday * kDaySeconds)).year;
  return (thursday - days_to(year, 1, 1)) / 7 + 1;
}
Int day_of_year(const Local& local) {
  return local.day() - days_to(local.civil.year, 1, 1) + 1;
}
Int year_of(const Local& local) {
  return local.civil.year;
}
Int quarter_of(const Local& local) {
  return (local.civil.month + 2) / 3;
}
Int month_of(const Local& local) {
  return local.civil.month;
}
Int day_of(const Local& local) {
  return local.civil.day;
}
Int hour_of(const Local& local) {
  return local.civil.hour;
}
Int minute_of(const Local& local) {
  return local.civil.minute;
}
Int second_of(const Local& local) {
  return local.civil.second;
}

template <Int (*F)(const Local&)>
bool part(Arena&, Int& out, Micros time, Text zone) {
  Local local;
  if (!local_of(time, zone, local)) return false;
  out = F(local);
  return true;
}

// Where the local year, month ... begins, in local seconds.
Int year_begin(const Local& local) {
  return days_to(local.civil.year, 1, 1) * kDaySeconds;
}
Int month_begin(const Local& local) {
  return days_to(local.civil.year, local.civil.month, 1) * kDaySeconds;
}
Int week_begin(const Local& local) {
  return (local.day() - iso_weekday(local) + 1) * kDaySeconds;
}
Int day_begin(const Local& local) {
  return local.day() * kDaySeconds;
}

// The first moment of it: where clocks jump over midnight, the jump; where they show it twice, the
// first one.
template <Int (*F)(const Local&)>
bool truncate(Arena&, Micros& out, Micros time, Text zone) {
  Local local;
  if (!local_of(time, zone, local)) return false;
  const TimeZone* const known = zone_of(zone);
  return !__builtin_mul_overflow(known->to_utc(F(local)).first, kSecond, &out.value);
}
// The hour goes back by what the wall clock shows, so that the two hours of a night in autumn stay
// apart.
bool truncate_hour(Arena&, Micros& out, Micros time, Text zone) {
  Local local;
  if (!local_of(time, zone, local)) return false;
  const Int utc = floor_div(time.value, kSecond);
  const Int into = local.civil.minute * 60 + local.civil.second;
  out.value = (utc - into) * kSecond;
  return true;
}

bool sub_ts(Arena&, Int& out, Micros a, Micros b) {
  return !__builtin_sub_overflow(a.value, b.value, &out);
}
bool add_ts(Arena&, Micros& out, Micros a, Int b) {
  return !__builtin_add_overflow(a.value, b, &out.value);
}
bool ts_to_i64(Arena&, Int& out, Micros a) {
  out = a.value;
  return true;
}
bool i64_to_ts(Arena&, Micros& out, Int a) {
  out.value = a;
  return true;
}
bool column_ts(Arena&, Micros& out, Micros a) {
  out = a;
  return true;
}

bool number(Text& text, std::size_t digits, int& out) {
  if (text.size() < digits) return false;
  out = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}
bool take(Text& text, Text any) {
  if (text.empty() || !any.contains(text.front())) return false;
  text.remove_prefix(1);
  return true;
}

bool read_fraction(Text& text, Int& micros) {
  if (!take(text, ".")) return true;
  Int unit = 100'000;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits, unit /= 10) {
    if (digits >= 6 && text.front() != '0') return false;  // finer than a microsecond
    micros += (text.front() - '0') * unit;
    text.remove_prefix(1);
  }
  return digits > 0;
}

// Z, +hh:mm, -hhmm, +hh or nothing, as seconds east.
bool read_offset(Text& text, Int& seconds) {
  if (text.empty() || take(text, "Zz")) return true;
  const bool west = text.front() == '-';
  if (!take(text, "+-")) return false;
  int hours = 0;
  int minutes = 0;
  if (!number(text, 2, hours) || hours > 23) return false;
  if (!text.empty()) {
    take(text, ":");
    if (!number(text, 2, minutes) || minutes > 59) return false;
  }
  seconds = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
  return true;
}

int days_of(int year, int month) {
  const bool december = month == 12;
  return static_cast<int>(days_to(december ? year + 1 : year, december ? 1 : month + 1, 1) -
                          days_to(year, month, 1));
}

}  // namespace

bool is_zone(std::string_view name) {
  return find_zone(name) != nullptr;
}

std::string time_text(Micros time) {
  const Int seconds = floor_div(time.value, kSecond);
  const CivilTime c = to_civil(Instant::from_seconds(seconds));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, time.value - seconds * kSecond);
}

bool parse_time(std::string_view text, Micros& out) {
  CivilTime c;
  if (!number(text, 4, c.year) || !take(text, "-") || !number(text, 2, c.month) ||
      !take(text, "-") || !number(text, 2, c.day))
    return false;
  if (c.year < 1 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_of(c.year, c.month))
    return false;
  Int micros = 0;
  Int offset = 0;
  if (!text.empty()) {
    if (!take(text, "Tt ") || !number(text, 2, c.hour) || !take(text, ":") ||
        !number(text, 2, c.minute))
      return false;
    if (!text.empty() && text.front() == ':') {
      text.remove_prefix(1);
      if (!number(text, 2, c.second) || !read_fraction(text, micros)) return false;
    }
    if (!read_offset(text, offset) || !text.empty()) return false;
    if (c.hour > 23 || c.minute > 59 || c.second > 59) return false;
  }
  out.value = (from_civil(c).seconds() - offset) * kSecond + micros;
  return out.value >= kFirstMicros && out.value <= kLastMicros;
}

void add_time_kernels(std::vector<Kernel>& to) {
  const std::initializer_list<Kernel> all = {kernel<&part<year_of>>("year_ts"),
                                             kernel<&part<quarter_of>>("quarter_ts"),
                                             kernel<&part<month_of>>("month_ts"),
                                             kernel<&part<iso_week>>("week_ts"),
                                             kernel<&part<day_of>>("day_ts"),
                                             kernel<&part<day_of_year>>("day_of_year_ts"),
                                             kernel<&part<iso_weekday>>("weekday_ts"),
                                             kernel<&part<hour_of>>("hour_ts"),
                                             kernel<&part<minute_of>>("minute_ts"),
                                             kernel<&part<second_of>>("second_ts"),
                                             kernel<&truncate<year_begin>>("trunc_year_ts"),
                                             kernel<&truncate<month_begin>>("trunc_month_ts"),
                                             kernel<&truncate<week_begin>>("trunc_week_ts"),
                                             kernel<&truncate<day_begin>>("trunc_day_ts"),
                                             kernel<&truncate_hour>("trunc_hour_ts"),
                                             kernel<&sub_ts>("sub_ts"),
                                             kernel<&add_ts>("add_ts"),
                                             kernel<&ts_to_i64>("ts_to_i64"),
                                             kernel<&i64_to_ts>("i64_to_ts"),
                                             kernel<&column_ts>("column_ts")};
  to.insert(to.end(), all.begin(), all.end());
}

}  // namespace strata::platform::expressions
