#pragma once

// Drift: how far the values of a window lie from those of a reference.
//
// Promises: pure and exact. A Profile counts values in bins that its reference fixed once, so that
// figures of different days compare, and merging profiles in any order gives the same counts. What
// cannot be said is undefined with a reason, never NaN: no values, a constant, one side empty. A
// value that the reference never had (a new category, beyond its range, missing) has a bin of its
// own. Owns nothing. Cost: add() is a binary search among at most kMaxBins edges.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/statistics/moments.hpp"

namespace strata::platform::drift {

inline constexpr std::size_t kMaxBins = 32;         // of numbers, before the two beyond the range
inline constexpr std::size_t kMaxCategories = 100;  // before the one for all others
// A bin's share counts as at least this much where a logarithm is taken of it.
inline constexpr double kLeastShare = 1e-4;

enum class Kind : std::uint8_t { kNumber, kCategory };

// How values are counted, fixed by a reference. Of numbers: bin i holds (edges[i-1], edges[i]], the
// first all that is below the reference's least value and the last all that is above its greatest.
// Of texts: one bin for each category, the most frequent first, and one for all others.
class Bins {
 public:
  // Bins of about equal mass, or one for each value where there are few. Values that are not finite
  // are passed over. Errors: kInvalidArgument when none is left.
  static Result<Bins> of_numbers(std::vector<double> values);
  static Result<Bins> of_texts(std::span<const std::string> values);
  static Result<Bins> from_json(const Json& json);
  Json to_json() const;

  Kind kind() const { return kind_; }
  std::size_t size() const;
  std::size_t index(double value) const;  // of numbers; not for NaN
  std::size_t index(std::string_view value) const;
  // "(1, 2.5]", "above 9", "AA", "others", for people.
  std::string label(std::size_t bin) const;
  std::span<const double> edges() const { return edges_; }
  bool operator==(const Bins& other) const {
    return kind_ == other.kind_ && edges_ == other.edges_ && categories_ == other.categories_;
  }

 private:
  Kind kind_ = Kind::kNumber;
  std::vector<double> edges_;
  std::vector<std::string> categories_;
  std::map<std::string, std::size_t, std::less<>> places_;
};

// The values of one feature in one window.
class Profile {
 public:
  explicit Profile(std::shared_ptr<const Bins> bins);
  static Result<Profile> from_json(std::shared_ptr<const Bins> bins, const Json& json);
  Json to_json() const;

  void add(double value);  // NaN is missing
  void add(std::string_view value);
  void add_missing() { ++missing_; }
  // `other` must count in equal bins.
  void merge(const Profile& other);

  const Bins& bins() const { return *bins_; }
  const std::shared_ptr<const Bins>& shared_bins() const { return bins_; }
  std::span<const std::uint64_t> counts() const { return counts_; }
  std::uint64_t missing() const { return missing_; }
  std::uint64_t present() const { return present_; }
  std::uint64_t total() const { return present_ + missing_; }
  // Of finite numbers.
  const statistics::Moments& moments() const { return moments_; }
  double least() const { return least_; }
  double greatest() const { return greatest_; }

 private:
  std::shared_ptr<const Bins> bins_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t missing_ = 0;
  std::uint64_t present_ = 0;
  statistics::Moments moments_{1};
  double least_ = 0, greatest_ = 0;  // of all numbers; 0 without any
};

// Measures of distance between two profiles of one feature. Shares are over all values, missing
// ones with a bin of their own.
struct Distance {
  std::uint64_t reference = 0, current = 0;  // values on each side, missing ones included
  bool defined = false;
  std::string reason;  // why not: "no values in the window"
  // Population stability index, sum of (c - r) ln(c / r).
  double psi = 0;
  // Jensen-Shannon distance, natural logarithm: 0 to sqrt(ln 2).
  double jensen_shannon = 0;
  // Pearson's test of homogeneity; bins that expect fewer than five are joined.
  double chi_squared = 0, degrees = 0, p_value = 1;
  // Of numbers only. The greatest distance of the two distribution functions at an edge: between
  // edges it may be larger by the mass of one bin.
  std::optional<double> kolmogorov_smirnov;
  // Of numbers only: the area between the two distribution functions, with values spread evenly in
  // their bin, over the reference's standard deviation.
  std::optional<double> wasserstein;
  double missing_before = 0, missing_now = 0;  // shares
  double unseen = 0;                           // share of values that the reference has no bin for
};

// Both must count in equal bins.
Distance distance(const Profile& reference, const Profile& current);

// The same measures of counts in the same bins: for those who have counts only.
double psi(std::span<const double> reference, std::span<const double> current);
double jensen_shannon(std::span<const double> reference, std::span<const double> current);

// Exact measures of two samples of numbers without NaN, for reports that read all values. Sorts
// copies.
struct SampleDistance {
  double kolmogorov_smirnov = 0;
  double p_value = 1;      // the limit distribution of Kolmogorov, for n m / (n + m)
  double wasserstein = 0;  // in units of the values
};
SampleDistance sample_distance(std::vector<double> reference, std::vector<double> current);

}  // namespace strata::platform::drift
