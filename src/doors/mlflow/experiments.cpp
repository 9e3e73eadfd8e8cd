#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;

namespace {

Answer create(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto location = in.text("artifact_location");
  auto tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  auto id = co_await services.tracking.create_experiment(request.caller(), name, location,
                                                         std::move(tags));
  if (!id) co_return std::move(id).error();
  co_return Json::object({{"experiment_id", Json(*id)}});
}

Answer search(Fields& in, const Authorized& request, Services& services) {
  platform::tracking::SearchRequest search;
  search.filter = in.text("filter");
  search.order_by = in.texts("order_by");
  search.view = in.view("view_type");
  search.max_results = in.integer("max_results").value_or(1000);
  search.page_token = in.text("page_token");
  STRATA_CO_TRY(in.status());
  co_return co_await page_answer(
      "experiments", experiment_json,
      services.tracking.search_experiments(request.caller(), std::move(search)));
}

Answer get(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("experiment", experiment_json,
                                services.tracking.experiment(request.caller(), id));
}

Answer get_by_name(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("experiment_name");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("experiment", experiment_json,
                                services.tracking.experiment_by_name(request.caller(), name));
}

Answer remove(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.delete_experiment(request.caller(), id));
}

Answer restore(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.restore_experiment(request.caller(), id));
}

Answer update(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  const auto name = in.text("new_name");
  STRATA_CO_TRY(in.status());
  if (name.empty()) co_return Json::object();
  co_return co_await empty_answer(services.tracking.rename_experiment(request.caller(), id, name));
}

Answer set_tag(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  platform::tracking::KeyValue tag{in.required("key"), in.text("value")};
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.tracking.set_experiment_tag(request.caller(), id, std::move(tag)));
}

Answer delete_tag(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  const auto key = in.required("key");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.tracking.delete_experiment_tag(request.caller(), id, key));
}

Answer search_datasets(Fields& in, const Authorized& request, Services& services) {
  auto ids = in.texts("experiment_ids");
  STRATA_CO_TRY(in.status());
  const auto encode = [](const platform::tracking::DatasetSummary& one) {
    Json json = Json::object({{"experiment_id", Json(one.experiment_id)},
                              {"name", Json(one.name)},
                              {"digest", Json(one.digest)}});
    if (!one.context.empty()) json.set("context", Json(one.context));
    return json;
  };
  co_return co_await list_answer(
      "dataset_summaries", encode,
      services.tracking.search_datasets(request.caller(), std::move(ids)));
}

}  // namespace

std::vector<CallRow> experiment_calls() {
  return {
      {Method::kPost, "/experiments/create", Permission::kTrackingWrite, create},
      {Method::kPost, "/experiments/search", Permission::kTrackingRead, search},
      {Method::kGet, "/experiments/search", Permission::kTrackingRead, search},
      {Method::kGet, "/experiments/get", Permission::kTrackingRead, get},
      {Method::kGet, "/experiments/get-by-name", Permission::kTrackingRead, get_by_name},
      {Method::kPost, "/experiments/delete", Permission::kTrackingWrite, remove},
      {Method::kPost, "/experiments/restore", Permission::kTrackingWrite, restore},
      {Method::kPost, "/experiments/update", Permission::kTrackingWrite, update},
      {Method::kPost, "/experiments/set-experiment-tag", Permission::kTrackingWrite, set_tag},
      {Method::kPost, "/experiments/delete-experiment-tag", Permission::kTrackingWrite, delete_tag},
      {Method::kPost, "/experiments/search-datasets", Permission::kTrackingRead, search_datasets}};
}

}  // namespace strata::doors::mlflow
