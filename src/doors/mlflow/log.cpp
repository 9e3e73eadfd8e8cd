#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;
using platform::tracking::Batch;
using platform::tracking::Metric;

namespace {

Metric metric_of(Fields& in) {
  Metric metric;
  metric.key = in.required("key");
  metric.value = in.required_double("value");
  metric.timestamp_ms = in.required_integer("timestamp");
  metric.step = in.integer("step").value_or(0);
  metric.model_id = in.text("model_id");
  metric.dataset_name = in.text("dataset_name");
  metric.dataset_digest = in.text("dataset_digest");
  return metric;
}

Answer log(const Authorized& request, Services& services, std::string run_id, Batch batch) {
  co_return co_await empty_answer(
      services.tracking.log_batch(request.caller(), std::move(run_id), std::move(batch)));
}

Answer log_metric(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  Batch batch;
  batch.metrics.push_back(metric_of(in));
  STRATA_CO_TRY(in.status());
  co_return co_await log(request, services, run_id, std::move(batch));
}

Answer log_parameter(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  Batch batch;
  batch.params.push_back({in.required("key"), in.text("value")});
  STRATA_CO_TRY(in.status());
  co_return co_await log(request, services, run_id, std::move(batch));
}

Answer set_tag(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  Batch batch;
  batch.tags.push_back({in.required("key"), in.text("value")});
  STRATA_CO_TRY(in.status());
  co_return co_await log(request, services, run_id, std::move(batch));
}

Answer log_batch(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  Batch batch;
  for (auto& one : in.objects("metrics")) {
    batch.metrics.push_back(metric_of(one));
    in.join(one);
  }
  batch.params = in.pairs("params");
  batch.tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await log(request, services, run_id, std::move(batch));
}

Answer delete_tag(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  const auto key = in.required("key");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.delete_tag(request.caller(), run_id, key));
}

Answer log_inputs(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  std::vector<platform::tracking::DatasetInput> datasets;
  for (auto& one : in.objects("datasets")) {
    platform::tracking::DatasetInput input;
    input.tags = one.pairs("tags");
    if (auto dataset = one.object("dataset")) {
      input.dataset = {dataset->required("name"),        dataset->required("digest"),
                       dataset->required("source_type"), dataset->text("source"),
                       dataset->text("schema"),          dataset->text("profile")};
      one.join(*dataset);
    } else {
      one.fail(invalid("datasets", "Missing value for required parameter 'datasets.dataset'."));
    }
    in.join(one);
    datasets.push_back(std::move(input));
  }
  std::vector<std::string> models;
  for (auto& one : in.objects("models")) {
    models.push_back(one.required("model_id"));
    in.join(one);
  }
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.log_inputs(
      request.caller(), run_id, std::move(datasets), std::move(models)));
}

Answer log_outputs(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  std::vector<platform::tracking::ModelOutput> models;
  for (auto& one : in.objects("models")) {
    models.push_back({one.required("model_id"), one.integer("step").value_or(0)});
    in.join(one);
  }
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.tracking.log_outputs(request.caller(), run_id, std::move(models)));
}

Answer log_model(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  const auto model = in.required("model_json");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.tracking.log_model_history(request.caller(), run_id, model));
}

}  // namespace

std::vector<CallRow> log_calls() {
  constexpr std::uint64_t kProfiles = 64 << 20;
  return {{Method::kPost, "/runs/log-metric", Permission::kTrackingWrite, log_metric},
          {Method::kPost, "/runs/log-parameter", Permission::kTrackingWrite, log_parameter},
          {Method::kPost, "/runs/log-batch", Permission::kTrackingWrite, log_batch},
          {Method::kPost, "/runs/set-tag", Permission::kTrackingWrite, set_tag},
          {Method::kPost, "/runs/delete-tag", Permission::kTrackingWrite, delete_tag},
          {Method::kPost, "/runs/log-inputs", Permission::kTrackingWrite, log_inputs, kProfiles},
          {Method::kPost, "/runs/outputs", Permission::kTrackingWrite, log_outputs},
          {Method::kPost, "/runs/log-model", Permission::kTrackingWrite, log_model}};
}

}  // namespace strata::doors::mlflow
