#include <bit>
#include <cmath>

#include "base/json.hpp"
#include "platform/tracking/metric_series.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::SqlValue;
using kernel::Writer;

namespace {

constexpr std::string_view kModelHistory = "mlflow.log-model.history";

SqlValue stored(double value) {
  return std::isnan(value) ? SqlValue(nullptr) : SqlValue(value);
}

// Greatest step, then time, then value; NaN is less than every number.
bool later(const Metric& a, const Metric& b) {
  if (a.step != b.step) return a.step > b.step;
  if (a.timestamp_ms != b.timestamp_ms) return a.timestamp_ms > b.timestamp_ms;
  return std::isnan(b.value) ? !std::isnan(a.value) : a.value > b.value;
}

// The rule above as the condition of an upsert on `table`.
std::string upsert_tail(std::string_view conflict, std::string_view table) {
  return fmt::format(
      " ON CONFLICT ({0}) DO UPDATE SET value = excluded.value, timestamp_ms = "
      "excluded.timestamp_ms, step = excluded.step "
      "WHERE excluded.step > {1}.step OR (excluded.step = {1}.step AND (excluded.timestamp_ms > "
      "{1}.timestamp_ms OR "
      "(excluded.timestamp_ms = {1}.timestamp_ms AND (excluded.value > {1}.value OR {1}.value IS "
      "NULL))))",
      conflict, table);
}

Status write_params(Writer& writer, std::string_view run_id, const std::vector<KeyValue>& params) {
  for (const auto& param : params) {
    auto added = writer.execute(
        "INSERT INTO params (run_id, key, value) VALUES (?, ?, ?) ON CONFLICT (run_id, key) DO "
        "NOTHING",
        {run_id, param.key, param.value});
    if (!added) return std::move(added).error();
    if (*added == 1) continue;
    auto old =
        writer.first("SELECT value FROM params WHERE run_id = ? AND key = ?", {run_id, param.key});
    if (!old) return std::move(old).error();
    const std::string before = *old ? (*old)->text(0) : "";
    if (before == param.value) continue;
    return invalid(
        "params",
        fmt::format(
            "Changing param values is not allowed. Param with key='{}' was already logged with "
            "value='{}' for run ID='{}'. Attempted logging new value '{}'.",
            param.key, before, run_id, param.value));
  }
  return {};
}

Status write_latest(Writer& writer, std::string_view run_id, const std::vector<Metric>& metrics) {
  std::map<std::string_view, const Metric*> latest;
  for (const auto& metric : metrics) {
    auto& best = latest[metric.key];
    if (best == nullptr || later(metric, *best)) best = &metric;
  }
  static const std::string sql =
      "INSERT INTO latest_metrics (run_id, key, value, timestamp_ms, step) VALUES (?, ?, ?, ?, ?)" +
      upsert_tail("run_id, key", "latest_metrics");
  for (const auto& [key, metric] : latest) {
    STRATA_TRY(writer.execute(
        sql, {run_id, key, stored(metric->value), metric->timestamp_ms, metric->step}));
  }
  return {};
}

Status write_model_metrics(Writer& writer, const ProjectId& project, std::string_view run_id,
                           const std::vector<Metric>& metrics) {
  static const std::string sql =
      "INSERT INTO logged_model_metrics (model_id, key, run_id, dataset_name, dataset_digest, "
      "value, timestamp_ms, step) "
      "SELECT e.id, ?, ?, ?, ?, ?, ?, ? FROM logged_models e WHERE e.id = ? AND e.project = ?" +
      upsert_tail("model_id, key, run_id, dataset_name, dataset_digest", "logged_model_metrics");
  for (const auto& metric : metrics) {
    if (metric.model_id.empty()) continue;
    STRATA_TRY(writer.execute(
        sql, {metric.key, run_id, metric.dataset_name, metric.dataset_digest, stored(metric.value),
              metric.timestamp_ms, metric.step, metric.model_id, project.str()}));
  }
  return {};
}

std::vector<Series> series_of(const std::vector<Metric>& metrics) {
  std::vector<Series> series;
  std::map<std::string_view, std::size_t> places;
  for (const auto& metric : metrics) {
    const auto [place, added] = places.emplace(metric.key, series.size());
    if (added) series.emplace_back(metric.key, std::vector<Point>());
    series[place->second].second.push_back({metric.step, metric.timestamp_ms, metric.value});
  }
  return series;
}

}  // namespace

Task<Status> Tracking::log_batch(const Caller& caller, std::string run_id, Batch batch) {
  STRATA_CO_TRY(check_batch(batch));
  auto log = [&](Writer& writer) -> Status {
    auto run = load_active_run(writer, caller.project, run_id);
    if (!run) return std::move(run).error();
    return write_batch(writer, caller, *run, batch);
  };
  co_return co_await records_.write(log);
}

Status Tracking::write_batch(Writer& writer, const Caller& caller, const RunInfo& run,
                             const Batch& batch) {
  STRATA_TRY(write_params(writer, run.id, batch.params));
  STRATA_TRY(write_tags(writer, caller, run, batch.tags));
  if (batch.metrics.empty()) return {};
  STRATA_TRY(append_points(writer, run.id, series_of(batch.metrics)));
  STRATA_TRY(write_latest(writer, run.id, batch.metrics));
  return write_model_metrics(writer, caller.project, run.id, batch.metrics);
}

Status Tracking::write_tags(Writer& writer, const Caller& caller, const RunInfo& run,
                            const std::vector<KeyValue>& tags) {
  for (const auto& tag : tags) {
    STRATA_TRY(
        writer.execute("INSERT INTO run_tags (run_id, key, value) VALUES (?, ?, ?) "
                       "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value",
                       {run.id, tag.key, tag.value}));
    if (tag.key == "mlflow.runName") {
      STRATA_TRY(writer.execute("UPDATE runs SET name = ? WHERE id = ?", {tag.value, run.id}));
    }
    if (tag.key != "mlflow.source.git.commit" || tag.value.empty()) continue;
    kernel::LineageNode commit{
        {"commit", tag.value, ""}, "", caller.user_name, clock_.now(), Json::object()};
    STRATA_TRY(lineage_.report(writer, caller.project, commit));
    kernel::LineageEdge edge{commit.ref, {"run", run.id, ""}, "code", clock_.now()};
    STRATA_TRY(lineage_.report(writer, caller.project, edge));
  }
  return {};
}

Task<Status> Tracking::delete_tag(const Caller& caller, std::string run_id, std::string key) {
  auto drop = [&](Writer& writer) -> Status {
    auto run = load_active_run(writer, caller.project, run_id);
    if (!run) return std::move(run).error();
    auto gone = writer.execute("DELETE FROM run_tags WHERE run_id = ? AND key = ?", {run_id, key});
    if (!gone) return std::move(gone).error();
    if (*gone == 0)
      return not_found(fmt::format("No tag with name: {} in run with id {}", key, run_id));
    return {};
  };
  co_return co_await records_.write(drop);
}

Task<Status> Tracking::log_model_history(const Caller& caller, std::string run_id,
                                         std::string model_json) {
  auto model = parse_json(model_json);
  if (!model || !model->is_object()) {
    co_return invalid("model_json",
                      "Malformed model info: 'model_json' must be a JSON object as text");
  }
  for (const auto* field : {"artifact_path", "flavors", "utc_time_created", "run_id"}) {
    if (model->find(field) != nullptr) continue;
    co_return invalid("model_json",
                      fmt::format("Model json is missing mandatory field '{}'", field));
  }
  auto log = [&](Writer& writer) -> Status {
    auto run = load_active_run(writer, caller.project, run_id);
    if (!run) return std::move(run).error();
    auto row = writer.first("SELECT value FROM run_tags WHERE run_id = ? AND key = ?",
                            {run_id, kModelHistory});
    if (!row) return std::move(row).error();
    Json history = Json::array();
    if (*row) {
      if (auto old = parse_json((*row)->text(0)); old && old->is_array()) history = std::move(*old);
    }
    history.push(std::move(*model));
    const std::vector<KeyValue> tags = {{std::string(kModelHistory), history.dump()}};
    return write_tags(writer, caller, *run, tags);
  };
  co_return co_await records_.write(log);
}

}  // namespace strata::platform::tracking
