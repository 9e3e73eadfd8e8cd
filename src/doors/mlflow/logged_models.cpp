#include "base/text.hpp"
#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;

namespace {

// READY and FAILED have these names in our records.
std::string status_of(Fields& in) {
  Fields probe = in;
  if (const auto number = probe.integer("status"); number && probe.status()) {
    return *number == 2 ? "READY" : *number == 3 ? "FAILED" : "PENDING";
  }
  const std::string name = in.required("status");
  if (name == "LOGGED_MODEL_READY") return "READY";
  return name == "LOGGED_MODEL_UPLOAD_FAILED" ? "FAILED" : name;
}

Answer create(Fields& in, const Authorized& request, Services& services) {
  platform::tracking::LoggedModelDraft draft;
  draft.experiment_id = in.required("experiment_id");
  draft.name = in.text("name");
  draft.model_type = in.text("model_type");
  draft.source_run_id = in.text("source_run_id");
  draft.params = in.pairs("params");
  draft.tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "model", logged_model_json,
      services.tracking.create_logged_model(request.caller(), std::move(draft)));
}

Answer get(Fields&, const Authorized& request, Services& services) {
  co_return co_await one_answer(
      "model", logged_model_json,
      services.tracking.logged_model(request.caller(), request.param("model_id")));
}

Answer finalize(Fields& in, const Authorized& request, Services& services) {
  const auto status = status_of(in);
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "model", logged_model_json,
      services.tracking.finalize_logged_model(request.caller(), request.param("model_id"), status));
}

Answer remove(Fields&, const Authorized& request, Services& services) {
  co_return co_await empty_answer(
      services.tracking.delete_logged_model(request.caller(), request.param("model_id")));
}

Answer set_tags(Fields& in, const Authorized& request, Services& services) {
  auto tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("model", logged_model_json,
                                services.tracking.set_logged_model_tags(
                                    request.caller(), request.param("model_id"), std::move(tags)));
}

Answer delete_tag(Fields&, const Authorized& request, Services& services) {
  co_return co_await empty_answer(services.tracking.delete_logged_model_tag(
      request.caller(), request.param("model_id"), request.param("key")));
}

Answer log_params(Fields& in, const Authorized& request, Services& services) {
  auto params = in.pairs("params");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.log_logged_model_params(
      request.caller(), request.param("model_id"), std::move(params)));
}

Answer search(Fields& in, const Authorized& request, Services& services) {
  platform::tracking::LoggedModelSearch search;
  search.experiment_ids = in.texts("experiment_ids");
  search.filter = in.text("filter");
  search.max_results = in.integer("max_results").value_or(50);
  search.page_token = in.text("page_token");
  for (auto& one : in.objects("datasets")) {
    search.datasets.push_back({one.required("dataset_name"), one.text("dataset_digest")});
    in.join(one);
  }
  for (auto& one : in.objects("order_by")) {
    search.order_by.push_back({one.required("field_name"),
                               one.boolean("ascending", true),
                               {one.text("dataset_name"), one.text("dataset_digest")}});
    in.join(one);
  }
  STRATA_CO_TRY(in.status());
  co_return co_await page_answer(
      "models", logged_model_json,
      services.tracking.search_logged_models(request.caller(), std::move(search)));
}

Answer list_files(Fields& in, const Authorized& request, Services& services) {
  const auto directory = in.text("artifact_directory_path");
  STRATA_CO_TRY(in.status());
  auto model = co_await services.tracking.logged_model(request.caller(), request.param("model_id"));
  if (!model) co_return std::move(model).error();
  auto root = platform::tracking::Tracking::store_path(model->artifact_uri);
  if (!root) co_return std::move(root).error();
  const std::string path = directory.empty() ? *root : *root + "/" + directory;
  auto files = co_await services.tracking.list_artifacts(request.caller(), path);
  if (!files) co_return std::move(files).error();
  co_return Json::object(
      {{"root_uri", Json(model->artifact_uri)}, {"files", files_json(*files, root->size() + 1)}});
}

}  // namespace

std::vector<CallRow> logged_model_calls() {
  return {
      {Method::kPost, "/logged-models", Permission::kTrackingWrite, create},
      {Method::kPost, "/logged-models/search", Permission::kTrackingRead, search},
      {Method::kGet, "/logged-models/{model_id}", Permission::kTrackingRead, get},
      {Method::kPatch, "/logged-models/{model_id}", Permission::kTrackingWrite, finalize},
      {Method::kDelete, "/logged-models/{model_id}", Permission::kTrackingWrite, remove},
      {Method::kPatch, "/logged-models/{model_id}/tags", Permission::kTrackingWrite, set_tags},
      {Method::kDelete, "/logged-models/{model_id}/tags/{key}", Permission::kTrackingWrite,
       delete_tag},
      {Method::kPost, "/logged-models/{model_id}/params", Permission::kTrackingWrite, log_params},
      {Method::kGet, "/logged-models/{model_id}/artifacts/directories", Permission::kTrackingRead,
       list_files}};
}

}  // namespace strata::doors::mlflow
