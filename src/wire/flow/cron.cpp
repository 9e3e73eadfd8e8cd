#include "wire/flow/cron.hpp"

#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::int64_t kDay = 86400;

struct Field {
  std::string_view name;
  int least, most;
  std::string_view names;  // "jan feb ..." for the values from `least` on
};

constexpr std::array<Field, 5> kFields = {{
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of month", 1, 31, ""},
    {"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
    {"day of week", 0, 7, "sun mon tue wed thu fri sat"},
}};

constexpr std::pair<std::string_view, std::string_view> kMacros[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

std::optional<int> value_of(const Field& field, std::string_view text) {
  if (const auto number = to_int(text)) {
    if (*number < field.least || *number > field.most) return std::nullopt;
    return static_cast<int>(*number);
  }
  int value = field.least;
  for (const std::string& name : split(field.names, ' ')) {
    if (!name.empty() && equal_ignoring_case(name, text)) return value;
    ++value;
  }
  return std::nullopt;
}

Error bad(const Field& field, std::string_view text) {
  return invalid(
      "cron",
      fmt::format(
          "cron field '{}' is '{}': expected '*', values from {} to {}, ranges (a-b), lists (a,b) "
          "or steps (*/n)",
          field.name, text, field.least, field.most));
}

// Adds what one comma-separated part means to `set`.
template <std::size_t N>
bool add_part(const Field& field, std::string_view part, std::bitset<N>& set) {
  int step = 1;
  bool stepped = false;
  if (const auto slash = part.find('/'); slash != std::string_view::npos) {
    const auto number = to_int(part.substr(slash + 1));
    if (!number || *number < 1 || *number > field.most) return false;
    step = static_cast<int>(*number);
    stepped = true;
    part = part.substr(0, slash);
  }
  int first = field.least;
  int last = field.most;
  if (part != "*") {
    const auto dash = part.find('-', 1);
    const auto from = value_of(field, part.substr(0, dash));
    if (!from) return false;
    first = *from;
    last = stepped ? field.most : first;
    if (dash != std::string_view::npos) {
      const auto to = value_of(field, part.substr(dash + 1));
      if (!to || *to < first) return false;
      last = *to;
    }
  }
  // Day of week 7 is Sunday, as 0 is.
  for (int v = first; v <= last; v += step)
    set.set(static_cast<std::size_t>(v) % (N == 7 ? 7 : N + 1));
  return true;
}

template <std::size_t N>
Status read_field(const Field& field, std::string_view text, std::bitset<N>& set) {
  for (const std::string& part : split(text, ',')) {
    if (part.empty() || !add_part(field, part, set)) return bad(field, text);
  }
  return {};
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  Cron cron;
  cron.text_ = std::string(trim(text));
  std::string_view body = cron.text_;
  if (body.starts_with('@')) {
    const auto* const known = std::ranges::find(
        kMacros, to_lower(body), &std::pair<std::string_view, std::string_view>::first);
    if (known == std::end(kMacros)) {
      return invalid(
          "cron",
          fmt::format(
              "cron '{}' is not known; use five fields or @hourly, @daily, @weekly, @monthly, "
              "@yearly",
              cron.text_));
    }
    body = known->second;
  }
  std::vector<std::string> fields;
  for (auto& piece : split(body, ' ')) {
    if (!piece.empty()) fields.push_back(std::move(piece));
  }
  if (fields.size() != kFields.size()) {
    return invalid(
        "cron",
        fmt::format(
            "cron '{}' has {} fields; it needs five: minute hour day-of-month month day-of-week",
            cron.text_, fields.size()));
  }
  STRATA_TRY(read_field(kFields[0], fields[0], cron.minutes_));
  STRATA_TRY(read_field(kFields[1], fields[1], cron.hours_));
  STRATA_TRY(read_field(kFields[2], fields[2], cron.days_));
  STRATA_TRY(read_field(kFields[3], fields[3], cron.months_));
  STRATA_TRY(read_field(kFields[4], fields[4], cron.weekdays_));
  cron.any_hour_ = fields[1].starts_with('*');
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  if (!cron.has_a_day()) {
    return invalid("cron", fmt::format("cron '{}' never runs: day {} is in no month of '{}'",
                                       cron.text_, fields[2], fields[3]));
  }
  return cron;
}

bool Cron::has_a_day() const {
  if (!any_day_ && !any_weekday_) return true;  // then a weekday is enough
  constexpr std::array<std::size_t, 13> kLongest = {0,  31, 29, 31, 30, 31, 30,
                                                    31, 31, 30, 31, 30, 31};
  for (std::size_t month = 1; month < kLongest.size(); ++month) {
    for (std::size_t day = 1; day <= kLongest[month]; ++day) {
      if (months_.test(month) && days_.test(day)) return true;
    }
  }
  return false;
}

bool Cron::day_matches(std::int64_t day) const {
  const CivilTime civil = to_civil(Instant::from_seconds(day * kDay));
  if (!months_.test(static_cast<std::size_t>(civil.month))) return false;
  const bool by_day = days_.test(static_cast<std::size_t>(civil.day));
  const bool by_weekday = weekdays_.test(static_cast<std::size_t>(civil.weekday));
  if (any_day_ || any_weekday_) return by_day && by_weekday;
  return by_day || by_weekday;
}

std::optional<std::int64_t> Cron::first_on_day(std::int64_t day, std::int64_t after,
                                               const TimeZone& zone) const {
  std::optional<std::int64_t> first;
  const auto offer = [&](std::int64_t moment) {
    if (moment > after && (!first || moment < *first)) first = moment;
  };
  for (std::size_t hour = 0; hour < 24; ++hour) {
    if (!hours_.test(hour)) continue;
    for (std::size_t minute = 0; minute < 60; ++minute) {
      if (!minutes_.test(minute)) continue;
      const auto meaning =
          zone.to_utc(day * kDay + static_cast<std::int64_t>(hour * 3600 + minute * 60));
      if (meaning.kind == TimeZone::Kind::kGap) {
        if (!any_hour_) offer(meaning.first);
        continue;
      }
      offer(meaning.first);
      if (meaning.kind == TimeZone::Kind::kFold && any_hour_) offer(meaning.second);
    }
  }
  return first;
}

std::optional<Instant> Cron::next(Instant after, const TimeZone& zone) const {
  const std::int64_t after_seconds = after.seconds();
  const std::int64_t local = after_seconds + zone.offset_at(after_seconds);
  const std::int64_t start = local / kDay - 1;
  constexpr std::int64_t kHorizon = 8 * 366;
  for (std::int64_t day = start; day <= start + kHorizon; ++day) {
    std::optional<std::int64_t> best;
    if (day_matches(day)) best = first_on_day(day, after_seconds, zone);
    if (!best) continue;
    // Clocks set back across midnight let the next day begin before this one is over.
    if (day_matches(day + 1)) {
      const auto other = first_on_day(day + 1, after_seconds, zone);
      if (other && *other < *best) best = other;
    }
    return Instant::from_seconds(*best);
  }
  return std::nullopt;
}

}  // namespace strata::wire
