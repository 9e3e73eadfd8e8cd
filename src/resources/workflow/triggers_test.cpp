#include "resources/workflow/triggers.hpp"

#include <gtest/gtest.h>

namespace strata::resources::workflow {
namespace {

Instant at(std::string_view text) {
  return *parse_rfc3339(text);
}

std::string due(const wire::CronTrigger& trigger, std::string_view last, std::string_view now) {
  const auto fire = due_fire(trigger, at(last), at(now));
  if (!fire) return fire.error().message;
  return *fire ? to_rfc3339(**fire).substr(0, 16) : "none";
}

TEST(Triggers, A_schedule_fires_at_its_time_and_not_before) {
  const wire::CronTrigger daily{"0 6 * * *", "Europe/Berlin"};
  EXPECT_EQ(due(daily, "2026-01-05T05:00:00Z", "2026-01-06T04:59:59Z"), "none");
  EXPECT_EQ(due(daily, "2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"), "2026-01-06T05:00");
  EXPECT_EQ(due(daily, "2026-01-06T05:00:00Z", "2026-01-06T05:00:00Z"), "none");
}

TEST(Triggers, Of_many_missed_fires_the_latest_is_due) {
  EXPECT_EQ(due({"*/5 * * * *", "UTC"}, "2020-01-01T00:00:00Z", "2026-11-22T10:03:00Z"),
            "2026-11-22T10:00");
  EXPECT_EQ(due({"0 0 1 1 *", "UTC"}, "2001-06-01T00:00:00Z", "2026-11-22T10:03:00Z"),
            "2026-01-01T00:00");
  EXPECT_EQ(due({"* * * * *", "UTC"}, "2026-11-22T10:00:00Z", "2026-11-22T10:03:30Z"),
            "2026-11-22T10:03");
}

TEST(Triggers, An_object_matches_by_bucket_and_prefix) {
  const wire::EventTrigger trigger{"object.created", "raw", "flights/"};
  EXPECT_TRUE(matches(trigger, "raw", "flights/2013.csv"));
  EXPECT_FALSE(matches(trigger, "raw", "weather/2013.csv"));
  EXPECT_FALSE(matches(trigger, "raw2", "flights/2013.csv"));
}

TEST(Triggers, A_zone_that_is_no_name_reads_no_file) {
  for (const auto* const zone :
       {"../../etc/passwd", "/etc/passwd", "Europe//Berlin", "", "Mars/Olympus"}) {
    EXPECT_FALSE(next_fire({"0 6 * * *", zone}, at("2026-01-01T00:00:00Z")).ok()) << zone;
  }
}

}  // namespace
}  // namespace strata::resources::workflow
