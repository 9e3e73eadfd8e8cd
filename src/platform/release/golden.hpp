#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/release/gates.hpp"
#include "platform/release/machine.hpp"
#include "wire/sql_engine.hpp"

namespace strata::platform::release {

// A golden set is read whole.
inline constexpr std::size_t kMostGolden = 20'000;
// Slices with fewer rows are shown and not judged.
inline constexpr std::size_t kFewOfSlice = 30;

// Rows of a golden set as SQL gave them.
struct GoldenRows {
  std::vector<wire::sql_engine::ColumnInfo> columns;
  Json rows;  // arrays of values, in the order of the columns
};

// Errors: kInvalidArgument naming label or slice for a column that is not there.
Status check_columns(const Golden& golden, std::span<const wire::sql_engine::ColumnInfo> columns);

// What each answer is off by, smaller is better. `metric` is absolute_error, squared_error,
// log_loss or brier (labels 0 and 1, answers probabilities) or error_rate (labels are classes; a
// probability is one by 0.5); empty takes what fits labels and answers, and is set to that. Errors:
// kInvalidArgument for labels or answers that the metric does not take, naming the row.
Result<std::vector<double>> losses(std::string& metric, std::span<const wire::Tensor> answers,
                                   std::span<const Json> labels);

// The loss of each row by both versions, and for each slicing column the value of each row.
struct Judged {
  std::string metric;
  std::vector<double> live, candidate;
  std::vector<std::vector<std::string>> slices;
  std::size_t left_out = 0;  // without a label
};

// Compares the losses in pairs, over all rows and in each slice, with intervals by Student's t of
// 95 % (Bonferroni over the slices). Fails where the candidate is certainly worse, and by more than
// the margin of the live version's mean loss; warns where that cannot be ruled out.
GateResult check_golden(const Golden& golden, const Judged& judged);

// Asks both versions all rows. Blocks. Never fails as such: what goes wrong is the gate's verdict.
GateResult ask_golden(const Golden& golden, const GoldenRows& rows,
                      const deployment::LiveModel& live, const deployment::LiveModel& candidate,
                      const std::stop_token& stop);

}  // namespace strata::platform::release
