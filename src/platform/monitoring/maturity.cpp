#include "platform/monitoring/maturity.hpp"

namespace strata::platform::monitoring {

namespace {

constexpr double kMature = 0.9;

}  // namespace

void Maturity::add(Instant time, std::optional<Instant> labelled, Instant now) {
  for (std::size_t at = 0; at < kAges.size(); ++at) {
    const std::chrono::seconds age(kAges[at]);
    if (now - time < age) return;
    ++rows_[at];
    if (labelled && *labelled - time <= age) ++labelled_[at];
  }
}

void Maturity::merge(const Maturity& other) {
  for (std::size_t at = 0; at < kAges.size(); ++at) {
    rows_[at] += other.rows_[at];
    labelled_[at] += other.labelled_[at];
  }
}

std::optional<std::int64_t> Maturity::mature_after() const {
  std::optional<double> most;
  for (std::size_t at = 0; at < kAges.size(); ++at) {
    if (rows_[at] >= least_rows_)
      most = static_cast<double>(labelled_[at]) / static_cast<double>(rows_[at]);
  }
  if (!most || *most == 0) return std::nullopt;
  for (std::size_t at = 0; at < kAges.size(); ++at) {
    if (rows_[at] < least_rows_) continue;
    const double share = static_cast<double>(labelled_[at]) / static_cast<double>(rows_[at]);
    if (share >= kMature * *most) return kAges[at];
  }
  return std::nullopt;
}

Json Maturity::to_json() const {
  Json out = Json::array();
  for (std::size_t at = 0; at < kAges.size(); ++at) {
    if (rows_[at] == 0) break;
    out.push(Json::object(
        {{"age_s", kAges[at]},
         {"rows", rows_[at]},
         {"labelled", labelled_[at]},
         {"share", static_cast<double>(labelled_[at]) / static_cast<double>(rows_[at])}}));
  }
  return out;
}

}  // namespace strata::platform::monitoring
