#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/json.hpp"
#include "base/time.hpp"

namespace strata::platform::monitoring {

// How long labels take to come: of the rows that are at least so old, how many had a label within
// that time. Rows that are younger say nothing about an age, so the shares are not biased to the
// labels that come fast. Mergeable.
class Maturity {
 public:
  static constexpr std::array<std::int64_t, 12> kAges = {
      1,      10,         60,         600,         3'600,       21'600,
      86'400, 3 * 86'400, 7 * 86'400, 14 * 86'400, 30 * 86'400, 90 * 86'400};  // seconds

  // Shares of fewer rows are not believed.
  explicit Maturity(std::int64_t least_rows) : least_rows_(least_rows) {}

  // A row that was answered at `time`, whose first label came at `labelled`, seen at `now`.
  void add(Instant time, std::optional<Instant> labelled, Instant now);
  void merge(const Maturity& other);

  // The age by which nine tenths have come of the labels that come by the greatest age that can be
  // seen; nothing while too few rows are known.
  std::optional<std::int64_t> mature_after() const;
  Json to_json() const;

 private:
  std::int64_t least_rows_;
  std::array<std::int64_t, kAges.size()> rows_{}, labelled_{};
};

}  // namespace strata::platform::monitoring
