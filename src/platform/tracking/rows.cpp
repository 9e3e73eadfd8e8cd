#include "platform/tracking/rows.hpp"

#include <limits>

#include "base/json.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Reader;
using kernel::Row;
using search::query_in;

namespace {

template <class T>
std::map<std::string, T*> by_id(std::vector<T>& all, const std::string& (*id_of)(const T&),
                                std::vector<std::string>& ids) {
  std::map<std::string, T*> index;
  for (auto& one : all) {
    index.emplace(id_of(one), &one);
    ids.push_back(id_of(one));
  }
  return index;
}

double metric_value(const Row& row, std::size_t i) {
  return row.is_null(i) ? std::numeric_limits<double>::quiet_NaN() : row.real(i);
}

// Rows of (owner id, key, value) into the list that `member` names.
template <class T>
Status load_pairs(Reader& reader, std::string_view sql, const std::vector<std::string>& ids,
                  const std::map<std::string, T*>& index, std::vector<KeyValue> T::* member) {
  auto rows = query_in(reader, sql, ids);
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows)
    (index.at(row.text(0))->*member).push_back({row.text(1), row.text(2)});
  return {};
}

DatasetInput dataset_input_of(const Row& row) {
  DatasetInput input;
  input.dataset = {row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6)};
  const auto tags = parse_json(row.text(7));
  if (tags && tags->is_object()) {
    for (const auto& [key, value] : tags->as_object()) {
      if (value.is_string()) input.tags.push_back({key, value.as_string()});
    }
  }
  return input;
}

Status load_run_links(Reader& reader, const std::vector<std::string>& ids,
                      const std::map<std::string, Run*>& index) {
  auto datasets = query_in(
      reader,
      "SELECT i.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags "
      "FROM run_datasets i JOIN datasets d ON d.id = i.dataset_id WHERE i.run_id IN ({}) "
      "ORDER BY i.run_id, d.name, d.digest",
      ids);
  if (!datasets) return std::move(datasets).error();
  for (const auto& row : *datasets)
    index.at(row.text(0))->dataset_inputs.push_back(dataset_input_of(row));
  auto models =
      query_in(reader,
               "SELECT run_id, direction, model_id, step FROM run_models WHERE run_id IN ({}) "
               "ORDER BY run_id, step, model_id",
               ids);
  if (!models) return std::move(models).error();
  for (const auto& row : *models) {
    Run& run = *index.at(row.text(0));
    if (row.text(1) == "input") {
      run.model_inputs.push_back(row.text(2));
    } else {
      run.model_outputs.push_back({row.text(2), row.integer(3)});
    }
  }
  return {};
}

}  // namespace

RunInfo run_info_of(const Row& row) {
  RunInfo info;
  info.id = row.text(0);
  info.name = row.text(1);
  info.experiment_id = std::to_string(row.integer(2));
  info.user_id = row.text(3);
  info.owner = row.text(4);
  info.status = row.text(5);
  info.start_ms = row.integer(6);
  info.end_ms = row.maybe_integer(7);
  info.artifact_uri = row.text(8);
  info.deleted = row.integer(9) != 0;
  return info;
}

Result<RunInfo> load_run_info(Reader& reader, const ProjectId& project, std::string_view id) {
  auto row = reader.first(
      fmt::format("SELECT {} FROM runs e WHERE e.id = ? AND e.project = ?", kRunColumns),
      {id, project.str()});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("Run with id={} not found", id));
  return run_info_of(**row);
}

Result<RunInfo> load_active_run(Reader& reader, const ProjectId& project, std::string_view id) {
  auto info = load_run_info(reader, project, id);
  if (info && info->deleted) return run_is_deleted(id);
  return info;
}

Status load_run_data(Reader& reader, std::vector<Run>& runs) {
  if (runs.empty()) return {};
  std::vector<std::string> ids;
  const auto index =
      by_id<Run>(runs, [](const Run& run) -> const std::string& { return run.info.id; }, ids);
  auto metrics = query_in(
      reader,
      "SELECT run_id, key, value, timestamp_ms, step FROM latest_metrics WHERE run_id IN ({}) "
      "ORDER BY run_id, key",
      ids);
  if (!metrics) return std::move(metrics).error();
  for (const auto& row : *metrics) {
    Metric metric;
    metric.key = row.text(1);
    metric.value = metric_value(row, 2);
    metric.timestamp_ms = row.integer(3);
    metric.step = row.integer(4);
    metric.run_id = row.text(0);
    index.at(metric.run_id)->metrics.push_back(std::move(metric));
  }
  STRATA_TRY(load_pairs(
      reader, "SELECT run_id, key, value FROM params WHERE run_id IN ({}) ORDER BY run_id, key",
      ids, index, &Run::params));
  STRATA_TRY(load_pairs(
      reader, "SELECT run_id, key, value FROM run_tags WHERE run_id IN ({}) ORDER BY run_id, key",
      ids, index, &Run::tags));
  return load_run_links(reader, ids, index);
}

Experiment experiment_of(const Row& row) {
  Experiment experiment;
  experiment.id = std::to_string(row.integer(0));
  experiment.name = row.text(1);
  experiment.artifact_location = row.text(2);
  experiment.deleted = row.integer(3) != 0;
  experiment.created_ms = row.integer(4);
  experiment.updated_ms = row.integer(5);
  return experiment;
}

Result<Experiment> load_experiment(Reader& reader, const ProjectId& project, std::string_view id) {
  auto number = experiment_number(id);
  if (!number) return std::move(number).error();
  auto row =
      reader.first(fmt::format("SELECT {} FROM experiments e WHERE e.project = ? AND e.id = ?",
                               kExperimentColumns),
                   {project.str(), *number});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("No Experiment with id={} exists", id));
  return experiment_of(**row);
}

Status load_experiment_tags(Reader& reader, const ProjectId& project, Experiment& experiment) {
  auto number = experiment_number(experiment.id);
  if (!number) return std::move(number).error();
  auto rows = reader.query(
      "SELECT key, value FROM experiment_tags WHERE project = ? AND experiment_id = ? ORDER BY key",
      {project.str(), *number});
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows)
    experiment.tags.push_back({row.text(0), row.text(1)});
  return {};
}

LoggedModel logged_model_of(const Row& row) {
  LoggedModel model;
  model.id = row.text(0);
  model.experiment_id = std::to_string(row.integer(1));
  model.name = row.text(2);
  model.model_type = row.text(3);
  model.status = row.text(4);
  model.source_run_id = row.text(5);
  model.artifact_uri = row.text(6);
  model.owner = row.text(7);
  model.created_ms = row.integer(8);
  model.updated_ms = row.integer(9);
  return model;
}

Result<LoggedModel> load_logged_model(Reader& reader, const ProjectId& project,
                                      std::string_view id) {
  auto row = reader.first(
      fmt::format(
          "SELECT {} FROM logged_models e WHERE e.id = ? AND e.project = ? AND e.deleted = 0",
          kLoggedModelColumns),
      {id, project.str()});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("Logged model with ID '{}' not found.", id));
  std::vector<LoggedModel> one = {logged_model_of(**row)};
  STRATA_TRY(load_logged_model_data(reader, one));
  return std::move(one.front());
}

Status load_logged_model_data(Reader& reader, std::vector<LoggedModel>& models) {
  if (models.empty()) return {};
  std::vector<std::string> ids;
  const auto index = by_id<LoggedModel>(
      models, [](const LoggedModel& model) -> const std::string& { return model.id; }, ids);
  STRATA_TRY(load_pairs(
      reader,
      "SELECT model_id, key, value FROM logged_model_tags WHERE model_id IN ({}) ORDER BY key", ids,
      index, &LoggedModel::tags));
  STRATA_TRY(load_pairs(
      reader,
      "SELECT model_id, key, value FROM logged_model_params WHERE model_id IN ({}) ORDER BY key",
      ids, index, &LoggedModel::params));
  auto rows = query_in(
      reader,
      "SELECT model_id, key, value, timestamp_ms, step, dataset_name, dataset_digest, run_id "
      "FROM logged_model_metrics WHERE model_id IN ({}) ORDER BY key, timestamp_ms",
      ids);
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows) {
    Metric metric{row.text(1), metric_value(row, 2), row.integer(3), row.integer(4),
                  row.text(0), row.text(5),          row.text(6),    row.text(7)};
    index.at(metric.model_id)->metrics.push_back(std::move(metric));
  }
  return {};
}

}  // namespace strata::platform::tracking
