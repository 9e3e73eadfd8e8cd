#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/log.hpp"
#include "platform/alerts/alerts.hpp"
#include "platform/alerts/store.hpp"

namespace strata::platform::alerts {

using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr int kEventsAtOnce = 500;
// Where the cursor is kept though nothing happened that concerns it: what is read again after a
// restart is less than that, and the bus keeps far more.
constexpr std::int64_t kKeepCursorEvery = 5'000;
constexpr std::size_t kRoutesAtOnce = 8;
constexpr std::size_t kFailingAtOnce = 4;
constexpr std::size_t kMostInOne = 100;
constexpr std::chrono::hours kPruneEvery{1};
constexpr std::chrono::hours kKept{30 * 24};

struct Waiting {
  std::int64_t id = 0;
  std::string fingerprint;
  Alarm alarm;
  int attempts = 0;
  Instant next;
};

Result<std::vector<Waiting>> waiting_on(Reader& reader, const Route& route) {
  const auto rows = reader.query(
      "SELECT id, fingerprint, subject, labels, annotations, starts_us, ends_us, attempts, next_us "
      "FROM alert_deliveries WHERE project = ? AND route = ? AND state = 'pending' ORDER BY id",
      {route.project, route.name});
  if (!rows) return rows.error();
  std::vector<Waiting> out;
  for (const auto& row : *rows) {
    const auto labels = store::labels_of(row.text(3)), annotations = store::labels_of(row.text(4));
    if (!labels) return labels.error();
    if (!annotations) return annotations.error();
    Alarm alarm{route.project,           row.text(2), *labels, *annotations,
                Instant{row.integer(5)}, std::nullopt};
    if (!row.is_null(6)) alarm.ends = Instant{row.integer(6)};
    out.push_back({row.integer(0), row.text(1), std::move(alarm), static_cast<int>(row.integer(7)),
                   Instant{row.integer(8)}});
  }
  return out;
}

// Of one subject at most one row for each alarm, the oldest: its end goes out behind its beginning.
std::vector<Waiting> batch_of(std::vector<Waiting> waiting, Instant now) {
  struct Group {
    Instant due{INT64_MAX};
    int attempts = 0;
    std::vector<Waiting> rows;
    std::set<std::string> fingerprints;
  };
  std::map<std::string, Group> groups;
  for (auto& row : waiting) {
    Group& group = groups[row.alarm.subject];
    if (group.rows.size() >= kMostInOne || !group.fingerprints.insert(row.fingerprint).second)
      continue;
    // What failed is not tried earlier because something new joins it.
    if (row.attempts > group.attempts) group.due = row.next;
    if (row.attempts == group.attempts) group.due = std::min(group.due, row.next);
    group.attempts = std::max(group.attempts, row.attempts);
    group.rows.push_back(std::move(row));
  }
  Group* best = nullptr;
  for (auto& [subject, group] : groups) {
    if (group.due > now) continue;
    if (best == nullptr ||
        std::pair(group.attempts, group.due) < std::pair(best->attempts, best->due))
      best = &group;
  }
  return best == nullptr ? std::vector<Waiting>() : std::move(best->rows);
}

}  // namespace

struct Alerts::Batch {
  Route route;
  std::vector<Waiting> rows;
};

void Alerts::start() {
  ports_.scope.spawn(ports_.loops.next(), watch());
}

Task<void> Alerts::watch() {
  const auto stop = ports_.scope.token();
  std::uint64_t seen = ports_.events.generation();
  bool first = true;
  while (!stop.stop_requested()) {
    const Instant now = ports_.clock.now();
    Status done;
    if (first) {
      const auto load = [](Reader& reader) -> Result<std::int64_t> {
        const auto row = reader.first("SELECT sequence FROM alert_cursor WHERE id = 1");
        if (!row) return row.error();
        return *row ? (*row)->integer(0) : 0;
      };
      const auto cursor = co_await ports_.records.read(load);
      if (cursor) {
        cursor_ = kept_cursor_ = *cursor;
        first = false;
      } else {
        done = cursor.error();
      }
    }
    if (!first) done = co_await follow();
    if (done && (changed_.exchange(false) || now >= next_sweep_)) {
      done = co_await sweep(now);
      if (!done) changed_ = true;
    }
    if (done) done = co_await start_routes(now);
    // Everything is level-triggered: the next look tries the same again.
    if (!done) log::error("alerts.watch", Json::object({{"error", done.error().to_string()}}));
    seen = co_await ports_.events.next_change(seen, kLookEvery);
  }
}

// Reads on in the bus: alarms, what is to be sent and the cursor change in one commit.
Task<Status> Alerts::follow() {
  while (true) {
    const auto events = co_await ports_.events.since(cursor_, kEventsAtOnce);
    if (!events) co_return events.error();
    if (events->empty()) co_return Status();
    std::vector<Change> changes;
    for (const auto& event : *events) {
      if (auto change = change_of(event)) changes.push_back(*std::move(change));
    }
    const std::int64_t last = events->back().sequence;
    if (!changes.empty() || last - kept_cursor_ >= kKeepCursorEvery) {
      const auto write = [&](Writer& writer) -> Status {
        const Instant now = ports_.clock.now();
        for (const auto& change : changes)
          STRATA_TRY(store::apply(writer, change, now));
        STRATA_TRY(
            writer.execute("INSERT INTO alert_cursor (id, sequence) VALUES (1, ?) ON CONFLICT (id) "
                           "DO UPDATE SET sequence = excluded.sequence",
                           {last}));
        return {};
      };
      STRATA_CO_TRY(co_await ports_.records.write(write));
      kept_cursor_ = last;
      next_sweep_ = ports_.clock.now();  // a new alarm has its own time to be repeated
    }
    cursor_ = last;
    if (events->size() < static_cast<std::size_t>(kEventsAtOnce)) co_return Status();
  }
}

// What no event says: repetitions, new routes, silences that ended.
Task<Status> Alerts::sweep(Instant now) {
  const auto look = [&](Reader& reader) {
    return store::due(reader, now, next_sweep_);
  };
  const auto due = co_await ports_.records.read(look);
  if (!due) co_return due.error();
  const bool prune = now >= next_prune_;
  if (due->empty() && !prune) co_return Status();
  const auto write = [&](Writer& writer) -> Status {
    // Decided again where it commits, as an alarm may have ended meanwhile.
    const auto still = store::due(writer, now, next_sweep_);
    if (!still) return still.error();
    for (const auto& [route, alarm] : *still)
      STRATA_TRY(store::enqueue(writer, route, alarm, now));
    if (!prune) return {};
    const std::int64_t old = (now - kKept).micros;
    STRATA_TRY(
        writer.execute("DELETE FROM alert_deliveries WHERE state <> 'pending' AND done_us < "
                       "?",
                       {old}));
    STRATA_TRY(writer.execute("DELETE FROM alert_alarms WHERE ends_us < ?", {old}));
    STRATA_TRY(writer.execute("DELETE FROM alert_silences WHERE until_us < ?", {old}));
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(write));
  if (prune) next_prune_ = now + kPruneEvery;
  co_return Status();
}

Task<Status> Alerts::start_routes(Instant now) {
  const auto load = [&](Reader& reader) {
    return reader.query(
        "SELECT project, route, MAX(attempts) FROM alert_deliveries WHERE state = 'pending' AND "
        "next_us <= ? GROUP BY project, route ORDER BY MIN(next_us)",
        {now.micros});
  };
  const auto rows = co_await ports_.records.read(load);
  if (!rows) co_return rows.error();
  for (const auto& row : *rows) {
    const std::pair key(row.text(0), row.text(1));
    const bool failing = row.integer(2) > 0;
    {
      const std::lock_guard lock(mutex_);
      if (busy_.size() >= kRoutesAtOnce || busy_.contains(key)) continue;
      const auto failed = std::ranges::count_if(busy_, [](const auto& one) { return one.second; });
      if (failing && static_cast<std::size_t>(failed) >= kFailingAtOnce) continue;
      busy_[key] = failing;
    }
    ports_.scope.spawn(ports_.loops.next(), serve(key.first, key.second));
  }
  co_return Status();
}

// Until nothing is due, or the receiver fails.
Task<void> Alerts::serve(std::string project, std::string name) {
  const auto stop = ports_.scope.token();
  while (!stop.stop_requested()) {
    const auto more = co_await serve_next(project, name);
    if (!more) {
      log::error("alerts.serve",
                 Json::object(
                     {{"project", project}, {"route", name}, {"error", more.error().to_string()}}));
    }
    if (!more || !*more) break;
  }
  const std::lock_guard lock(mutex_);
  busy_.erase({project, name});
}

// One request. False when there was nothing to send or trying again has to wait.
Task<Result<bool>> Alerts::serve_next(const std::string& project, const std::string& name) {
  const auto route = co_await find_route(project, name);
  if (!route && route.error().code == Code::kNotFound) co_return false;
  if (!route) co_return route.error();
  Batch batch{*route, {}};
  const auto take = [&](Writer& writer) -> Status {
    const Instant now = ports_.clock.now();
    auto waiting = waiting_on(writer, *route);
    if (!waiting) return std::move(waiting).error();
    const auto silent = store::silences(writer, project, now);
    if (!silent) return silent.error();
    // What is silenced by now is not sent, nor the end of what was never told.
    std::set<std::string> quiet;
    for (const auto& row : *waiting) {
      if (!row.alarm.open() || !store::silenced(*silent, row.alarm.labels, now)) continue;
      quiet.insert(row.fingerprint);
      STRATA_TRY(writer.execute(
          "UPDATE alert_deliveries SET state = 'silenced', done_us = ? WHERE project = ? AND route "
          "= ? AND fingerprint = ? AND starts_us = ? AND state = 'pending'",
          {now.micros, project, name, row.fingerprint, row.alarm.starts.micros}));
    }
    std::erase_if(*waiting, [&](const Waiting& row) { return quiet.contains(row.fingerprint); });
    batch.rows = batch_of(*std::move(waiting), now);
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(take));
  if (batch.rows.empty()) co_return false;
  std::vector<Notice> notices;
  for (const auto& row : batch.rows)
    notices.push_back({row.alarm});
  auto exchange = [&] {
    return post(batch.route, notices);
  };
  const auto answer = co_await pool_.run(exchange);
  // The server's end is no failure of the receiver.
  if (ports_.scope.token().stop_requested() && !answer) co_return false;
  const auto note = [&](Writer& writer) {
    return settle(writer, batch, answer);
  };
  STRATA_CO_TRY(co_await ports_.records.write(note));
  changed_ = true;  // when to repeat is known from now on
  const bool tired = !answer || outcome_of(*answer) == Outcome::kTryAgain;
  co_return !tired;
}

Result<int> Alerts::post(const Route& route, const std::vector<Notice>& notices) {
  const std::string server = ports_.server_url();
  if (route.kind == RouteKind::kWebhook)
    return ports_.send(route.url, route.header, route.secret,
                       webhook_body(route, notices, server).dump());
  const std::string base =
      route.url.ends_with('/') ? route.url.substr(0, route.url.size() - 1) : route.url;
  return ports_.send(base + "/api/v2/alerts", route.header, route.secret,
                     alertmanager_body(route, notices, server, ports_.clock.now()).dump());
}

Status Alerts::settle(Writer& writer, const Batch& batch, const Result<int>& answer) {
  const Instant now = ports_.clock.now();
  const Outcome outcome = answer ? outcome_of(*answer) : Outcome::kTryAgain;
  std::string why;
  if (!answer) why = answer.error().to_string();
  if (answer && outcome != Outcome::kArrived)
    why = fmt::format("the receiver answered with status {}", *answer);
  const double chance = static_cast<double>(ports_.random.u64() % 1000) / 1000;
  Instant next = now;
  for (const auto& row : batch.rows) {
    const int attempts = row.attempts + 1;
    const bool over = outcome != Outcome::kTryAgain || attempts >= kAttempts;
    const auto state = !over ? "pending" : outcome == Outcome::kArrived ? "sent" : "failed";
    const Instant again = now + backoff(attempts, chance);
    next = std::max(next, again);
    if (over && outcome != Outcome::kArrived) {
      log::warn("alerts.failed", Json::object({{"project", batch.route.project},
                                               {"route", batch.route.name},
                                               {"subject", row.alarm.subject},
                                               {"error", why}}));
    }
    STRATA_TRY(writer.execute(
        "UPDATE alert_deliveries SET state = ?, attempts = ?, next_us = ?, done_us = ?, error = ? "
        "WHERE id = ? AND state = 'pending'",
        {state, attempts, again.micros, over ? kernel::SqlValue(now.micros) : kernel::SqlValue(),
         why, row.id}));
  }
  if (outcome != Outcome::kTryAgain) return {};
  // The other subjects of this route have the same receiver.
  STRATA_TRY(writer.execute(
      "UPDATE alert_deliveries SET next_us = ? WHERE project = ? AND route = ? AND state = "
      "'pending' AND next_us < ?",
      {next.micros, batch.route.project, batch.route.name, next.micros}));
  return {};
}

}  // namespace strata::platform::alerts
