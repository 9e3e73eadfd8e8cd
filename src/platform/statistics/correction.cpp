#include "platform/statistics/correction.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace strata::platform::statistics {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"none", "bonferroni", "holm",
                                                    "benjamini-hochberg", "benjamini-yekutieli"};

std::vector<std::size_t> order_of(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(p[i], i); });
  return order;
}

void step_down(Corrected& out, std::span<const double> p, double alpha) {
  const auto order = order_of(p);
  double highest = 0;
  double level = alpha / static_cast<double>(p.size());
  bool going = true;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto left = static_cast<double>(order.size() - k);
    highest = std::max(highest, std::min(1.0, p[order[k]] * left));
    out.p_values[order[k]] = highest;
    if (going) level = alpha / left;
    going = going && highest <= alpha;
    out.alphas[order[k]] = level;
  }
}

void step_up(Corrected& out, std::span<const double> p, double alpha, double factor) {
  const auto order = order_of(p);
  const auto size = static_cast<double>(p.size());
  double lowest = 1;
  std::size_t rejected = 0;
  for (std::size_t k = order.size(); k-- > 0;) {
    lowest = std::min(lowest, p[order[k]] * factor * size / static_cast<double>(k + 1));
    out.p_values[order[k]] = lowest;
    if (lowest <= alpha) rejected = std::max(rejected, k + 1);
  }
  const double level =
      alpha * static_cast<double>(std::max<std::size_t>(rejected, 1)) / (size * factor);
  std::ranges::fill(out.alphas, level);
}

}  // namespace

Corrected correct(Correction method, std::span<const double> p_values, double alpha) {
  Corrected out;
  out.p_values.assign(p_values.begin(), p_values.end());
  out.alphas.assign(p_values.size(), alpha);
  const auto size = static_cast<double>(p_values.size());
  if (method == Correction::kBonferroni) {
    for (double& p : out.p_values)
      p = std::min(1.0, p * size);
    std::ranges::fill(out.alphas, alpha / size);
  } else if (method == Correction::kHolm) {
    step_down(out, p_values, alpha);
  } else if (method == Correction::kHochberg) {
    step_up(out, p_values, alpha, 1);
  } else if (method == Correction::kYekutieli) {
    double harmonic = 0;
    for (std::size_t k = 1; k <= p_values.size(); ++k)
      harmonic += 1 / static_cast<double>(k);
    step_up(out, p_values, alpha, harmonic);
  }
  for (const double p : out.p_values)
    out.rejected.push_back(p <= alpha);
  return out;
}

Result<Correction> parse_correction(std::string_view text) {
  const auto at = std::ranges::find(kNames, text);
  if (at != kNames.end()) return static_cast<Correction>(at - kNames.begin());
  return invalid("correction",
                 fmt::format("correction: '{}' is none of {}", text, fmt::join(kNames, ", ")));
}

std::string_view correction_name(Correction correction) {
  return kNames[static_cast<std::size_t>(correction)];
}

}  // namespace strata::platform::statistics
