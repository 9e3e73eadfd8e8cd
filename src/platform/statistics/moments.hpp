#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace strata::platform::statistics {

// Count, means and co-moments of up to four quantities of the same units: all that the tests of
// means, ratios and CUPED need, and mergeable, so any window or shard is a sum of others.
//
// Never made from sums of squares, which cancel: adding follows Welford (1962), merging Chan, Golub
// and LeVeque (1979), and each mean is kept in two doubles, so that values far from zero with a
// small spread (times since the epoch) lose nothing. Merging in any order gives the same means and
// covariances within a relative error of about n * 2^-52, and not the same bits.
class Moments {
 public:
  static constexpr int kMaxDimension = 4;

  // Of no units. `dimension` is from 1 to kMaxDimension.
  explicit Moments(int dimension);
  // From what a warehouse gives: AVG, VAR_SAMP and COVAR_SAMP. `covariance` has dimension^2 values
  // by rows. Errors: kInvalidArgument when a number is not finite, a variance is negative, the
  // matrix is not symmetric, or a covariance is more than its variances allow.
  static Result<Moments> from(double count, std::span<const double> mean,
                              std::span<const double> covariance);

  void add(std::span<const double> values);
  void add(double value) { add(std::span(&value, 1)); }
  // `other` must have the same dimension.
  void merge(const Moments& other);

  int dimension() const { return dimension_; }
  double count() const { return count_; }
  double mean(int i) const { return high_[at(i)] + low_[at(i)]; }
  // The sum over all units of the products of what they deviate from the means.
  double co_moment(int i, int j) const { return co_[at(i) * kMaxDimension + at(j)]; }
  // Of a sample: over count - 1; NaN for fewer than two units.
  double covariance(int i, int j) const;
  double variance(int i) const { return covariance(i, i); }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  void move_mean(std::size_t i, double by);

  int dimension_;
  double count_ = 0;
  std::array<double, kMaxDimension> high_{};
  std::array<double, kMaxDimension> low_{};
  std::array<double, kMaxDimension * kMaxDimension> co_{};
};

}  // namespace strata::platform::statistics
