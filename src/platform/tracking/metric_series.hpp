#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/records/records.hpp"
#include "platform/tracking/metric_block.hpp"

namespace strata::platform::tracking {

// The points of a run, as a log-structured merge in records: each batch is one row with all its
// keys; when enough loose batches stand there they are folded into one block per key, and eight
// blocks of a level into one of the next. So writing a batch costs O(batch) amortised, and the
// history of one key lies in a few dozen rows, however many points it has.

// Adds one batch. The same points may come again: reading drops repetitions.
Status append_points(kernel::Writer& writer, std::string_view run_id,
                     const std::vector<Series>& series);
// Folds whatever lies loose, for a run that has ended.
Status fold_points(kernel::Writer& writer, std::string_view run_id);
struct Steps {
  std::int64_t first;
  std::int64_t last;
};
// All points of `key`, without repetition and in no promised order; within `steps` when given.
// Errors: kDataLoss.
Result<std::vector<Point>> read_points(kernel::Reader& reader, std::string_view run_id,
                                       std::string_view key, std::optional<Steps> steps = {});

}  // namespace strata::platform::tracking
