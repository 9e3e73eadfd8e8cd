#include "doors/mlflow/answers.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using kernel::Permission;
using platform::tracking::Metric;
using platform::tracking::Tracking;

namespace {

constexpr std::int64_t kMaxSample = 2500;
constexpr std::int64_t kMaxBulk = 25'000;

Answer get_history(Fields& in, const Authorized& request, Services& services) {
  const auto run_id = in.run_id();
  const auto key = in.required("metric_key");
  const auto max_results = in.integer("max_results");
  const auto token = in.text("page_token");
  STRATA_CO_TRY(in.status());
  const auto encode = [](const Metric& m) {
    return metric_json(m, false);
  };
  co_return co_await page_answer(
      "metrics", encode,
      services.tracking.metric_history(request.caller(), run_id, key, max_results, token));
}

Answer sample(Fields& in, const Authorized& request, Services& services,
              std::vector<std::string> run_ids, std::optional<Tracking::StepRange> range,
              std::int64_t max_points) {
  const auto key = in.required("metric_key");
  STRATA_CO_TRY(in.status());
  auto points = co_await services.tracking.sample_history(request.caller(), std::move(run_ids), key,
                                                          range, max_points);
  if (!points) co_return std::move(points).error();
  co_return Json::object(
      {{"metrics", list_json(*points, [](const Metric& m) { return metric_json(m, true); })}});
}

Answer get_history_bulk_interval(Fields& in, const Authorized& request, Services& services) {
  const auto first = in.integer("start_step");
  const auto last = in.integer("end_step");
  const auto max_points = in.integer("max_results").value_or(kMaxSample);
  if (first.has_value() != last.has_value()) {
    in.fail(invalid("end_step",
                    "If either start step or end step are specified, both must be specified."));
  }
  if (max_points < 1 || max_points > kMaxSample) {
    in.fail(
        invalid("max_results", fmt::format("max_results must be between 1 and {}.", kMaxSample)));
  }
  std::optional<Tracking::StepRange> range;
  if (first && last) range = Tracking::StepRange{*first, *last};
  co_return co_await sample(in, request, services, in.texts("run_ids"), range, max_points);
}

Answer get_history_bulk(Fields& in, const Authorized& request, Services& services) {
  const auto max_points = std::min(in.integer("max_results").value_or(kMaxBulk), kMaxBulk);
  co_return co_await sample(in, request, services, in.texts("run_id"), std::nullopt, max_points);
}

}  // namespace

std::vector<CallRow> metric_calls() {
  return {{Method::kGet, "/metrics/get-history", Permission::kTrackingRead, get_history},
          {Method::kGet, "/metrics/get-history-bulk-interval", Permission::kTrackingRead,
           get_history_bulk_interval},
          {Method::kGet, "/metrics/get-history-bulk", Permission::kTrackingRead, get_history_bulk}};
}

}  // namespace strata::doors::mlflow
