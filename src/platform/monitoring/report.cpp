#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/monitoring/distance_json.hpp"
#include "platform/monitoring/monitoring.hpp"
#include "platform/monitoring/series.hpp"

namespace strata::platform::monitoring {

using kernel::Caller;
using kernel::Reader;
using kernel::SqlArgs;
using kernel::Writer;

namespace {

constexpr std::int64_t kMaxSteps = 400;

Error unknown_feature(const std::string& feature, const std::vector<std::string>& known) {
  std::string names;
  for (const auto& name : known)
    names += (names.empty() ? "" : ", ") + name;
  return invalid("feature", fmt::format("feature: '{}' is not monitored; there are {}",
                                        printable(feature), names));
}

// As the API and SQL name features: what names neither side is an input.
std::string feature_name(const std::string& column) {
  if (column.starts_with("inputs.") || column.starts_with("outputs.")) return column;
  return "inputs." + column;
}

// The version that has the most rows; during a release several answer.
std::string most_frequent(const std::map<CellKey, Cell>& cells) {
  std::map<std::string, std::int64_t> rows;
  for (const auto& [key, cell] : cells)
    rows[key.version] += cell.rows;
  const auto most = std::max_element(
      rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == rows.end() ? "" : most->first;
}

Cell sum_of(const std::map<CellKey, Cell>& cells) {
  Cell whole;
  for (const auto& [key, cell] : cells)
    whole.merge(cell);
  return whole;
}

}  // namespace

Result<Monitoring::SeriesPtr> Monitoring::find(const Caller& caller, const std::string& endpoint) {
  const std::string key = caller.project.str() + "/" + endpoint;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = series_.find(key); known != series_.end()) return known->second;
  }
  // Nothing was logged of it so far.
  const auto info = ports_.endpoints.get(caller, endpoint);
  if (!info) return info.error();
  return series_of(key);
}

Monitoring::View Monitoring::view_of(const Series& series) {
  const std::lock_guard lock(mutex_);
  return {series.project, series.endpoint, series.settings, series.reference, series.alarms};
}

Result<Monitoring::Cells> Monitoring::cells_in(const View& view, const Span& span) {
  Cells out;
  out.until = span.until.value_or(ports_.clock.now());
  out.since = span.since.value_or(out.until - view.settings.window);
  if (out.since >= out.until) return invalid("since", "since: must be before until");
  const auto reference = view.reference;
  if (!reference) return out;
  const SqlArgs place = {view.project, view.endpoint, reference->number,
                         out.since.millis() / kMinuteMs * kMinuteMs, out.until.millis()};
  auto rows = ports_.records.read_blocking([&](Reader& reader) {
    return reader.query(
        "SELECT version, start_ms, cell FROM monitor_cells WHERE project = ? AND endpoint = ? AND "
        "reference = ? AND start_ms >= ? AND start_ms < ? ORDER BY start_ms",
        place);
  });
  if (!rows) return std::move(rows).error();
  out.version = span.version;
  for (const auto& row : *rows) {
    if (!out.version.empty() && row.text(0) != out.version) continue;
    const auto json = parse_json(row.text(2));
    if (!json) return Error(Code::kDataLoss, "a monitored cell cannot be read");
    auto cell = Cell::from_json(*json, reference->profiles);
    if (!cell) return std::move(cell).error();
    out.cells[{row.text(0), row.integer(1)}].merge(*cell);
  }
  if (out.version.empty()) out.version = most_frequent(out.cells);
  std::erase_if(out.cells, [&](const auto& one) { return one.first.version != out.version; });
  return out;
}

Json Monitoring::summary(const View& view) {
  Json alarms = Json::array();
  for (const auto& [feature, alarm] : view.alarms) {
    if (alarm.open) alarms.push(feature);
  }
  Json out = Json::object({{"endpoint", view.endpoint}});
  const auto& reference = view.reference;
  out.set("reference", reference ? Json::object({{"kind", reference->kind},
                                                 {"source", reference->source},
                                                 {"rows", reference->rows},
                                                 {"made", to_rfc3339(reference->made)}})
                                 : Json());
  out.set("settings", view.settings.to_json());
  out.set("alarms", std::move(alarms));
  return out;
}

Result<Json> Monitoring::report_of(const View& view, const Span& span) {
  auto found = cells_in(view, span);
  if (!found) return std::move(found).error();
  const Cell whole = sum_of(found->cells);
  Json out = summary(view);
  out.set("version", found->version.empty() ? Json() : Json(found->version));
  out.set("since", to_rfc3339(found->since));
  out.set("until", to_rfc3339(found->until));
  out.set("rows", whole.rows);
  out.set("failed", whole.failed);
  std::vector<std::pair<double, Json>> features;
  for (const auto& [name, profile] : whole.profiles) {
    const auto alarm = view.alarms.find(name);
    Json one = Json::object({{"name", name},
                             {"kind", kind_name(profile.bins().kind())},
                             {"alarm", alarm != view.alarms.end() && alarm->second.open}});
    add_distance(one, view.reference->profiles.at(name), profile);
    features.emplace_back(one.number("psi"), std::move(one));
  }
  std::sort(features.begin(), features.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.text("name") < b.second.text("name");
  });
  Json list = Json::array();
  for (auto& [psi, one] : features)
    list.push(std::move(one));
  out.set("features", std::move(list));
  return out;
}

Result<Json> Monitoring::steps_of(const View& view, const std::string& feature, const Span& span) {
  auto found = cells_in(view, span);
  if (!found) return std::move(found).error();
  if (!view.reference || !view.reference->profiles.contains(feature)) {
    std::vector<std::string> known;
    if (view.reference) {
      for (const auto& [name, profile] : view.reference->profiles)
        known.push_back(name);
    }
    return unknown_feature(feature, known);
  }
  const std::int64_t length = found->until.millis() - found->since.millis();
  const std::int64_t unit = length <= 3 * kHourMs ? kMinuteMs : kHourMs;
  const std::int64_t step = ((length - 1) / (unit * kMaxSteps) + 1) * unit;
  std::map<std::int64_t, Cell> steps;
  for (const auto& [key, cell] : found->cells)
    steps[key.start_ms / step * step].merge(cell);
  Json list = Json::array();
  for (const auto& [start, cell] : steps) {
    const auto profile = cell.profiles.find(feature);
    if (profile == cell.profiles.end()) continue;
    Json one = Json::object({{"time", to_rfc3339(Instant::from_millis(start))}});
    add_distance(one, view.reference->profiles.at(feature), profile->second, false);
    list.push(std::move(one));
  }
  return Json::object({{"endpoint", view.endpoint},
                       {"feature", feature},
                       {"version", found->version.empty() ? Json() : Json(found->version)},
                       {"step_seconds", step / 1000},
                       {"steps", std::move(list)}});
}

Task<Result<Json>> Monitoring::list(const Caller& caller) {
  auto read = [&]() -> Result<Json> {
    std::vector<SeriesPtr> mine;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, series] : series_) {
        if (series->project == caller.project.str()) mine.push_back(series);
      }
    }
    Json out = Json::array();
    for (const auto& series : mine)
      out.push(summary(view_of(*series)));
    return Json::object({{"monitors", std::move(out)}});
  };
  co_return co_await ports_.pool.run(read);
}

Task<Result<Json>> Monitoring::report(const Caller& caller, std::string endpoint, Span span) {
  const auto series = find(caller, endpoint);
  if (!series) co_return series.error();
  auto read = [&] {
    return report_of(view_of(**series), span);
  };
  co_return co_await ports_.pool.run(read);
}

Task<Result<Json>> Monitoring::series(const Caller& caller, std::string endpoint,
                                      std::string feature, Span span) {
  const auto series = find(caller, endpoint);
  if (!series) co_return series.error();
  feature = feature_name(feature);
  auto read = [&] {
    return steps_of(view_of(**series), feature, span);
  };
  co_return co_await ports_.pool.run(read);
}

Task<Result<std::shared_ptr<const Monitoring::Reference>>> Monitoring::query_reference(
    const Caller& caller, const Settings& settings) {
  storage::warehouse::QueryRequest request;
  request.sql = settings.reference;
  request.limit = kReferenceRows;
  Caller reader = caller;  // a reference is read: a statement that changes data is refused
  reader.permissions.reset(static_cast<std::size_t>(kernel::Permission::kLakeWrite));
  const auto warehouse = co_await ports_.warehouse(caller);
  if (!warehouse) co_return warehouse.error();
  const auto answer = co_await (*warehouse)->query_json(reader, std::move(request));
  if (!answer) co_return answer.error().wrap("reference");
  auto out = std::make_shared<Reference>();
  out->kind = "query";
  out->source = settings.reference;
  out->rows = static_cast<std::int64_t>((*answer)["rows"].size());
  out->made = ports_.clock.now();
  for (const auto& column : columns_of_answer(*answer)) {
    auto bins = bins_of(column);
    if (!bins || out->profiles.size() >= kMaxFeatures) continue;
    const auto shared = std::make_shared<const drift::Bins>(*std::move(bins));
    out->profiles.emplace(feature_name(column.name), profile_of(shared, column));
  }
  if (out->profiles.empty()) {
    co_return invalid("reference",
                      "reference: the query gives no column of numbers or texts with values; give "
                      "the training set's columns by the names of the model's inputs");
  }
  co_return std::shared_ptr<const Reference>(std::move(out));
}

Status Monitoring::keep_settings(Series& series, const Settings& settings, const Caller& caller) {
  const SqlArgs args = {series.project, series.endpoint, settings.to_json().dump()};
  STRATA_TRY(ports_.records.write_blocking([&](Writer& writer) -> Status {
    auto kept = writer.execute(
        "INSERT INTO monitors (project, endpoint, settings, mark, alarms) VALUES (?, ?, ?, 0, "
        "'{}') ON CONFLICT (project, endpoint) DO UPDATE SET settings = excluded.settings",
        args);
    if (!kept) return std::move(kept).error();
    return ports_.audit.record(writer, caller, "monitor.settings", "endpoint:" + series.endpoint,
                               settings.to_json());
  }));
  const std::lock_guard lock(mutex_);
  series.settings = settings;
  series.last_look = Instant();
  series.looked_at = -1;
  return {};
}

Result<Json> Monitoring::keep_changes(Series& series, const Settings& settings, bool anew,
                                      const std::shared_ptr<const Reference>& fresh,
                                      const Caller& caller) {
  const std::lock_guard working(working_);
  if (!anew) {
    STRATA_TRY(keep_settings(series, settings, caller));
    return summary(view_of(series));
  }
  std::shared_ptr<Reference> numbered;
  if (fresh) {
    numbered = std::make_shared<Reference>(*fresh);
    numbered->number = series.reference ? series.reference->number + 1 : 1;
  }
  STRATA_TRY(set_reference(series, std::move(numbered), settings, caller.user_name));
  return summary(view_of(series));
}

Task<Result<Json>> Monitoring::change(const Caller& caller, std::string endpoint, Json changes) {
  const auto found = find(caller, endpoint);
  if (!found) co_return found.error();
  Series& series = **found;
  const auto settings = view_of(series).settings.with(changes);
  if (!settings) co_return settings.error();
  const bool anew = changes.find("reference") != nullptr;
  std::shared_ptr<const Reference> fresh;
  if (anew && !settings->reference.empty()) {
    auto queried = co_await query_reference(caller, *settings);
    if (!queried) co_return std::move(queried).error();
    fresh = *std::move(queried);
  }
  auto keep = [&] {
    return keep_changes(series, *settings, anew, fresh, caller);
  };
  auto changed = co_await ports_.pool.run(keep);
  dirty_.notify_all();
  co_return changed;
}

}  // namespace strata::platform::monitoring
