#include "platform/alerts/store.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace strata::platform::alerts::store {

using kernel::Reader;
using kernel::Row;
using kernel::Writer;

namespace {

constexpr std::chrono::minutes kLookAtLeast{1};

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"alerts", 1, R"sql(
CREATE TABLE alert_cursor (id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE alert_routes (project TEXT NOT NULL, name TEXT NOT NULL, route TEXT NOT NULL,
  header TEXT NOT NULL, secret TEXT NOT NULL, actor TEXT NOT NULL, created_us INTEGER NOT NULL,
  PRIMARY KEY (project, name));
CREATE TABLE alert_silences (project TEXT NOT NULL, id TEXT NOT NULL, matchers TEXT NOT NULL,
  from_us INTEGER NOT NULL, until_us INTEGER NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL,
  PRIMARY KEY (project, id));
CREATE TABLE alert_alarms (project TEXT NOT NULL, fingerprint TEXT NOT NULL, subject TEXT NOT NULL,
  labels TEXT NOT NULL, annotations TEXT NOT NULL, starts_us INTEGER NOT NULL, ends_us INTEGER,
  PRIMARY KEY (project, fingerprint));
CREATE INDEX alert_alarms_open ON alert_alarms (ends_us);
CREATE TABLE alert_deliveries (id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
  route TEXT NOT NULL, fingerprint TEXT NOT NULL, subject TEXT NOT NULL, labels TEXT NOT NULL,
  annotations TEXT NOT NULL, starts_us INTEGER NOT NULL, ends_us INTEGER, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, queued_us INTEGER NOT NULL, next_us INTEGER NOT NULL,
  done_us INTEGER, error TEXT NOT NULL);
CREATE INDEX alert_deliveries_due ON alert_deliveries (state, next_us);
CREATE INDEX alert_deliveries_of ON alert_deliveries (project, route, fingerprint, starts_us);
)sql"}}};

Result<Route> route_of(const Row& row) {
  const auto json = parse_json(row.text(2));
  if (!json) return json.error().wrap("a kept alert route cannot be read");
  auto route = Route::parse(*json);
  if (!route) return route.error().wrap("a kept alert route cannot be read");
  route->project = row.text(0);
  route->header = row.text(3);
  route->secret = row.text(4);
  route->actor = row.text(5);
  route->created = Instant{row.integer(6)};
  return route;
}

Result<Alarm> alarm_of(const Row& row) {
  const auto labels = labels_of(row.text(2)), annotations = labels_of(row.text(3));
  if (!labels) return labels.error();
  if (!annotations) return annotations.error();
  Alarm alarm{row.text(0), row.text(1), *labels, *annotations, Instant{row.integer(4)}, {}};
  if (!row.is_null(5)) alarm.ends = Instant{row.integer(5)};
  return alarm;
}

constexpr std::string_view kAlarms =
    "SELECT project, subject, labels, annotations, starts_us, ends_us FROM alert_alarms ";

Result<std::vector<Alarm>> alarms(Reader& reader, std::string_view where,
                                  const kernel::SqlArgs& args) {
  const auto rows = reader.query(std::string(kAlarms) + std::string(where), args);
  if (!rows) return rows.error();
  std::vector<Alarm> out;
  for (const auto& row : *rows) {
    auto alarm = alarm_of(row);
    if (!alarm) return std::move(alarm).error();
    out.push_back(*std::move(alarm));
  }
  return out;
}

Result<Told> told(Reader& reader, const Route& route, const Alarm& alarm) {
  const auto rows = reader.query(
      "SELECT state, queued_us, ends_us FROM alert_deliveries WHERE project = ? AND route = ? AND "
      "fingerprint = ? AND starts_us = ? AND state <> 'silenced'",
      {route.project, route.name, fingerprint_of(alarm.labels), alarm.starts.micros});
  if (!rows) return rows.error();
  Told out;
  for (const auto& row : *rows) {
    if (!row.is_null(2)) {
      out.resolved = true;
      continue;
    }
    out.firing = std::max(out.firing.value_or(Instant()), Instant{row.integer(1)});
    out.waiting = out.waiting || row.text(0) == "pending";
  }
  return out;
}

// The alarm has just changed: tells whom that concerns.
Status tell(Writer& writer, const Alarm& alarm, Instant now) {
  const auto all = routes(writer, alarm.project);
  if (!all) return all.error();
  const auto silent = silences(writer, alarm.project, now);
  if (!silent) return silent.error();
  for (const auto& route : *all) {
    const auto known = told(writer, route, alarm);
    if (!known) return known.error();
    const bool quiet = silenced(*silent, alarm.labels, now);
    if (next_act(route, alarm, *known, quiet, now) != Act::kNothing)
      STRATA_TRY(enqueue(writer, route, alarm, now));
  }
  return {};
}

Status open(Writer& writer, const Alarm& alarm, Instant now) {
  const std::string fingerprint = fingerprint_of(alarm.labels);
  const auto kept =
      alarms(writer, "WHERE project = ? AND fingerprint = ?", {alarm.project, fingerprint});
  if (!kept) return kept.error();
  if (!kept->empty() && kept->front().open()) {  // the same again: only the figures are new
    STRATA_TRY(writer.execute(
        "UPDATE alert_alarms SET annotations = ? WHERE project = ? AND fingerprint = ?",
        {labels_json(alarm.annotations).dump(), alarm.project, fingerprint}));
    return {};
  }
  STRATA_TRY(writer.execute(
      "INSERT INTO alert_alarms (project, fingerprint, subject, labels, annotations, starts_us, "
      "ends_us) VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (project, fingerprint) DO UPDATE SET "
      "annotations = excluded.annotations, starts_us = excluded.starts_us, ends_us = NULL",
      {alarm.project, fingerprint, alarm.subject, labels_json(alarm.labels).dump(),
       labels_json(alarm.annotations).dump(), alarm.starts.micros}));
  return tell(writer, alarm, now);
}

Status close(Writer& writer, Alarm alarm, Instant ends, Instant now) {
  alarm.ends = ends;
  STRATA_TRY(
      writer.execute("UPDATE alert_alarms SET ends_us = ? WHERE project = ? AND fingerprint = ?",
                     {ends.micros, alarm.project, fingerprint_of(alarm.labels)}));
  return tell(writer, alarm, now);
}

bool has_all(const Labels& labels, const Labels& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& pair) {
    const auto found = labels.find(pair.first);
    return found != labels.end() && found->second == pair.second;
  });
}

}  // namespace

std::span<const kernel::Migration> migrations() {
  return kMigrations;
}

Json labels_json(const Labels& labels) {
  Json out = Json::object();
  for (const auto& [name, value] : labels)
    out.set(name, value);
  return out;
}

Result<Labels> labels_of(const std::string& text) {
  const auto json = parse_json(text);
  if (!json || !json->is_object())
    return Error(Code::kDataLoss, "the labels of a kept alarm cannot be read");
  Labels out;
  for (const auto& [name, value] : json->as_object())
    out[name] = value.is_string() ? value.as_string() : value.dump();
  return out;
}

Result<std::vector<Route>> routes(Reader& reader, const std::string& project) {
  const auto rows = reader.query(
      "SELECT project, name, route, header, secret, actor, created_us FROM alert_routes WHERE ? = "
      "'' OR "
      "project = ? ORDER BY project, name",
      {project, project});
  if (!rows) return rows.error();
  std::vector<Route> out;
  for (const auto& row : *rows) {
    auto route = route_of(row);
    if (!route) return std::move(route).error();
    out.push_back(*std::move(route));
  }
  return out;
}

Result<std::vector<Silence>> silences(Reader& reader, const std::string& project, Instant now) {
  const auto rows = reader.query(
      "SELECT id, matchers, from_us, until_us, reason, author FROM alert_silences WHERE project = "
      "? AND until_us > ? ORDER BY id",
      {project, now.micros});
  if (!rows) return rows.error();
  std::vector<Silence> out;
  for (const auto& row : *rows) {
    const auto json = parse_json(row.text(1));
    if (!json) return json.error().wrap("a kept silence cannot be read");
    auto matchers = parse_matchers(*json, "matchers");
    if (!matchers) return matchers.error().wrap("a kept silence cannot be read");
    out.push_back({row.text(0), *std::move(matchers), Instant{row.integer(2)},
                   Instant{row.integer(3)}, row.text(4), row.text(5)});
  }
  return out;
}

bool silenced(const std::vector<Silence>& silences, const Labels& labels, Instant now) {
  return std::ranges::any_of(silences, [&](const Silence& one) {
    return one.active(now) && matches(one.matchers, labels);
  });
}

Status apply(Writer& writer, const Change& change, Instant now) {
  if (change.kind == Change::Kind::kOpens) return open(writer, change.alarm, now);
  const auto standing = alarms(writer, "WHERE project = ? AND subject = ? AND ends_us IS NULL",
                               {change.alarm.project, change.subject});
  if (!standing) return standing.error();
  for (const auto& alarm : *standing) {
    if (change.kind == Change::Kind::kCloses) {
      if (has_all(alarm.labels, change.alarm.labels))
        STRATA_TRY(close(writer, alarm, change.alarm.starts, now));
      continue;
    }
    Alarm moved = alarm;
    for (const auto& [name, value] : change.alarm.labels)
      moved.labels[name] = value;
    moved.subject = moved.labels["subject"];
    moved.starts = change.alarm.starts;
    STRATA_TRY(close(writer, alarm, change.alarm.starts, now));
    STRATA_TRY(open(writer, moved, now));
  }
  return {};
}

Result<std::vector<Due>> due(Reader& reader, Instant now, Instant& next) {
  next = now + kLookAtLeast;
  std::vector<Due> out;
  const auto all = routes(reader, "");
  if (!all) return all.error();
  if (all->empty()) return out;
  const auto open = alarms(reader, "WHERE ends_us IS NULL", {});
  if (!open) return open.error();
  std::map<std::string, std::vector<Silence>> silent;
  for (const auto& alarm : *open) {
    if (!silent.contains(alarm.project)) {
      auto of_project = silences(reader, alarm.project, now);
      if (!of_project) return std::move(of_project).error();
      for (const auto& one : *of_project)
        next = std::min(next, one.active(now) ? one.until : one.from);
      silent[alarm.project] = *std::move(of_project);
    }
    const bool quiet = silenced(silent[alarm.project], alarm.labels, now);
    for (const auto& route : *all) {
      if (route.project != alarm.project) continue;
      const auto known = told(reader, route, alarm);
      if (!known) return known.error();
      if (next_act(route, alarm, *known, quiet, now) == Act::kFiring) out.push_back({route, alarm});
      if (const auto look = next_look(route, alarm, *known, quiet); look && *look > now)
        next = std::min(next, *look);
    }
  }
  return out;
}

Status enqueue(Writer& writer, const Route& route, const Alarm& alarm, Instant now) {
  const std::string fingerprint = fingerprint_of(alarm.labels);
  if (alarm.open()) {
    // A repetition takes the place of what it repeats, so that an alarm that stays open for months
    // leaves one row.
    STRATA_TRY(writer.execute(
        "DELETE FROM alert_deliveries WHERE project = ? AND route = ? AND fingerprint = ? AND "
        "starts_us = ? AND ends_us IS NULL AND state <> 'pending'",
        {route.project, route.name, fingerprint, alarm.starts.micros}));
  }
  STRATA_TRY(writer.execute(
      "INSERT INTO alert_deliveries (project, route, fingerprint, subject, labels, annotations, "
      "starts_us, ends_us, state, attempts, queued_us, next_us, done_us, error) VALUES (?, ?, ?, "
      "?, ?, ?, ?, ?, 'pending', 0, ?, ?, NULL, '')",
      {route.project, route.name, fingerprint, alarm.subject, labels_json(alarm.labels).dump(),
       labels_json(alarm.annotations).dump(), alarm.starts.micros,
       alarm.ends ? kernel::SqlValue(alarm.ends->micros) : kernel::SqlValue(), now.micros,
       (now + route.wait).micros}));
  return {};
}

}  // namespace strata::platform::alerts::store
