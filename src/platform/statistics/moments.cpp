#include "platform/statistics/moments.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace strata::platform::statistics {

namespace {

// What rounding may make of a correlation of 1.
constexpr double kRounding = 1e-9;

Status check_pair(double a, double b, double covariance, double transposed) {
  if (covariance != transposed) {
    return invalid("covariance", fmt::format("covariance: must be symmetric, but has {} and {} for "
                                             "one pair",
                                             covariance, transposed));
  }
  if (std::abs(covariance) <= std::sqrt(a) * std::sqrt(b) * (1 + kRounding)) return {};
  return invalid(
      "covariance",
      fmt::format("covariance: {} is more than variances of {} and {} allow", covariance, a, b));
}

}  // namespace

Moments::Moments(int dimension) : dimension_(dimension) {}

Result<Moments> Moments::from(double count, std::span<const double> mean,
                              std::span<const double> covariance) {
  const std::size_t size = mean.size();
  if (size == 0 || size > kMaxDimension || covariance.size() != size * size) {
    return invalid("mean", fmt::format("mean: takes 1 to {} numbers, and covariance their square",
                                       kMaxDimension));
  }
  if (!(count >= 0 && count <= 0x1p53) || count != std::floor(count)) {
    return invalid("n", fmt::format("n: {} is no count of units", count));
  }
  Moments out(static_cast<int>(size));
  out.count_ = count;
  for (std::size_t i = 0; i < size; ++i) {
    const double variance = covariance[i * size + i];
    if (!std::isfinite(mean[i])) return invalid("mean", "mean: must be finite");
    if (!std::isfinite(variance) || variance < 0) {
      return invalid("variance", fmt::format("variance: {} is negative or not finite; sums of "
                                             "squares cancel, VAR_SAMP does not",
                                             variance));
    }
    out.high_[i] = mean[i];
    for (std::size_t j = 0; j < size; ++j) {
      STRATA_TRY(check_pair(variance, covariance[j * size + j], covariance[i * size + j],
                            covariance[j * size + i]));
      out.co_[i * kMaxDimension + j] = covariance[i * size + j] * std::max(0.0, count - 1);
    }
  }
  return out;
}

// Adds to a mean of two doubles without losing what the first cannot hold (Knuth's two-sum).
void Moments::move_mean(std::size_t i, double by) {
  by += low_[i];
  const double sum = high_[i] + by;
  const double back = sum - high_[i];
  low_[i] = (high_[i] - (sum - back)) + (by - back);
  high_[i] = sum;
}

void Moments::add(std::span<const double> values) {
  const auto size = at(dimension_);
  std::array<double, kMaxDimension> delta{};
  for (std::size_t i = 0; i < size; ++i)
    delta[i] = (values[i] - high_[i]) - low_[i];
  const double before = count_;
  count_ += 1;
  for (std::size_t i = 0; i < size; ++i) {
    move_mean(i, delta[i] / count_);
    for (std::size_t j = 0; j < size; ++j)
      co_[i * kMaxDimension + j] += delta[i] * delta[j] * (before / count_);
  }
}

void Moments::merge(const Moments& other) {
  if (other.count_ == 0) return;
  if (count_ == 0) {
    *this = other;
    return;
  }
  const auto size = at(dimension_);
  std::array<double, kMaxDimension> delta{};
  for (std::size_t i = 0; i < size; ++i)
    delta[i] = (other.high_[i] - high_[i]) + (other.low_[i] - low_[i]);
  const double total = count_ + other.count_;
  const double weight = count_ * (other.count_ / total);
  for (std::size_t i = 0; i < size; ++i) {
    move_mean(i, delta[i] * (other.count_ / total));
    for (std::size_t j = 0; j < size; ++j)
      co_[i * kMaxDimension + j] += other.co_[i * kMaxDimension + j] + delta[i] * delta[j] * weight;
  }
  count_ = total;
}

double Moments::covariance(int i, int j) const {
  if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
  return co_moment(i, j) / (count_ - 1);
}

}  // namespace strata::platform::statistics
