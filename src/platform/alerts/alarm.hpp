#pragma once

// What an alarm is, how events become alarms, and what is told of them to whom: pure functions.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/events/events.hpp"

namespace strata::platform::alerts {

using Labels = std::map<std::string, std::string>;

// Something that is wrong since a time, or was until one.
struct Alarm {
  std::string project;
  std::string subject;  // what it is about: "endpoint:flights", "model:flights"
  Labels labels;        // what makes it this alarm and no other
  Labels annotations;   // what is told of it
  Instant starts;
  std::optional<Instant> ends;  // none while it is open
  bool open() const { return !ends; }
};

// 16 hex digits that two alarms share exactly when all their labels are equal.
std::string fingerprint_of(const Labels& labels);

// What an event says of alarms.
struct Change {
  enum class Kind : std::uint8_t {
    kOpens,   // `alarm`
    kCloses,  // every open alarm of the subject that has all of `alarm.labels`
    kMoves,   // those get another model's name and subject, `alarm`'s
  };
  Kind kind = Kind::kOpens;
  Alarm alarm;
  std::string subject;
};
// Nothing for events that are about no alarm.
std::optional<Change> change_of(const kernel::Event& event);

// One condition on a label, as Alertmanager writes it: name=value or name!=value. A label that an
// alarm does not have is "".
struct Matcher {
  std::string name;
  std::string value;
  bool equal = true;
  std::string text() const { return name + (equal ? "=" : "!=") + value; }
  // Errors: kInvalidArgument naming `field`, for another form or a label that no alarm has.
  static Result<Matcher> parse(std::string_view text, const std::string& field);
};
using Matchers = std::vector<Matcher>;
bool matches(const Matchers& matchers, const Labels& labels);
Json matchers_json(const Matchers& matchers);
// From a list of texts; null gives none. Errors: kInvalidArgument naming `field`.
Result<Matchers> parse_matchers(const Json& list, const std::string& field);

enum class RouteKind : std::uint8_t { kWebhook, kAlertmanager };

struct Route {
  std::string project, name;
  RouteKind kind = RouteKind::kWebhook;
  std::string url;
  Matchers matchers;
  bool send_resolved = true;
  std::chrono::milliseconds wait{2000};  // alarms of one subject within it go in one request
  std::chrono::milliseconds repeat{14'400'000};  // an open alarm is sent again after it
  std::string header, secret;                    // empty: none
  std::string actor;
  Instant created;

  // Errors: kInvalidArgument naming the field.
  static Result<Route> parse(const Json& json);
  // Without the secret.
  Json to_json() const;
};

struct Silence {
  std::string id;
  Matchers matchers;
  Instant from, until;
  std::string reason, author;
  bool active(Instant now) const { return from <= now && now < until; }
};

// What a route was told of one episode of an alarm; what was silenced does not count.
struct Told {
  std::optional<Instant> firing;  // when that was last put in line
  bool waiting = false;           // and whether it still is
  bool resolved = false;
};
enum class Act : std::uint8_t { kNothing, kFiring, kResolved };
// What has to be put in line for a route now. Who was told that an alarm is open is told its end
// whatever is silenced by then.
Act next_act(const Route& route, const Alarm& alarm, const Told& told, bool silenced, Instant now);
// When next_act() may say something else without an event: the repetition of an open alarm.
std::optional<Instant> next_look(const Route& route, const Alarm& alarm, const Told& told,
                                 bool silenced);

// A delivery is given up after so many attempts, about an hour.
constexpr int kAttempts = 20;
// How long to wait after that many failed attempts: 1 s doubled each time up to 5 minutes, of which
// a random half, `chance` in [0, 1), is taken off, so that many do not come back at once.
std::chrono::milliseconds backoff(int attempts, double chance);

// Of one request: whether it arrived, and else whether trying again may help.
enum class Outcome : std::uint8_t { kArrived, kTryAgain, kRefused };
Outcome outcome_of(int status);

// An alarm as it is sent: open or ended as of when it was put in line.
struct Notice {
  Alarm alarm;
  bool resolved() const { return !alarm.open(); }
};
// Alertmanager's webhook body of version 4. `server` is this server's URL.
Json webhook_body(const Route& route, const std::vector<Notice>& notices,
                  const std::string& server);
// What POST /api/v2/alerts of Alertmanager takes. Open ones end by themselves after four
// repetitions, should this server be gone by then.
Json alertmanager_body(const Route& route, const std::vector<Notice>& notices,
                       const std::string& server, Instant now);

}  // namespace strata::platform::alerts
