#include "doors/mlflow/encode.hpp"

#include <cmath>
#include <limits>

namespace strata::doors::mlflow {

using platform::tracking::KeyValue;
using platform::tracking::Metric;

Json double_json(double value) {
  if (std::isinf(value)) {
    const double largest = std::numeric_limits<double>::max();
    return value > 0 ? Json(largest) : Json(-largest);
  }
  return value;
}

Json pairs_json(const std::vector<KeyValue>& pairs) {
  return list_json(pairs, [](const KeyValue& pair) {
    return Json::object({{"key", Json(pair.key)}, {"value", Json(pair.value)}});
  });
}

Json experiment_json(const platform::tracking::Experiment& experiment) {
  return Json::object({{"experiment_id", Json(experiment.id)},
                       {"name", Json(experiment.name)},
                       {"artifact_location", Json(experiment.artifact_location)},
                       {"lifecycle_stage", Json(experiment.deleted ? "deleted" : "active")},
                       {"last_update_time", Json(experiment.updated_ms)},
                       {"creation_time", Json(experiment.created_ms)},
                       {"tags", pairs_json(experiment.tags)}});
}

Json run_info_json(const platform::tracking::RunInfo& info) {
  Json json = Json::object({{"run_id", Json(info.id)},
                            {"run_uuid", Json(info.id)},
                            {"run_name", Json(info.name)},
                            {"experiment_id", Json(info.experiment_id)},
                            {"user_id", Json(info.user_id)},
                            {"status", Json(info.status)},
                            {"start_time", Json(info.start_ms)}});
  if (info.end_ms) json.set("end_time", Json(*info.end_ms));
  json.set("artifact_uri", Json(info.artifact_uri));
  json.set("lifecycle_stage", Json(info.deleted ? "deleted" : "active"));
  return json;
}

Json metric_json(const Metric& metric, bool with_run) {
  Json json = Json::object({{"key", Json(metric.key)},
                            {"value", double_json(metric.value)},
                            {"timestamp", Json(metric.timestamp_ms)},
                            {"step", Json(metric.step)}});
  if (!metric.dataset_name.empty()) json.set("dataset_name", Json(metric.dataset_name));
  if (!metric.dataset_digest.empty()) json.set("dataset_digest", Json(metric.dataset_digest));
  if (!metric.model_id.empty()) json.set("model_id", Json(metric.model_id));
  if (with_run) json.set("run_id", Json(metric.run_id));
  return json;
}

Json run_json(const platform::tracking::Run& run) {
  const auto dataset_input = [](const platform::tracking::DatasetInput& input) {
    Json dataset = Json::object({{"name", Json(input.dataset.name)},
                                 {"digest", Json(input.dataset.digest)},
                                 {"source_type", Json(input.dataset.source_type)},
                                 {"source", Json(input.dataset.source)}});
    if (!input.dataset.schema.empty()) dataset.set("schema", Json(input.dataset.schema));
    if (!input.dataset.profile.empty()) dataset.set("profile", Json(input.dataset.profile));
    return Json::object({{"tags", pairs_json(input.tags)}, {"dataset", std::move(dataset)}});
  };
  const auto model_input = [](const std::string& id) {
    return Json::object({{"model_id", Json(id)}});
  };
  const auto model_output = [](const platform::tracking::ModelOutput& output) {
    return Json::object({{"model_id", Json(output.model_id)}, {"step", Json(output.step)}});
  };
  return Json::object(
      {{"info", run_info_json(run.info)},
       {"data",
        Json::object({{"metrics", list_json(run.metrics,
                                            [](const Metric& m) { return metric_json(m, false); })},
                      {"params", pairs_json(run.params)},
                      {"tags", pairs_json(run.tags)}})},
       {"inputs", Json::object({{"dataset_inputs", list_json(run.dataset_inputs, dataset_input)},
                                {"model_inputs", list_json(run.model_inputs, model_input)}})},
       {"outputs", Json::object({{"model_outputs", list_json(run.model_outputs, model_output)}})}});
}

Json logged_model_json(const platform::tracking::LoggedModel& model) {
  const std::string_view status = model.status == "READY"    ? "LOGGED_MODEL_READY"
                                  : model.status == "FAILED" ? "LOGGED_MODEL_UPLOAD_FAILED"
                                                             : "LOGGED_MODEL_PENDING";
  Json info = Json::object({{"model_id", Json(model.id)},
                            {"experiment_id", Json(model.experiment_id)},
                            {"name", Json(model.name)},
                            {"creation_timestamp_ms", Json(model.created_ms)},
                            {"last_updated_timestamp_ms", Json(model.updated_ms)},
                            {"artifact_uri", Json(model.artifact_uri)},
                            {"status", Json(status)}});
  if (!model.model_type.empty()) info.set("model_type", Json(model.model_type));
  if (!model.source_run_id.empty()) info.set("source_run_id", Json(model.source_run_id));
  info.set("tags", pairs_json(model.tags));
  return Json::object(
      {{"info", std::move(info)},
       {"data", Json::object({{"params", pairs_json(model.params)},
                              {"metrics", list_json(model.metrics, [](const Metric& m) {
                                 return metric_json(m, true);
                               })}})}});
}

Json version_json(const platform::models::Version& version) {
  Json json = Json::object({{"name", Json(version.name)},
                            {"version", Json(std::to_string(version.version))},
                            {"creation_timestamp", Json(version.created_ms)},
                            {"last_updated_timestamp", Json(version.updated_ms)},
                            {"user_id", Json(version.owner)},
                            {"current_stage", Json(version.stage)},
                            {"description", Json(version.description)},
                            {"source", Json(version.source)},
                            {"run_id", Json(version.run_id)},
                            {"status", Json(version.status)}});
  if (!version.status_message.empty()) json.set("status_message", Json(version.status_message));
  if (!version.run_link.empty()) json.set("run_link", Json(version.run_link));
  if (!version.model_id.empty()) json.set("model_id", Json(version.model_id));
  json.set("tags", pairs_json(version.tags));
  json.set("aliases",
           list_json(version.aliases, [](const std::string& alias) { return Json(alias); }));
  return json;
}

Json model_json(const platform::models::Model& model) {
  const auto alias = [](const platform::models::Alias& one) {
    return Json::object(
        {{"alias", Json(one.name)}, {"version", Json(std::to_string(one.version))}});
  };
  return Json::object({{"name", Json(model.name)},
                       {"creation_timestamp", Json(model.created_ms)},
                       {"last_updated_timestamp", Json(model.updated_ms)},
                       {"user_id", Json(model.owner)},
                       {"description", Json(model.description)},
                       {"latest_versions", list_json(model.latest, version_json)},
                       {"tags", pairs_json(model.tags)},
                       {"aliases", list_json(model.aliases, alias)}});
}

Json files_json(const std::vector<platform::tracking::ArtifactInfo>& files, std::size_t strip) {
  return list_json(files, [&](const platform::tracking::ArtifactInfo& info) {
    Json json =
        Json::object({{"path", Json(info.path.substr(strip))}, {"is_dir", Json(info.directory)}});
    if (!info.directory) json.set("file_size", Json(info.size));
    return json;
  });
}

}  // namespace strata::doors::mlflow
