#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;

namespace {

// Enums come by name or by number.
std::optional<std::string> status_of(Fields& in) {
  if (!in.has("status")) return std::nullopt;
  static constexpr std::array<std::string_view, 5> kByNumber = {"RUNNING", "SCHEDULED", "FINISHED",
                                                                "FAILED", "KILLED"};
  Fields probe = in;
  if (const auto number = probe.integer("status");
      number && probe.status() && *number >= 1 && *number <= 5) {
    return std::string(kByNumber[static_cast<std::size_t>(*number - 1)]);
  }
  return in.text("status");
}

Answer create(Fields& in, const Authorized& request, Services& services) {
  platform::tracking::RunDraft draft;
  draft.experiment_id = in.text("experiment_id");
  draft.user_id = in.text("user_id");
  draft.name = in.text("run_name");
  draft.start_ms = in.integer("start_time");
  draft.tags = in.pairs("tags");
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("run", run_json,
                                services.tracking.create_run(request.caller(), std::move(draft)));
}

Answer get(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.run_id();
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer("run", run_json, services.tracking.run(request.caller(), id));
}

Answer update(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.run_id();
  platform::tracking::RunUpdate update{status_of(in), in.integer("end_time"), in.text("run_name")};
  STRATA_CO_TRY(in.status());
  co_return co_await one_answer(
      "run_info", run_info_json,
      services.tracking.update_run(request.caller(), id, std::move(update)));
}

Answer remove(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.run_id();
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.delete_run(request.caller(), id));
}

Answer restore(Fields& in, const Authorized& request, Services& services) {
  const auto id = in.run_id();
  STRATA_CO_TRY(in.status());
  co_return co_await empty_answer(services.tracking.restore_run(request.caller(), id));
}

Answer search(Fields& in, const Authorized& request, Services& services) {
  platform::tracking::SearchRequest search;
  search.experiment_ids = in.texts("experiment_ids");
  search.filter = in.text("filter");
  search.order_by = in.texts("order_by");
  search.view = in.view("run_view_type");
  search.max_results = in.integer("max_results").value_or(1000);
  search.page_token = in.text("page_token");
  STRATA_CO_TRY(in.status());
  co_return co_await page_answer(
      "runs", run_json, services.tracking.search_runs(request.caller(), std::move(search)));
}

}  // namespace

std::vector<CallRow> run_calls() {
  return {{Method::kPost, "/runs/create", Permission::kTrackingWrite, create},
          {Method::kGet, "/runs/get", Permission::kTrackingRead, get},
          {Method::kPost, "/runs/update", Permission::kTrackingWrite, update},
          {Method::kPost, "/runs/delete", Permission::kTrackingWrite, remove},
          {Method::kPost, "/runs/restore", Permission::kTrackingWrite, restore},
          {Method::kPost, "/runs/search", Permission::kTrackingRead, search}};
}

}  // namespace strata::doors::mlflow
