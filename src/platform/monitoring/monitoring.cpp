#include "platform/monitoring/monitoring.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "platform/monitoring/series.hpp"

namespace strata::platform::monitoring {

using kernel::Caller;
using kernel::Reader;
using kernel::SqlArgs;
using kernel::SqlValue;
using kernel::Writer;

namespace {

constexpr std::chrono::seconds kWorkEvery{1};
// Cells of minutes are joined to hours when they are so old, and forgotten after so long.
constexpr std::int64_t kMinutesKeptMs = 3 * kHourMs;
constexpr std::int64_t kCellsKeptMs = std::int64_t{400} * 24 * kHourMs;

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"monitoring", 1, R"sql(
CREATE TABLE monitors (project TEXT NOT NULL, endpoint TEXT NOT NULL, settings TEXT NOT NULL,
  mark INTEGER NOT NULL, reference TEXT, alarms TEXT NOT NULL, PRIMARY KEY (project, endpoint));
CREATE TABLE monitor_cells (project TEXT NOT NULL, endpoint TEXT NOT NULL,
  reference INTEGER NOT NULL, version TEXT NOT NULL, start_ms INTEGER NOT NULL,
  span_ms INTEGER NOT NULL, cell TEXT NOT NULL,
  PRIMARY KEY (project, endpoint, reference, version, span_ms, start_ms));
CREATE INDEX monitor_cells_by_time ON monitor_cells (project, endpoint, reference, start_ms);
)sql"}}};

void log_failure(std::string_view what, const std::string& key, const Error& error) {
  log::error(what, Json::object({{"endpoint", key}, {"error", error.to_string()}}));
}

Json alarms_json(const std::map<std::string, Alarm>& alarms) {
  Json out = Json::object();
  for (const auto& [feature, alarm] : alarms)
    out.set(feature, Json::object({{"open", alarm.open}, {"calm", alarm.calm}}));
  return out;
}

std::map<std::string, Alarm> alarms_of(const Json& json) {
  std::map<std::string, Alarm> out;
  for (const auto& [feature, one] : json.as_object())
    out[feature] = {one.boolean("open"), static_cast<int>(one.integer("calm"))};
  return out;
}

Result<Json> stored(const std::string& text) {
  auto json = parse_json(text);
  if (!json) return Error(Code::kDataLoss, "a record of the monitoring cannot be read");
  return json;
}

}  // namespace

Monitoring::Monitoring(Ports ports)
    : ports_(ports),
      open_alarms_(ports.metrics.gauge("strata_drift_alarms", "Open alarms of drift")),
      failures_(ports.metrics.counter("strata_monitoring_failures_total",
                                      "Looks at the prediction log that failed")) {}

Monitoring::~Monitoring() = default;

std::span<const kernel::Migration> Monitoring::migrations() {
  return kMigrations;
}

Monitoring::SeriesPtr Monitoring::series_of(const std::string& key) {
  const std::lock_guard lock(mutex_);
  auto& series = series_[key];
  if (series) return series;
  series = std::make_shared<Series>();
  series->key = key;
  series->project = key.substr(0, key.find('/'));
  series->endpoint = key.substr(key.find('/') + 1);
  return series;
}

Status Monitoring::prepare() {
  auto rows = ports_.records.read_blocking([](Reader& reader) {
    return reader.query(
        "SELECT project, endpoint, settings, mark, reference, alarms FROM monitors");
  });
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows) {
    const auto series = series_of(row.text(0) + "/" + row.text(1));
    const auto settings = stored(row.text(2)).and_then(&Settings::parse);
    if (!settings) return settings.error();
    series->settings = *settings;
    series->kept = series->folded = row.integer(3);
    if (!row.is_null(4)) {
      auto reference = stored(row.text(4)).and_then(&Reference::from_json);
      if (!reference) return std::move(reference).error();
      series->reference = *std::move(reference);
    }
    const auto alarms = stored(row.text(5));
    if (!alarms) return alarms.error();
    series->alarms = alarms_of(*alarms);
    STRATA_TRY(ports_.log.set_mark(series->key, series->kept, [] { return Status(); }));
  }
  for (const auto& key : ports_.log.keys())
    series_of(key);
  ports_.log.follow(*this);
  return {};
}

void Monitoring::start() {
  ports_.scope.spawn(ports_.loops.next(), watch());
}

void Monitoring::flushed(const std::string& key, std::int64_t sequence,
                         const wire::ParquetTable& rows) {
  const auto series = series_of(key);
  std::shared_ptr<const Reference> reference;
  {
    const std::lock_guard lock(mutex_);
    series->any = true;
    series->seen = sequence;
    series->unread += static_cast<std::int64_t>(rows.rows);
    // Whoever is behind reads the files; so does who has no bins yet.
    if (!series->reference || sequence != series->folded + 1) return;
    reference = series->reference;
  }
  std::map<CellKey, Cell> cells;
  fold(rows_of(rows), reference->profiles, cells);
  const std::lock_guard lock(mutex_);
  if (series->reference != reference || sequence != series->folded + 1) return;
  for (const auto& [place, cell] : cells)
    series->pending[place].merge(cell);
  series->folded = sequence;
  series->unread = 0;
}

Task<void> Monitoring::watch() {
  const auto stop = ports_.scope.token();
  auto all = [this] {
    work();
    return Status();
  };
  while (!stop.stop_requested()) {
    if (const auto done = co_await ports_.pool.run(all); !done) co_return;
    co_await dirty_.wait(kWorkEvery);
  }
}

void Monitoring::work() {
  const std::lock_guard working(working_);
  std::vector<SeriesPtr> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, series] : series_)
      all.push_back(series);
  }
  std::int64_t open = 0;
  for (const auto& series : all) {
    if (const auto done = work_on(*series); !done) {
      failures_.add();
      log_failure("monitoring.work", series->key, done.error());
    }
    open += std::count_if(series->alarms.begin(), series->alarms.end(),
                          [](const auto& one) { return one.second.open; });
  }
  open_alarms_.set(open);
}

Status Monitoring::work_on(Series& series) {
  bool any = false;
  {
    const std::lock_guard lock(mutex_);
    any = std::exchange(series.any, false);
  }
  if (any) {
    Status done = catch_up(series);
    if (done) done = persist(series);
    if (!done) {
      const std::lock_guard lock(mutex_);
      series.any = true;
      return done;
    }
  }
  return look_for_drift(series);
}

// Reads the files of what was not folded as it was flushed: after a start, after a new reference.
Status Monitoring::catch_up(Series& series) {
  if (!series.reference) STRATA_TRY(take_first_rows(series));
  if (!series.reference) return {};
  while (!ports_.scope.token().stop_requested()) {
    std::int64_t mark = 0;
    {
      const std::lock_guard lock(mutex_);
      mark = series.folded;
    }
    auto next = ports_.log.next_after(series.key, mark);
    if (!next) return {};
    std::map<CellKey, Cell> cells;
    if (next->rows) fold(rows_of(*next->rows), series.reference->profiles, cells);
    bool much = false;
    {
      const std::lock_guard lock(mutex_);
      if (series.folded != mark) continue;  // a flush came first, with the same rows
      for (const auto& [place, cell] : cells)
        series.pending[place].merge(cell);
      series.folded = next->to;
      series.unread = 0;
      much = series.pending.size() > 1000;
    }
    if (much) STRATA_TRY(persist(series));
  }
  return {};
}

// Without a reference of the user's, the first rows that a version answered are one.
Status Monitoring::take_first_rows(Series& series) {
  LogRows rows;
  std::int64_t mark = series.kept;
  while (rows.size() < kFirstRows) {
    auto next = ports_.log.next_after(series.key, mark);
    if (!next) return {};
    mark = next->to;
    if (next->rows) append(rows, rows_of(*next->rows));
  }
  auto reference = std::make_shared<Reference>();
  reference->number = 1;  // its cells are forgotten with it
  reference->kind = "first rows";
  reference->source = rows.versions.front();
  reference->rows = static_cast<std::int64_t>(rows.size());
  reference->made = ports_.clock.now();
  for (const auto& column : rows.columns) {
    auto bins = bins_of(column);
    if (!bins || reference->profiles.size() >= kMaxFeatures) continue;
    const auto shared = std::make_shared<const drift::Bins>(*std::move(bins));
    reference->profiles.emplace(column.name, profile_of(shared, column));
  }
  return set_reference(series, std::move(reference), series.settings, "");
}

// The cells of the old one are forgotten, and the whole log is counted anew. Needs working_. An
// empty actor is the server itself.
Status Monitoring::set_reference(Series& series, std::shared_ptr<const Reference> reference,
                                 const Settings& settings, const std::string& actor) {
  auto caller = ports_.identity.system_caller();
  caller.project = ProjectId(series.project);
  if (!actor.empty()) caller.user_name = actor;
  const auto keep = [&] {
    return ports_.records.write_blocking([&](Writer& writer) -> Status {
      auto kept = writer.execute(
          "INSERT INTO monitors (project, endpoint, settings, mark, reference, alarms) VALUES "
          "(?, ?, ?, 0, ?, '{}') ON CONFLICT (project, endpoint) DO UPDATE SET settings = "
          "excluded.settings, mark = 0, reference = excluded.reference, alarms = '{}'",
          {series.project, series.endpoint, settings.to_json().dump(),
           reference ? SqlValue(reference->to_json().dump()) : SqlValue()});
      if (!kept) return std::move(kept).error();
      auto gone = writer.execute("DELETE FROM monitor_cells WHERE project = ? AND endpoint = ?",
                                 {series.project, series.endpoint});
      if (!gone) return std::move(gone).error();
      // Who was told of an alarm against the old one must not wait for its end for ever.
      for (const auto& [feature, alarm] : series.alarms) {
        if (!alarm.open) continue;
        STRATA_TRY(ports_.events.publish(
            writer, ProjectId(series.project), "drift.resolved", "endpoint:" + series.endpoint,
            Json::object({{"feature", feature}, {"cause", "another reference was set"}})));
      }
      const Json detail = reference ? Json::object({{"kind", reference->kind},
                                                    {"source", reference->source},
                                                    {"rows", reference->rows}})
                                    : Json::object({{"kind", "first rows"}});
      return ports_.audit.record(writer, caller, "monitor.reference", "endpoint:" + series.endpoint,
                                 detail);
    });
  };
  STRATA_TRY(ports_.log.set_mark(series.key, 0, keep));
  const std::lock_guard lock(mutex_);
  series.kept = series.folded = 0;
  series.pending.clear();
  series.alarms.clear();
  series.settings = settings;
  series.reference = std::move(reference);
  series.last_look = Instant();
  series.any = true;
  return {};
}

namespace {

// Adds cells to those in the records.
Status merge_cells(Writer& writer, const SqlArgs& place, std::int64_t span,
                   const std::map<CellKey, Cell>& cells,
                   const std::map<std::string, drift::Profile>& reference) {
  for (const auto& [key, cell] : cells) {
    SqlArgs args = place;
    args.insert(args.end(), {key.version, span, key.start_ms});
    auto row = writer.first(
        "SELECT cell FROM monitor_cells WHERE project = ? AND endpoint = ? AND reference = ? AND "
        "version = ? AND span_ms = ? AND start_ms = ?",
        args);
    if (!row) return std::move(row).error();
    Cell whole = cell;
    if (*row) {
      auto before = stored((*row)->text(0)).and_then([&](const Json& json) {
        return Cell::from_json(json, reference);
      });
      if (!before) return std::move(before).error();
      whole = *std::move(before);
      whole.merge(cell);
    }
    args.emplace_back(whole.to_json().dump());
    auto kept = writer.execute(
        "INSERT INTO monitor_cells (project, endpoint, reference, version, span_ms, start_ms, "
        "cell) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, endpoint, reference, version, "
        "span_ms, start_ms) DO UPDATE SET cell = excluded.cell",
        args);
    if (!kept) return std::move(kept).error();
  }
  return {};
}

// Minutes that are over for long become hours, and what is very old goes.
Status roll_up(Writer& writer, const SqlArgs& place,
               const std::map<std::string, drift::Profile>& reference, std::int64_t now_ms) {
  const std::int64_t before = (now_ms - kMinutesKeptMs) / kHourMs * kHourMs;
  SqlArgs args = place;
  args.insert(args.end(), {kMinuteMs, before});
  auto rows = writer.query(
      "SELECT version, start_ms, cell FROM monitor_cells WHERE project = ? AND endpoint = ? AND "
      "reference = ? AND span_ms = ? AND start_ms < ? LIMIT 10000",
      args);
  if (!rows) return std::move(rows).error();
  std::map<CellKey, Cell> hours;
  for (const auto& row : *rows) {
    auto cell = stored(row.text(2)).and_then([&](const Json& json) {
      return Cell::from_json(json, reference);
    });
    if (!cell) return std::move(cell).error();
    hours[{row.text(0), row.integer(1) / kHourMs * kHourMs}].merge(*cell);
    SqlArgs one = place;
    one.insert(one.end(), {row.text(0), kMinuteMs, row.integer(1)});
    auto gone = writer.execute(
        "DELETE FROM monitor_cells WHERE project = ? AND endpoint = ? AND reference = ? AND "
        "version = ? AND span_ms = ? AND start_ms = ?",
        one);
    if (!gone) return std::move(gone).error();
  }
  STRATA_TRY(merge_cells(writer, place, kHourMs, hours, reference));
  SqlArgs old = place;
  old.emplace_back(now_ms - kCellsKeptMs);
  auto gone = writer.execute(
      "DELETE FROM monitor_cells WHERE project = ? AND endpoint = ? AND reference = ? AND start_ms "
      "< ?",
      old);
  if (!gone) return std::move(gone).error();
  return {};
}

}  // namespace

// What was folded and how far, in one commit.
Status Monitoring::persist(Series& series) {
  std::map<CellKey, Cell> cells;
  std::int64_t mark = 0;
  std::shared_ptr<const Reference> reference;
  {
    const std::lock_guard lock(mutex_);
    reference = series.reference;
    mark = series.folded;
    if (!reference || mark == series.kept) return {};
    cells = std::exchange(series.pending, {});
  }
  const SqlArgs place = {series.project, series.endpoint, reference->number};
  const std::int64_t now_ms = ports_.clock.now().millis();
  const auto keep = [&] {
    return ports_.records.write_blocking([&](Writer& writer) -> Status {
      STRATA_TRY(merge_cells(writer, place, kMinuteMs, cells, reference->profiles));
      STRATA_TRY(roll_up(writer, place, reference->profiles, now_ms));
      auto kept = writer.execute("UPDATE monitors SET mark = ? WHERE project = ? AND endpoint = ?",
                                 {mark, series.project, series.endpoint});
      if (!kept) return std::move(kept).error();
      return {};
    });
  };
  const auto done = ports_.log.set_mark(series.key, mark, keep);
  const std::lock_guard lock(mutex_);
  if (!done) {
    for (const auto& [key, cell] : cells)
      series.pending[key].merge(cell);
    return done;
  }
  series.kept = mark;
  return {};
}

// Needs working_.
Status Monitoring::look_for_drift(Series& series) {
  if (!series.reference || series.looked_at == series.kept) return {};
  const Instant now = ports_.clock.now();
  if (now - series.last_look < look_every(series.settings)) return {};
  auto found = cells_in(view_of(series), Span{});
  if (!found) return std::move(found).error();
  series.looked_at = series.kept;
  Cell whole;
  for (const auto& [key, cell] : found->cells)
    whole.merge(cell);
  if (whole.rows < series.settings.minimum) return {};
  series.last_look = now;
  std::vector<Look> looks;
  for (const auto& [name, profile] : whole.profiles) {
    const auto far = distance(series.reference->profiles.at(name), profile);
    if (far.defined) looks.push_back({name, far.psi, far.p_value});
  }
  auto alarms = series.alarms;
  const auto changes = step_alarms(alarms, std::move(looks), series.settings);
  if (alarms == series.alarms) return {};
  STRATA_TRY(ports_.records.write_blocking([&](Writer& writer) -> Status {
    auto kept = writer.execute("UPDATE monitors SET alarms = ? WHERE project = ? AND endpoint = ?",
                               {alarms_json(alarms).dump(), series.project, series.endpoint});
    if (!kept) return std::move(kept).error();
    for (const auto& change : changes) {
      STRATA_TRY(ports_.events.publish(writer, ProjectId(series.project),
                                       change.opened ? "drift.detected" : "drift.resolved",
                                       "endpoint:" + series.endpoint,
                                       Json::object({{"feature", change.feature},
                                                     {"psi", change.look.psi},
                                                     {"p_value", change.look.p_value},
                                                     {"rows", whole.rows},
                                                     {"version", found->version}})));
    }
    return {};
  }));
  const std::lock_guard lock(mutex_);
  series.alarms = std::move(alarms);
  return {};
}

}  // namespace strata::platform::monitoring
