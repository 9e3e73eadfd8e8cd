#include "platform/alerts/alerts.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/alerts/store.hpp"

namespace strata::platform::alerts {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::size_t kThreads = 10;  // eight routes and two tests at once
constexpr std::size_t kTestsAtOnce = 2;
constexpr std::int64_t kMostRoutes = 50;
constexpr std::int64_t kMostSilences = 200;
constexpr std::chrono::milliseconds kLongestSilence{std::int64_t{400} * 86'400'000};
constexpr std::size_t kMostReason = 2000;

Json time_or_null(const kernel::Row& row, std::size_t at) {
  return row.is_null(at) ? Json() : Json(to_rfc3339(Instant{row.integer(at)}));
}

Result<Json> stored(const std::string& text) {
  auto json = parse_json(text);
  if (!json) return Error(Code::kDataLoss, "a record of the alerts cannot be read");
  return json;
}

Json silence_json(const Silence& silence, Instant now) {
  return Json::object({{"id", silence.id},
                       {"matchers", matchers_json(silence.matchers)},
                       {"from", to_rfc3339(silence.from)},
                       {"until", to_rfc3339(silence.until)},
                       {"active", silence.active(now)},
                       {"reason", silence.reason},
                       {"author", silence.author}});
}

// As parse() reads it back; the secret has a column of its own.
Json kept_json(const Route& route) {
  return Json::object({{"name", route.name},
                       {"kind", route.kind == RouteKind::kWebhook ? "webhook" : "alertmanager"},
                       {"url", route.url},
                       {"matchers", matchers_json(route.matchers)},
                       {"send_resolved", route.send_resolved},
                       {"wait", fmt::format("{}ms", route.wait.count())},
                       {"repeat", fmt::format("{}ms", route.repeat.count())}});
}

Result<Instant> time_in(const Json& body, std::string_view field, Instant fallback) {
  const Json& value = body[field];
  if (value.is_null()) return fallback;
  if (value.is_string()) {
    if (const auto parsed = parse_rfc3339(value.as_string())) return *parsed;
  }
  return invalid(std::string(field), fmt::format("{}: '{}' is no time such as 2026-11-22T15:00:00Z",
                                                 field, printable(value.dump())));
}

Result<Silence> parse_silence(const Json& body, Instant now) {
  static const std::vector<std::string> kFields = {"matchers", "from", "until", "for", "reason"};
  if (!body.is_object()) return invalid("body", "a JSON object is needed");
  for (const auto& [field, value] : body.as_object()) {
    if (std::ranges::find(kFields, field) == kFields.end())
      return invalid(field, fmt::format("{}: a silence has no such field; it has {}",
                                        printable(field), join(kFields, ", ")));
  }
  Silence silence;
  auto matchers = parse_matchers(body["matchers"], "matchers");
  if (!matchers) return std::move(matchers).error();
  if (matchers->empty())
    return invalid("matchers", "matchers: say what to silence, for example endpoint=flights");
  silence.matchers = *std::move(matchers);
  const auto from = time_in(body, "from", now);
  if (!from) return from.error();
  silence.from = *from;
  if (body["for"].is_null() == body["until"].is_null())
    return invalid("until", "until: say until when (until) or for how long (for), one of them");
  const auto until = time_in(body, "until", now);
  if (!until) return until.error();
  silence.until = *until;
  if (!body["for"].is_null()) {
    const auto duration = parse_duration(body.text("for"));
    if (!duration || duration->count() <= 0)
      return invalid("for", fmt::format("for: '{}' is no duration such as 2h or 7d",
                                        printable(body.text("for"))));
    silence.until = silence.from + *duration;
  }
  if (silence.until <= silence.from || silence.until <= now)
    return invalid("until", "until: must be later than now and than from");
  if (silence.until - silence.from > kLongestSilence)
    return invalid("until", "until: a silence lasts 400 days at most");
  silence.reason = body.text("reason");
  if (trim(silence.reason).empty() || silence.reason.size() > kMostReason)
    return invalid("reason", "reason: say why, in at most 2000 bytes");
  return silence;
}

}  // namespace

Alerts::Alerts(Ports ports) : ports_(std::move(ports)), pool_(kThreads) {}

std::span<const kernel::Migration> Alerts::migrations() {
  return store::migrations();
}

Task<Result<Json>> Alerts::alarms(const Caller& caller, bool open_only, std::int64_t limit) {
  const Instant now = ports_.clock.now();
  const auto load = [&](Reader& reader) -> Result<Json> {
    const auto silent = store::silences(reader, caller.project.str(), now);
    if (!silent) return silent.error();
    const auto rows = reader.query(
        "SELECT fingerprint, subject, labels, annotations, starts_us, ends_us FROM alert_alarms "
        "WHERE project = ? AND (? = 0 OR ends_us IS NULL) ORDER BY ends_us IS NOT NULL, starts_us "
        "DESC, fingerprint",
        {caller.project.str(), open_only ? 1 : 0});
    if (!rows) return rows.error();
    Json out = Json::array();
    for (const auto& row : *rows) {
      if (static_cast<std::int64_t>(out.size()) >= limit) break;
      if (!caller.may(kernel::permission_to_read(row.text(1)))) continue;
      const auto labels = store::labels_of(row.text(2)), notes = store::labels_of(row.text(3));
      if (!labels) return labels.error();
      if (!notes) return notes.error();
      Json silenced_by = Json::array();
      for (const auto& one : *silent) {
        if (row.is_null(5) && one.active(now) && matches(one.matchers, *labels))
          silenced_by.push(one.id);
      }
      const auto state = !row.is_null(5)          ? "resolved"
                         : silenced_by.size() > 0 ? "silenced"
                                                  : "firing";
      out.push(Json::object({{"fingerprint", row.text(0)},
                             {"state", state},
                             {"subject", row.text(1)},
                             {"labels", store::labels_json(*labels)},
                             {"annotations", store::labels_json(*notes)},
                             {"starts", time_or_null(row, 4)},
                             {"ends", time_or_null(row, 5)},
                             {"silenced_by", std::move(silenced_by)}}));
    }
    return Json::object({{"alerts", std::move(out)}});
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<Json>> Alerts::deliveries(const Caller& caller, std::string state, std::int64_t limit) {
  static const std::vector<std::string> kStates = {"", "pending", "sent", "failed", "silenced"};
  if (std::ranges::find(kStates, state) == kStates.end()) {
    co_return invalid("state", fmt::format("state: '{}' is none of pending, sent, failed, silenced",
                                           printable(state)));
  }
  const auto load = [&](Reader& reader) -> Result<Json> {
    const auto rows = reader.query(
        "SELECT id, route, fingerprint, subject, starts_us, ends_us, state, attempts, queued_us, "
        "next_us, done_us, error, labels FROM alert_deliveries WHERE project = ? AND (? = '' OR "
        "state = ?) ORDER BY id DESC LIMIT ?",
        {caller.project.str(), state, state, limit});
    if (!rows) return rows.error();
    Json out = Json::array();
    for (const auto& row : *rows) {
      if (!caller.may(kernel::permission_to_read(row.text(3)))) continue;
      auto labels = stored(row.text(12));
      if (!labels) return std::move(labels).error();
      out.push(Json::object({{"id", row.integer(0)},
                             {"route", row.text(1)},
                             {"fingerprint", row.text(2)},
                             {"subject", row.text(3)},
                             {"labels", *std::move(labels)},
                             {"status", row.is_null(5) ? "firing" : "resolved"},
                             {"starts", time_or_null(row, 4)},
                             {"state", row.text(6)},
                             {"attempts", row.integer(7)},
                             {"queued", time_or_null(row, 8)},
                             {"next", row.text(6) == "pending" ? time_or_null(row, 9) : Json()},
                             {"done", time_or_null(row, 10)},
                             {"error", row.text(11).empty() ? Json() : Json(row.text(11))}}));
    }
    return Json::object({{"deliveries", std::move(out)}});
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<Json>> Alerts::add_route(const Caller& caller, const Json& body) {
  auto route = Route::parse(body);
  if (!route) co_return std::move(route).error();
  route->project = caller.project.str();
  route->actor = caller.user_name;
  route->created = ports_.clock.now();
  const auto write = [&](Writer& writer) -> Status {
    const auto many =
        writer.first("SELECT COUNT(*) FROM alert_routes WHERE project = ?", {route->project});
    if (!many) return many.error();
    if ((*many)->integer(0) >= kMostRoutes) {
      return Error(Code::kResourceExhausted,
                   fmt::format("a project has at most {} alert routes; remove one", kMostRoutes));
    }
    const auto done = writer.execute(
        "INSERT INTO alert_routes (project, name, route, header, secret, actor, created_us) VALUES "
        "(?, ?, ?, ?, ?, ?, ?)",
        {route->project, route->name, kept_json(*route).dump(), route->header, route->secret,
         route->actor, route->created.micros});
    if (!done && done.error().code == Code::kAlreadyExists) {
      return Error(Code::kAlreadyExists,
                   fmt::format("name: there is an alert route '{}' already; remove it first or "
                               "take another name",
                               route->name),
                   "name");
    }
    if (!done) return done.error();
    return ports_.audit.record(writer, caller, "alert_route.add", "alert_route:" + route->name,
                               route->to_json());
  };
  STRATA_CO_TRY(co_await ports_.records.write(write));
  changed_ = true;
  co_return route->to_json();
}

Task<Result<Json>> Alerts::routes(const Caller& caller) {
  const auto load = [&](Reader& reader) -> Result<Json> {
    const auto all = store::routes(reader, caller.project.str());
    if (!all) return all.error();
    Json out = Json::array();
    for (const auto& route : *all) {
      const kernel::SqlArgs which = {route.project, route.name};
      const auto counts = reader.first(
          "SELECT COUNT(CASE WHEN state = 'pending' THEN 1 END), COUNT(CASE WHEN state = 'failed' "
          "THEN 1 END) FROM alert_deliveries WHERE project = ? AND route = ?",
          which);
      if (!counts) return counts.error();
      const auto last = reader.first(
          "SELECT error FROM alert_deliveries WHERE project = ? AND route = ? AND state IN "
          "('pending', 'failed') AND error <> '' ORDER BY id DESC LIMIT 1",
          which);
      if (!last) return last.error();
      Json one = route.to_json();
      one.set("pending", (*counts)->integer(0));
      one.set("failed", (*counts)->integer(1));
      one.set("error", *last ? Json((*last)->text(0)) : Json());
      out.push(std::move(one));
    }
    return Json::object({{"routes", std::move(out)}});
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<Route>> Alerts::find_route(std::string project, std::string name) {
  const auto load = [&](Reader& reader) -> Result<Route> {
    auto all = store::routes(reader, project);
    if (!all) return std::move(all).error();
    for (auto& route : *all) {
      if (route.name == name) return std::move(route);
    }
    return not_found(fmt::format("there is no alert route '{}'", printable(name)));
  };
  co_return co_await ports_.records.read(load);
}

Task<Status> Alerts::remove_route(const Caller& caller, std::string name) {
  const std::string project = caller.project.str();
  const auto write = [&](Writer& writer) -> Status {
    const auto gone =
        writer.execute("DELETE FROM alert_routes WHERE project = ? AND name = ?", {project, name});
    if (!gone) return gone.error();
    if (*gone == 0) return not_found(fmt::format("there is no alert route '{}'", printable(name)));
    STRATA_TRY(writer.execute("DELETE FROM alert_deliveries WHERE project = ? AND route = ?",
                              {project, name}));
    return ports_.audit.record(writer, caller, "alert_route.remove", "alert_route:" + name);
  };
  co_return co_await ports_.records.write(write);
}

Task<Result<Json>> Alerts::test_route(const Caller& caller, std::string name) {
  const auto route = co_await find_route(caller.project.str(), name);
  if (!route) co_return route.error();
  {
    const std::lock_guard lock(mutex_);
    if (tests_ >= kTestsAtOnce) {
      co_return Error(Code::kResourceExhausted,
                      "two routes are being tested already; try again in some seconds");
    }
    ++tests_;
  }
  Alarm alarm;
  alarm.project = caller.project.str();
  alarm.subject = "alert_route:" + name;
  alarm.labels = {{"alertname", "Test"},
                  {"severity", "info"},
                  {"subject", alarm.subject},
                  {"project", alarm.project}};
  alarm.annotations = {{"summary", "A test of the alert route " + name},
                       {"description", "Sent by " + caller.user_name + "; nothing is wrong."}};
  alarm.starts = ports_.clock.now();
  const std::vector<Notice> notices = {{alarm}};
  auto exchange = [&] {
    return post(*route, notices);
  };
  const auto answer = co_await pool_.run(exchange);
  {
    const std::lock_guard lock(mutex_);
    --tests_;
  }
  Json out = Json::object({{"delivered", answer && outcome_of(*answer) == Outcome::kArrived},
                           {"status", answer ? Json(*answer) : Json()},
                           {"error", answer ? Json() : Json(answer.error().to_string())}});
  const auto note = [&](Writer& writer) {
    return ports_.audit.record(writer, caller, "alert_route.test", alarm.subject, out);
  };
  STRATA_CO_TRY(co_await ports_.records.write(note));
  co_return out;
}

Task<Result<Json>> Alerts::add_silence(const Caller& caller, const Json& body) {
  const Instant now = ports_.clock.now();
  auto silence = parse_silence(body, now);
  if (!silence) co_return std::move(silence).error();
  silence->author = caller.user_name;
  silence->id = ports_.random.uuid7(now);
  const auto write = [&](Writer& writer) -> Status {
    const auto many =
        writer.first("SELECT COUNT(*) FROM alert_silences WHERE project = ? AND until_us > ?",
                     {caller.project.str(), now.micros});
    if (!many) return many.error();
    if ((*many)->integer(0) >= kMostSilences) {
      return Error(Code::kResourceExhausted,
                   fmt::format("a project has at most {} silences; remove one", kMostSilences));
    }
    STRATA_TRY(writer.execute(
        "INSERT INTO alert_silences (project, id, matchers, from_us, until_us, "
        "reason, author) VALUES (?, ?, ?, ?, ?, ?, ?)",
        {caller.project.str(), silence->id, matchers_json(silence->matchers).dump(),
         silence->from.micros, silence->until.micros, silence->reason, silence->author}));
    return ports_.audit.record(writer, caller, "alert_silence.add", "alert_silence:" + silence->id,
                               silence_json(*silence, now));
  };
  STRATA_CO_TRY(co_await ports_.records.write(write));
  changed_ = true;
  co_return silence_json(*silence, now);
}

Task<Result<Json>> Alerts::silences(const Caller& caller) {
  const Instant now = ports_.clock.now();
  const auto load = [&](Reader& reader) -> Result<Json> {
    const auto all = store::silences(reader, caller.project.str(), now);
    if (!all) return all.error();
    Json out = Json::array();
    for (const auto& one : *all)
      out.push(silence_json(one, now));
    return Json::object({{"silences", std::move(out)}});
  };
  co_return co_await ports_.records.read(load);
}

Task<Status> Alerts::remove_silence(const Caller& caller, std::string id) {
  const auto write = [&](Writer& writer) -> Status {
    const auto gone = writer.execute("DELETE FROM alert_silences WHERE project = ? AND id = ?",
                                     {caller.project.str(), id});
    if (!gone) return gone.error();
    if (*gone == 0) return not_found(fmt::format("there is no silence '{}'", printable(id)));
    return ports_.audit.record(writer, caller, "alert_silence.remove", "alert_silence:" + id);
  };
  STRATA_CO_TRY(co_await ports_.records.write(write));
  changed_ = true;
  co_return Status();
}

}  // namespace strata::platform::alerts
