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
  const auto description = in.text("description");
  auto tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "registered_model", model_json,
      services.models.create_model(request.caller(), name, description, std::move(tags)));
}

Answer get(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("registered_model", model_json,
                                services.models.model(request.caller(), name));
}

Answer update(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto description = in.text("description");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "registered_model", model_json,
      services.models.describe_model(request.caller(), name, description));
}

Answer rename(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto new_name = in.required("new_name");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("registered_model", model_json,
                                services.models.rename_model(request.caller(), name, new_name));
}

Answer remove(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.models.delete_model(request.caller(), name));
}

Answer search(Fields& in, const Authorized& request, Services& services) {
  platform::models::ModelSearch search{in.text("filter"), in.texts("order_by"),
                                       in.integer("max_results").value_or(100),
                                       in.text("page_token")};
  STRATA_CO_TRY(in.status());
  co_return co_await page_answer(
      "registered_models", model_json,
      services.models.search_models(request.caller(), std::move(search)));
}

Answer latest_versions(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  auto stages = in.texts("stages");
  STRATA_CO_TRY(in.status());
  co_return co_await list_answer(
      "model_versions", version_json,
      services.models.latest_versions(request.caller(), name, std::move(stages)));
}

Answer set_tag(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  platform::tracking::KeyValue tag{in.required("key"), in.text("value")};
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.models.set_model_tag(request.caller(), name, std::move(tag)));
}

Answer delete_tag(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto key = in.required("key");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.models.delete_model_tag(request.caller(), name, key));
}

Answer set_alias(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto alias = in.required("alias");
  const auto version = in.version("version");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.models.set_alias(request.caller(), name, alias, version));
}

Answer delete_alias(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto alias = in.required("alias");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.models.delete_alias(request.caller(), name, alias));
}

Answer get_by_alias(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto alias = in.required("alias");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("model_version", version_json,
                                services.models.version_by_alias(request.caller(), name, alias));
}

}  // namespace

std::vector<CallRow> registered_model_calls() {
  return {{Method::kPost, "/registered-models/create", Permission::kModelWrite, create},
          {Method::kGet, "/registered-models/get", Permission::kModelRead, get},
          {Method::kPatch, "/registered-models/update", Permission::kModelWrite, update},
          {Method::kPost, "/registered-models/rename", Permission::kModelWrite, rename},
          {Method::kDelete, "/registered-models/delete", Permission::kModelWrite, remove},
          {Method::kGet, "/registered-models/search", Permission::kModelRead, search},
          {Method::kPost, "/registered-models/get-latest-versions", Permission::kModelRead,
           latest_versions},
          {Method::kGet, "/registered-models/get-latest-versions", Permission::kModelRead,
           latest_versions},
          {Method::kPost, "/registered-models/set-tag", Permission::kModelWrite, set_tag},
          {Method::kDelete, "/registered-models/delete-tag", Permission::kModelWrite, delete_tag},
          {Method::kPost, "/registered-models/alias", Permission::kModelWrite, set_alias},
          {Method::kDelete, "/registered-models/alias", Permission::kModelWrite, delete_alias},
          {Method::kGet, "/registered-models/alias", Permission::kModelRead, get_by_alias}};
}

}  // namespace strata::doors::mlflow
