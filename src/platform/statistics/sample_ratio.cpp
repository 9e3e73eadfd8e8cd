#include "platform/statistics/sample_ratio.hpp"

#include <algorithm>
#include <cmath>

#include "platform/statistics/distributions.hpp"

namespace strata::platform::statistics {

namespace {

constexpr double kConcentration = 100;

double total_weight(std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights)
    sum += weight;
  return sum;
}

}  // namespace

SampleRatio sample_ratio(std::span<const double> counts, std::span<const double> weights) {
  SampleRatio out;
  double arms = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    (weights[i] > 0 ? out.total : out.misplaced) += counts[i];
    if (weights[i] > 0) ++arms;
  }
  if (arms < 2 || out.total == 0) return out;
  const double all = total_weight(weights);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (weights[i] == 0) continue;
    const double expected = out.total * weights[i] / all;
    out.statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  out.degrees = arms - 1;
  out.p_value = chi_squared_tail(out.statistic, out.degrees);
  return out;
}

SampleRatio sequential_sample_ratio(std::span<const double> counts,
                                    std::span<const double> weights) {
  SampleRatio out = sample_ratio(counts, weights);
  if (out.degrees == 0) return out;
  const double all = total_weight(weights);
  double evidence = std::lgamma(kConcentration) - std::lgamma(kConcentration + out.total);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (weights[i] == 0) continue;
    const double share = weights[i] / all;
    evidence += std::lgamma(kConcentration * share + counts[i]) -
                std::lgamma(kConcentration * share) - counts[i] * std::log(share);
  }
  out.p_value = std::min(1.0, std::exp(-evidence));
  return out;
}

}  // namespace strata::platform::statistics
