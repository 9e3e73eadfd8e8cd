#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;

namespace {

Answer create(Fields& in, const Authorized& request, Services& services) {
  platform::models::VersionDraft draft;
  draft.name = in.required("name");
  draft.source = in.required("source");
  draft.run_id = in.text("run_id");
  draft.run_link = in.text("run_link");
  draft.model_id = in.text("model_id");
  draft.description = in.text("description");
  draft.tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("model_version", version_json,
                                services.models.create_version(request.caller(), std::move(draft)));
}

Answer get(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("model_version", version_json,
                                services.models.version(request.caller(), name, version));
}

Answer update(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  const auto description = in.text("description");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "model_version", version_json,
      services.models.describe_version(request.caller(), name, version, description));
}

Answer transition_stage(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  const auto stage = in.required("stage");
  const bool archive = in.boolean("archive_existing_versions", false);
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "model_version", version_json,
      services.models.transition_stage(request.caller(), name, version, stage, archive));
}

Answer remove(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.models.delete_version(request.caller(), name, version));
}

Answer search(Fields& in, const Authorized& request, Services& services) {
  platform::models::ModelSearch search{
      in.text("filter"), in.texts("order_by"),
      in.integer("max_results").value_or(platform::models::kMaxVersionsPerPage),
      in.text("page_token")};
  STRATA_CO_TRY(in.status());
  co_return co_await page_answer(
      "model_versions", version_json,
      services.models.search_versions(request.caller(), std::move(search)));
}

Answer download_uri(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto number = in.version("version");
  STRATA_CO_TRY(in.status());
  auto version = co_await services.models.version(request.caller(), name, number);
  if (!version) co_return std::move(version).error();
  co_return Json::object({{"artifact_uri", Json(version->download_uri)}});
}

Answer set_tag(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  platform::tracking::KeyValue tag{in.required("key"), in.text("value")};
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.models.set_version_tag(request.caller(), name, version, std::move(tag)));
}

Answer delete_tag(Fields& in, const Authorized& request, Services& services) {
  const auto name = in.required("name");
  const auto version = in.version("version");
  const auto key = in.required("key");
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(
      services.models.delete_version_tag(request.caller(), name, version, key));
}

}  // namespace

std::vector<CallRow> model_version_calls() {
  return {{Method::kPost, "/model-versions/create", Permission::kModelWrite, create},
          {Method::kGet, "/model-versions/get", Permission::kModelRead, get},
          {Method::kPatch, "/model-versions/update", Permission::kModelWrite, update},
          {Method::kPost, "/model-versions/transition-stage", Permission::kModelWrite,
           transition_stage},
          {Method::kDelete, "/model-versions/delete", Permission::kModelWrite, remove},
          {Method::kGet, "/model-versions/search", Permission::kModelRead, search},
          {Method::kGet, "/model-versions/get-download-uri", Permission::kModelRead, download_uri},
          {Method::kPost, "/model-versions/set-tag", Permission::kModelWrite, set_tag},
          {Method::kDelete, "/model-versions/delete-tag", Permission::kModelWrite, delete_tag}};
}

}  // namespace strata::doors::mlflow
