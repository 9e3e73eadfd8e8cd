#include "platform/alerts/alarm.hpp"

#include <gtest/gtest.h>

#include "runtime/clock.hpp"

namespace strata::platform::alerts {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

kernel::Event event(std::string type, std::string subject, std::string_view data, Instant time) {
  return {1, time, std::move(type), std::move(subject), ProjectId("p"), parse_json(data).value()};
}

Alarm drift(Instant time, std::string_view feature = "inputs.wind") {
  const std::string data = R"({"feature":")" + std::string(feature) + R"(","psi":0.5,"rows":600})";
  return change_of(event("drift.detected", "endpoint:flights", data, time))->alarm;
}

Route route_of(std::string_view more = "") {
  const std::string text =
      R"({"name":"r","kind":"webhook","url":"http://127.0.0.1:1/x")" + std::string(more) + "}";
  return Route::parse(parse_json(text).value()).value();
}

class AlertTimes : public ::testing::Test {
 protected:
  ManualClock clock_{Instant::from_seconds(1'800'000'000)};
  Route route_ = route_of();
  Alarm alarm_ = drift(clock_.now());
  Told told_;
  Act act(bool silenced = false) { return next_act(route_, alarm_, told_, silenced, clock_.now()); }
};

TEST_F(AlertTimes, An_open_alarm_is_sent_once_in_each_repeat_interval_of_a_month) {
  int sent = 0;
  for (int minute = 0; minute < 30 * 24 * 60; ++minute) {
    if (act() == Act::kFiring) {
      ++sent;
      told_.firing = clock_.now();
    }
    clock_.advance(std::chrono::minutes(1));
  }
  EXPECT_EQ(sent, 30 * 24 / 4);
}

TEST_F(AlertTimes, Nothing_is_repeated_while_it_still_waits_to_be_sent) {
  told_ = {.firing = clock_.now(), .waiting = true, .resolved = false};
  clock_.advance(hours(100));
  EXPECT_EQ(act(), Act::kNothing);
  EXPECT_FALSE(next_look(route_, alarm_, told_, false));
  told_.waiting = false;
  EXPECT_EQ(act(), Act::kFiring);
}

TEST_F(AlertTimes, The_end_is_sent_once_and_only_to_whom_the_beginning_was) {
  alarm_.ends = clock_.now();
  EXPECT_EQ(act(), Act::kNothing) << "never told";
  told_.firing = clock_.now();
  EXPECT_EQ(act(), Act::kResolved);
  EXPECT_EQ(act(true), Act::kResolved) << "silenced since, but somebody waits for it";
  told_.resolved = true;
  EXPECT_EQ(act(), Act::kNothing);
  told_.resolved = false;
  route_.send_resolved = false;
  EXPECT_EQ(act(), Act::kNothing);
}

TEST_F(AlertTimes, A_silenced_alarm_is_sent_when_the_silence_ends) {
  EXPECT_EQ(act(true), Act::kNothing);
  EXPECT_EQ(act(false), Act::kFiring);
}

TEST_F(AlertTimes, A_route_is_told_of_what_all_its_matchers_hold_for) {
  route_ = route_of(R"(,"matchers":["endpoint=flights","severity!=critical"])");
  EXPECT_EQ(act(), Act::kFiring);
  alarm_.labels["severity"] = "critical";
  EXPECT_EQ(act(), Act::kNothing);
  alarm_.labels["severity"] = "warning";
  alarm_.labels["endpoint"] = "houses";
  EXPECT_EQ(act(), Act::kNothing);
  EXPECT_TRUE(
      matches(parse_matchers(parse_json(R"(["model="])").value(), "m").value(), alarm_.labels))
      << "a label that is not there is empty";
}

TEST(AlertBackoff, Doubles_up_to_five_minutes_less_a_random_half_and_ends_in_about_an_hour) {
  EXPECT_EQ(backoff(1, 0), milliseconds(1000));
  EXPECT_EQ(backoff(2, 0), milliseconds(2000));
  EXPECT_EQ(backoff(2, 0.5), milliseconds(1500));
  EXPECT_EQ(backoff(9, 0), milliseconds(256'000));
  EXPECT_EQ(backoff(10, 0), milliseconds(300'000));
  EXPECT_EQ(backoff(1000, 0.999), backoff(10, 0.999));
  EXPECT_GT(backoff(1000, 0.999), milliseconds(149'000));
  milliseconds whole{0};
  for (int i = 1; i < kAttempts; ++i)
    whole += backoff(i, 0);
  EXPECT_GT(whole, std::chrono::minutes(45));
  EXPECT_LT(whole, std::chrono::minutes(75));
}

TEST(AlertOutcome, Only_what_may_pass_is_tried_again) {
  for (const int status : {200, 202, 204})
    EXPECT_EQ(outcome_of(status), Outcome::kArrived) << status;
  for (const int status : {408, 429, 500, 502, 503})
    EXPECT_EQ(outcome_of(status), Outcome::kTryAgain) << status;
  for (const int status : {301, 302, 400, 401, 404, 410})
    EXPECT_EQ(outcome_of(status), Outcome::kRefused) << status;
}

TEST(AlertChanges, Events_open_and_close_the_alarms_that_they_are_about) {
  const Instant now = Instant::from_seconds(1'800'000'000);
  const auto bad = R"({"subject":"@live","question":"data","to":"bad","codes":["gone"]})";
  const auto good = R"({"subject":"@live","question":"data","to":"good"})";
  const auto opened = change_of(event("verdict.changed", "model:m", bad, now));
  const auto closed = change_of(event("verdict.changed", "model:m", good, now));
  ASSERT_TRUE(opened && closed);
  EXPECT_EQ(opened->kind, Change::Kind::kOpens);
  EXPECT_EQ(closed->kind, Change::Kind::kCloses);
  EXPECT_EQ(opened->alarm.labels, closed->alarm.labels);
  EXPECT_EQ(opened->alarm.labels.at("alias"), "live");
  const auto gone = change_of(event("alias.moved", "model:m", R"({"alias":"live"})", now));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->alarm.labels.at("alias"), "live");
  EXPECT_FALSE(change_of(event("alias.moved", "model:m", R"({"alias":"live","to":3})", now)));
  EXPECT_TRUE(change_of(event("endpoint.deleted", "endpoint:e", "{}", now))->alarm.labels.empty());
  EXPECT_FALSE(change_of(event("object.created", "lake:b/k", "{}", now)));
}

TEST(AlertBodies, A_group_tells_what_its_alarms_have_in_common) {
  const Instant now = Instant::from_seconds(1'800'000'000);
  Alarm ended = drift(now, "inputs.hour");
  ended.ends = now;
  const Json body = webhook_body(route_of(), {{drift(now)}, {ended}}, "http://s");
  EXPECT_EQ(body.text("status"), "firing") << "one of them still does";
  EXPECT_EQ(body["commonLabels"].text("endpoint"), "flights");
  EXPECT_TRUE(body["commonLabels"]["feature"].is_null());
  const auto& alerts = body["alerts"].as_array();
  EXPECT_EQ(alerts[0].text("status"), "firing");
  EXPECT_EQ(alerts[1].text("status"), "resolved");
  EXPECT_EQ(alerts[1].text("endsAt"), to_rfc3339(now));
  EXPECT_NE(alerts[0].text("fingerprint"), alerts[1].text("fingerprint"));
  EXPECT_EQ(webhook_body(route_of(), {{ended}}, "").text("status"), "resolved");
  Route other = route_of();
  other.repeat = std::chrono::minutes(1);
  const Json sent = alertmanager_body(other, {{drift(now)}}, "", now);
  EXPECT_EQ(sent.as_array()[0].text("endsAt"), to_rfc3339(now + std::chrono::minutes(4)));
}

}  // namespace
}  // namespace strata::platform::alerts
