#include "platform/tracking/metric_series.hpp"

namespace strata::platform::tracking {

using kernel::Blob;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::int64_t kMaxLooseBatches = 128;
constexpr std::int64_t kMaxLoosePoints = 4096;
constexpr std::int64_t kFanIn = 8;
constexpr std::int64_t kTopLevel = 6;
constexpr std::int64_t kMaxBlockPoints = 65'536;

void sort_and_unite(std::vector<Point>& points) {
  std::sort(points.begin(), points.end(), by_step);
  points.erase(std::unique(points.begin(), points.end(), same_point), points.end());
}

Status insert_block(Writer& writer, std::string_view run_id, std::string_view key,
                    std::int64_t level, std::int64_t number, std::vector<Point>& points) {
  sort_and_unite(points);
  return writer
      .execute(
          "INSERT INTO metric_blocks (run_id, key, level, number, points, first_step, last_step, "
          "block) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          {run_id, key, level, number, static_cast<std::int64_t>(points.size()),
           points.front().step, points.back().step, Blob{encode_points(points)}})
      .and_then([](auto) { return Status(); });
}

// Joins the blocks of one key on one level into one of the next.
Status merge_level(Writer& writer, std::string_view run_id, const std::string& key,
                   std::int64_t level) {
  auto rows = writer.query(
      "SELECT number, block FROM metric_blocks WHERE run_id = ? AND key = ? AND level = ?",
      {run_id, key, level});
  if (!rows) return std::move(rows).error();
  std::vector<Point> points;
  std::int64_t newest = 0;
  for (const auto& row : *rows) {
    newest = std::max(newest, row.integer(0));
    STRATA_TRY(decode_points(row.blob(1), points));
  }
  STRATA_TRY(writer.execute("DELETE FROM metric_blocks WHERE run_id = ? AND key = ? AND level = ?",
                            {run_id, key, level}));
  return insert_block(writer, run_id, key, level + 1, newest, points);
}

Status merge_full_levels(Writer& writer, std::string_view run_id) {
  while (true) {
    auto full = writer.query(
        "SELECT key, level FROM metric_blocks WHERE run_id = ? AND level < ? GROUP BY key, level "
        "HAVING COUNT(*) >= ? AND SUM(points) <= ?",
        {run_id, kTopLevel, kFanIn, kMaxBlockPoints});
    if (!full) return std::move(full).error();
    if (full->empty()) return {};
    for (const auto& row : *full)
      STRATA_TRY(merge_level(writer, run_id, row.text(0), row.integer(1)));
  }
}

}  // namespace

Status append_points(Writer& writer, std::string_view run_id, const std::vector<Series>& series) {
  std::int64_t count = 0;
  for (const auto& [key, points] : series)
    count += static_cast<std::int64_t>(points.size());
  auto head = writer.first(
      "SELECT next_number, loose_batches, loose_points FROM metric_heads WHERE run_id = ?",
      {run_id});
  if (!head) return std::move(head).error();
  const std::int64_t number = *head ? (*head)->integer(0) : 1;
  const std::int64_t batches = (*head ? (*head)->integer(1) : 0) + 1;
  const std::int64_t points = (*head ? (*head)->integer(2) : 0) + count;
  STRATA_TRY(writer.execute("INSERT INTO metric_log (run_id, number, block) VALUES (?, ?, ?)",
                            {run_id, number, Blob{encode_series(series)}}));
  STRATA_TRY(
      writer.execute("INSERT INTO metric_heads (run_id, next_number, loose_batches, loose_points) "
                     "VALUES (?, ?, ?, ?) "
                     "ON CONFLICT (run_id) DO UPDATE SET next_number = excluded.next_number, "
                     "loose_batches = excluded.loose_batches, loose_points = excluded.loose_points",
                     {run_id, number + 1, batches, points}));
  if (batches < kMaxLooseBatches && points < kMaxLoosePoints) return {};
  return fold_points(writer, run_id);
}

Status fold_points(Writer& writer, std::string_view run_id) {
  auto loose = writer.query("SELECT number, block FROM metric_log WHERE run_id = ? ORDER BY number",
                            {run_id});
  if (!loose) return std::move(loose).error();
  if (loose->empty()) return {};
  std::map<std::string, std::vector<Point>> by_key;
  for (const auto& row : *loose) {
    std::vector<Series> batch;
    STRATA_TRY(decode_series(row.blob(1), "", batch));
    for (auto& [key, points] : batch) {
      auto& all = by_key[key];
      all.insert(all.end(), points.begin(), points.end());
    }
  }
  const std::int64_t newest = loose->back().integer(0);
  for (auto& [key, points] : by_key)
    STRATA_TRY(insert_block(writer, run_id, key, 0, newest, points));
  STRATA_TRY(writer.execute("DELETE FROM metric_log WHERE run_id = ?", {run_id}));
  STRATA_TRY(writer.execute(
      "UPDATE metric_heads SET loose_batches = 0, loose_points = 0 WHERE run_id = ?", {run_id}));
  return merge_full_levels(writer, run_id);
}

Result<std::vector<Point>> read_points(Reader& reader, std::string_view run_id,
                                       std::string_view key, std::optional<Steps> steps) {
  auto blocks =
      steps ? reader.query(
                  "SELECT block FROM metric_blocks WHERE run_id = ? AND key = ? AND last_step >= ? "
                  "AND first_step <= ?",
                  {run_id, key, steps->first, steps->last})
            : reader.query("SELECT block FROM metric_blocks WHERE run_id = ? AND key = ?",
                           {run_id, key});
  if (!blocks) return std::move(blocks).error();
  auto loose = reader.query("SELECT block FROM metric_log WHERE run_id = ?", {run_id});
  if (!loose) return std::move(loose).error();
  std::vector<Point> points;
  for (const auto& row : *blocks)
    STRATA_TRY(decode_points(row.blob(0), points));
  std::vector<Series> batches;
  for (const auto& row : *loose)
    STRATA_TRY(decode_series(row.blob(0), key, batches));
  for (const auto& [name, batch] : batches)
    points.insert(points.end(), batch.begin(), batch.end());
  if (steps) {
    std::erase_if(points,
                  [&](const Point& p) { return p.step < steps->first || p.step > steps->last; });
  }
  sort_and_unite(points);
  return points;
}

}  // namespace strata::platform::tracking
