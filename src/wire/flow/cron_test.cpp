#include "wire/flow/cron.hpp"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

TimeZone zone(const std::string& name) {
  std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  auto parsed = TimeZone::parse(name, bytes.str());
  EXPECT_TRUE(parsed.ok()) << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : TimeZone::utc();
}

Instant at(std::string_view text) {
  return *parse_rfc3339(text);
}

std::vector<std::string> runs(std::string_view cron, const TimeZone& tz, std::string_view from,
                              std::size_t count) {
  std::vector<std::string> out;
  const auto schedule = Cron::parse(cron);
  EXPECT_TRUE(schedule.ok()) << cron;
  Instant t = at(from);
  for (std::size_t i = 0; i < count; ++i) {
    const auto next = schedule->next(t, tz);
    if (!next) break;
    t = *next;
    out.push_back(to_rfc3339(t).substr(0, 16));
  }
  return out;
}

using Times = std::vector<std::string>;

TEST(TimeZone, Reads_offsets_from_the_table_and_beyond_it_from_the_footer) {
  const TimeZone berlin = zone("Europe/Berlin");
  EXPECT_EQ(berlin.offset_at(at("2013-01-15T12:00:00Z").seconds()), 3600);
  EXPECT_EQ(berlin.offset_at(at("2013-07-15T12:00:00Z").seconds()), 7200);
  EXPECT_EQ(berlin.offset_at(at("2087-07-15T12:00:00Z").seconds()), 7200);
  EXPECT_EQ(berlin.offset_at(at("2087-12-15T12:00:00Z").seconds()), 3600);
  EXPECT_EQ(zone("America/New_York").offset_at(at("2013-07-15T12:00:00Z").seconds()), -4 * 3600);
  EXPECT_EQ(zone("Asia/Kolkata").offset_at(at("2060-01-01T00:00:00Z").seconds()), 19800);
  // The southern summer spans the new year.
  EXPECT_EQ(zone("Australia/Sydney").offset_at(at("2055-01-01T00:00:00Z").seconds()), 11 * 3600);
  EXPECT_EQ(zone("Australia/Sydney").offset_at(at("2055-06-01T00:00:00Z").seconds()), 10 * 3600);
  EXPECT_EQ(zone("Asia/Kathmandu").offset_at(0), 19800);
}

TEST(TimeZone, Refuses_bytes_that_are_no_zone_at_every_cut) {
  EXPECT_FALSE(TimeZone::parse("x", "").ok());
  EXPECT_FALSE(
      TimeZone::parse("x", "TZif but not really, just some text of forty-four bytes or so").ok());
  std::ifstream file("/usr/share/zoneinfo/America/New_York", std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string whole = bytes.str();
  for (std::size_t cut = 0; cut + 2 < whole.size(); cut += 7) {
    EXPECT_FALSE(TimeZone::parse("x", std::string_view(whole).substr(0, cut)).ok()) << cut;
  }
}

TEST(Cron, Runs_at_the_local_time_of_its_zone) {
  EXPECT_EQ(runs("30 6 * * *", zone("America/New_York"), "2026-01-05T00:00:00Z", 2),
            (Times{"2026-01-05T11:30", "2026-01-06T11:30"}));
  EXPECT_EQ(runs("0 6 * * *", zone("America/New_York"), "2026-07-05T00:00:00Z", 1),
            (Times{"2026-07-05T10:00"}));
  EXPECT_EQ(runs("*/20 * * * *", TimeZone::utc(), "2026-01-05T00:00:00Z", 3),
            (Times{"2026-01-05T00:20", "2026-01-05T00:40", "2026-01-05T01:00"}));
}

TEST(Cron, A_time_the_clocks_jump_over_runs_at_the_first_valid_moment_after) {
  // Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
  EXPECT_EQ(runs("30 2 * * *", zone("Europe/Berlin"), "2026-03-28T12:00:00Z", 2),
            (Times{"2026-03-29T01:00", "2026-03-30T00:30"}));
  // Two missed times of one gap make one run.
  EXPECT_EQ(runs("15,45 2 * * *", zone("Europe/Berlin"), "2026-03-28T12:00:00Z", 2),
            (Times{"2026-03-29T01:00", "2026-03-30T00:15"}));
}

TEST(Cron, A_fixed_hour_that_occurs_twice_runs_once) {
  // Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC.
  EXPECT_EQ(runs("30 2 * * *", zone("Europe/Berlin"), "2026-10-24T12:00:00Z", 2),
            (Times{"2026-10-25T00:30", "2026-10-26T01:30"}));
}

TEST(Cron, An_hourly_schedule_counts_real_hours_through_both_changes) {
  const TimeZone berlin = zone("Europe/Berlin");
  EXPECT_EQ(runs("0 * * * *", berlin, "2026-03-28T23:30:00Z", 3),
            (Times{"2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"}));
  EXPECT_EQ(
      runs("0 * * * *", berlin, "2026-10-24T23:30:00Z", 4),
      (Times{"2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T03:00"}));
}

TEST(Cron, Day_fields_are_alternatives_when_both_are_set) {
  // The 1st and every Friday; 1 January 2027 is a Friday.
  EXPECT_EQ(runs("0 0 1 * fri", TimeZone::utc(), "2026-12-20T00:00:00Z", 3),
            (Times{"2026-12-25T00:00", "2027-01-01T00:00", "2027-01-08T00:00"}));
  EXPECT_EQ(runs("0 0 29 2 *", TimeZone::utc(), "2026-12-20T00:00:00Z", 2),
            (Times{"2028-02-29T00:00", "2032-02-29T00:00"}));
  // Vixie's rule: a weekday is enough when both day fields are restricted.
  EXPECT_EQ(runs("0 0 30 feb 1", TimeZone::utc(), "2026-12-20T00:00:00Z", 1),
            (Times{"2027-02-01T00:00"}));
  EXPECT_EQ(runs("0 0 * * 7", TimeZone::utc(), "2026-12-20T00:00:00Z", 1),
            (Times{"2026-12-27T00:00"}));
}

TEST(Cron, Says_which_field_is_wrong) {
  for (const auto* const text :
       {"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
        "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "@noon", "-1 * * * *",
        "1- * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"}) {
    EXPECT_FALSE(Cron::parse(text).ok()) << text;
  }
  EXPECT_NE(Cron::parse("0 24 * * *").error().message.find("hour"), std::string::npos);
}

TEST(Cron, A_year_in_any_zone_moves_strictly_forward) {
  for (const auto* const name : {"Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe",
                                 "Asia/Tehran", "Pacific/Apia"}) {
    const TimeZone tz = zone(name);
    const auto schedule = Cron::parse("*/30 * * * *");
    Instant t = at("2011-06-01T00:00:00Z");
    for (int i = 0; i < 3000; ++i) {
      const auto next = schedule->next(t, tz);
      ASSERT_TRUE(next.has_value());
      ASSERT_EQ((next->seconds() - t.seconds()) % 1800, 0) << name << to_rfc3339(*next);
      ASSERT_GT(*next, t);
      t = *next;
    }
  }
}

}  // namespace
}  // namespace strata::wire
