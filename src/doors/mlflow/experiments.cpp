#include "doors/mlflow/encode.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;

namespace {

using Answer = Task<Result<Json>>;

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
  auto page = co_await services.tracking.search_experiments(request.caller(), std::move(search));
  if (!page) co_return std::move(page).error();
  Json answer = Json::object({{"experiments", list_json(page->items, experiment_json)}});
  add_token(answer, page->next_page_token);
  co_return answer;
}

Answer get(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  auto found = co_await services.tracking.experiment(request.caller(), id);
  if (!found) co_return std::move(found).error();
  co_return Json::object({{"experiment", experiment_json(*found)}});
}

Answer get_by_name(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("experiment_name");
  STRATA_CO_TRY(in.status());
  auto found = co_await services.tracking.experiment_by_name(request.caller(), name);
  if (!found) co_return std::move(found).error();
  co_return Json::object({{"experiment", experiment_json(*found)}});
}

Answer remove(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  STRATA_CO_TRY(co_await services.tracking.delete_experiment(request.caller(), id));
  co_return Json::object();
}

Answer restore(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  STRATA_CO_TRY(in.status());
  STRATA_CO_TRY(co_await services.tracking.restore_experiment(request.caller(), id));
  co_return Json::object();
}

Answer update(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  const auto name = in.text("new_name");
  STRATA_CO_TRY(in.status());
  if (name.empty()) co_return Json::object();
  STRATA_CO_TRY(co_await services.tracking.rename_experiment(request.caller(), id, name));
  co_return Json::object();
}

Answer set_tag(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  platform::tracking::KeyValue tag{in.required("key"), in.text("value")};
  STRATA_CO_TRY(in.status());
  STRATA_CO_TRY(
      co_await services.tracking.set_experiment_tag(request.caller(), id, std::move(tag)));
  co_return Json::object();
}

Answer delete_tag(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.required("experiment_id");
  const auto key = in.required("key");
  STRATA_CO_TRY(in.status());
  STRATA_CO_TRY(co_await services.tracking.delete_experiment_tag(request.caller(), id, key));
  co_return Json::object();
}

Answer search_datasets(Fields& in, const Authorized& request, Services& services) {
  auto ids = in.texts("experiment_ids");
  STRATA_CO_TRY(in.status());
  auto found = co_await services.tracking.search_datasets(request.caller(), std::move(ids));
  if (!found) co_return std::move(found).error();
  co_return Json::object(
      {{"dataset_summaries", list_json(*found, [](const platform::tracking::DatasetSummary& one) {
          Json json = Json::object({{"experiment_id", Json(one.experiment_id)},
                                    {"name", Json(one.name)},
                                    {"digest", Json(one.digest)}});
          if (!one.context.empty()) json.set("context", Json(one.context));
          return json;
        })}});
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
