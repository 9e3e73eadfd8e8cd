#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/tracking/metric_series.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::Reader;

namespace {

Metric metric_of(const Point& point, const std::string& key, const std::string& run_id) {
  Metric metric;
  metric.key = key;
  metric.value = point.value;
  metric.timestamp_ms = point.timestamp_ms;
  metric.step = point.step;
  metric.run_id = run_id;
  return metric;
}

// Points only ever join a history, mostly at its end, so a place in it is a good enough page token.
Result<std::size_t> read_place(std::string_view token) {
  if (token.empty()) return std::size_t{0};
  const auto text = from_base64(token);
  const auto place = text ? to_int(*text) : std::nullopt;
  if (place && *place > 0) return static_cast<std::size_t>(*place);
  return invalid("page_token", "Invalid page token: it is damaged. Start again without a token");
}

std::vector<Point> spread(const std::vector<Point>& points, std::size_t count) {
  if (points.size() <= count) return points;
  if (count == 1) return {points.back()};
  std::vector<Point> chosen;
  chosen.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    chosen.push_back(points[(i * (points.size() - 1) + (count - 1) / 2) / (count - 1)]);
  }
  return chosen;
}

}  // namespace

Task<Result<Page<Metric>>> Tracking::metric_history(const Caller& caller, std::string run_id,
                                                    std::string key,
                                                    std::optional<std::int64_t> max_results,
                                                    std::string page_token) {
  if (max_results && *max_results < 1)
    co_return invalid("max_results", "Invalid value for 'max_results': it must be positive");
  auto place = read_place(page_token);
  if (!place) co_return std::move(place).error();
  auto load = [&](Reader& reader) -> Result<Page<Metric>> {
    auto run = load_run_info(reader, caller.project, run_id);
    if (!run) return std::move(run).error();
    auto points = read_points(reader, run_id, key);
    if (!points) return std::move(points).error();
    std::sort(points->begin(), points->end(), by_time);
    Page<Metric> page;
    std::size_t end = points->size();
    if (max_results && end > *place + static_cast<std::size_t>(*max_results)) {
      end = *place + static_cast<std::size_t>(*max_results);
      page.next_page_token = to_base64url(std::to_string(end));
    }
    for (std::size_t i = *place; i < end; ++i)
      page.items.push_back(metric_of((*points)[i], key, run_id));
    return page;
  };
  co_return co_await records_.read(load);
}

Task<Result<std::vector<Metric>>> Tracking::sample_history(const Caller& caller,
                                                           std::vector<std::string> run_ids,
                                                           std::string key,
                                                           std::optional<StepRange> range,
                                                           std::int64_t max_points) {
  if (run_ids.empty() || run_ids.size() > kMaxRunsPerHistory) {
    co_return invalid("run_ids",
                      fmt::format("The request must specify 1 to {} run_ids. Received {} run_ids.",
                                  kMaxRunsPerHistory, run_ids.size()));
  }
  if (range && range->first > range->last) {
    co_return invalid(
        "end_step",
        fmt::format(
            "end_step must be greater than start_step. Found start_step={} and end_step={}.",
            range->first, range->last));
  }
  auto load = [&](Reader& reader) -> Result<std::vector<Metric>> {
    std::vector<Metric> found;
    for (const auto& id : run_ids) {
      auto run = load_run_info(reader, caller.project, id);
      if (!run) return std::move(run).error();
      std::optional<Steps> steps;
      if (range) steps = Steps{range->first, range->last};
      auto points = read_points(reader, id, key, steps);
      if (!points) return std::move(points).error();
      for (const auto& point :
           spread(*points, static_cast<std::size_t>(std::max<std::int64_t>(1, max_points)))) {
        found.push_back(metric_of(point, key, id));
      }
    }
    return found;
  };
  co_return co_await records_.read(load);
}

}  // namespace strata::platform::tracking
