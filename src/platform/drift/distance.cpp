#include <algorithm>
#include <cmath>
#include <numeric>

#include "platform/drift/drift.hpp"
#include "platform/statistics/distributions.hpp"

namespace strata::platform::drift {

namespace {

constexpr double kLeastExpected = 5;  // in a cell of Pearson's test, as Cochran (1954) advises

std::vector<double> shares(std::span<const double> counts) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  std::vector<double> out(counts.begin(), counts.end());
  for (double& value : out)
    value /= total;
  return out;
}

// All bins of a profile, and one for what is missing.
std::vector<double> cells_of(const Profile& profile) {
  std::vector<double> cells;
  for (const auto count : profile.counts())
    cells.push_back(static_cast<double>(count));
  cells.push_back(static_cast<double>(profile.missing()));
  return cells;
}

// Joins neighbours until each cell expects enough on both sides. What is left over at the end joins
// the last cell.
void test_homogeneity(std::span<const double> reference, std::span<const double> current,
                      Distance& out) {
  const double n = std::accumulate(reference.begin(), reference.end(), 0.0);
  const double m = std::accumulate(current.begin(), current.end(), 0.0);
  const double smaller = std::min(n, m) / (n + m);
  std::vector<std::pair<double, double>> cells;
  std::pair<double, double> open;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    open.first += reference[i];
    open.second += current[i];
    if ((open.first + open.second) * smaller < kLeastExpected) continue;
    cells.push_back(std::exchange(open, {}));
  }
  if (open.first + open.second > 0) {
    if (cells.empty()) return;
    cells.back().first += open.first;
    cells.back().second += open.second;
  }
  if (cells.size() < 2) return;
  for (const auto& [r, c] : cells) {
    const double expected_r = (r + c) * n / (n + m);
    const double expected_c = (r + c) * m / (n + m);
    out.chi_squared += (r - expected_r) * (r - expected_r) / expected_r;
    out.chi_squared += (c - expected_c) * (c - expected_c) / expected_c;
  }
  out.degrees = static_cast<double>(cells.size() - 1);
  out.p_value = statistics::chi_squared_tail(out.chi_squared, out.degrees);
}

// The integral of |a + (b - a) x| over x from 0 to 1.
double area_between(double a, double b) {
  if ((a >= 0) == (b >= 0)) return (std::abs(a) + std::abs(b)) / 2;
  return (a * a + b * b) / (2 * (std::abs(a) + std::abs(b)));
}

void compare_functions(const Profile& reference, const Profile& current, Distance& out) {
  const auto edges = reference.bins().edges();
  const auto n = static_cast<double>(reference.present());
  const auto m = static_cast<double>(current.present());
  if (n == 0 || m == 0) return;
  // Where the outermost bins end: at the extreme values of both sides.
  std::vector<double> ends;
  ends.push_back(std::min({reference.least(), current.least(), edges.front()}));
  ends.insert(ends.end(), edges.begin(), edges.end());
  ends.push_back(std::max({reference.greatest(), current.greatest(), edges.back()}));
  double gap = 0;  // of the distribution functions so far
  double greatest = 0;
  double area = 0;
  for (std::size_t bin = 0; bin < reference.counts().size(); ++bin) {
    const double before = gap;
    gap += static_cast<double>(current.counts()[bin]) / m -
           static_cast<double>(reference.counts()[bin]) / n;
    greatest = std::max(greatest, std::abs(gap));
    area += (ends[bin + 1] - ends[bin]) * area_between(before, gap);
  }
  out.kolmogorov_smirnov = std::min(1.0, greatest);
  const auto& moments = reference.moments();
  const double deviation = moments.count() > 1 ? std::sqrt(moments.variance(0)) : 0;
  if (deviation > 0 && std::isfinite(area)) out.wasserstein = area / deviation;
}

double unseen_share(const Profile& current) {
  const auto counts = current.counts();
  auto unseen = counts.back();
  if (current.bins().kind() == Kind::kNumber) unseen += counts.front();
  return static_cast<double>(unseen) / static_cast<double>(current.total());
}

// P(K > x) of Kolmogorov's limit distribution.
double kolmogorov_tail(double x) {
  if (x < 0.2) return 1;  // below 1e-12 from it
  if (x < 1) {
    // The other form of the series, which converges fast for small x.
    const double t = std::exp(-M_PI * M_PI / (8 * x * x));
    double sum = 0;
    for (int k = 1; k <= 19; k += 2)
      sum += std::pow(t, k * k);
    return 1 - std::sqrt(2 * M_PI) / x * sum;
  }
  double sum = 0;
  for (int k = 1; k <= 20; ++k)
    sum += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return std::clamp(sum, 0.0, 1.0);
}

}  // namespace

double psi(std::span<const double> reference, std::span<const double> current) {
  const auto r = shares(reference);
  const auto c = shares(current);
  double sum = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    const double before = std::max(r[i], kLeastShare);
    const double now = std::max(c[i], kLeastShare);
    if (r[i] > 0 || c[i] > 0) sum += (now - before) * std::log(now / before);
  }
  return sum;
}

double jensen_shannon(std::span<const double> reference, std::span<const double> current) {
  const auto r = shares(reference);
  const auto c = shares(current);
  double sum = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    const double middle = (r[i] + c[i]) / 2;
    if (r[i] > 0) sum += r[i] * std::log(r[i] / middle);
    if (c[i] > 0) sum += c[i] * std::log(c[i] / middle);
  }
  return std::sqrt(std::max(0.0, sum / 2));
}

Distance distance(const Profile& reference, const Profile& current) {
  Distance out;
  out.reference = reference.total();
  out.current = current.total();
  if (out.reference == 0 || out.current == 0) {
    out.reason = out.current == 0 ? "no values in the window" : "no values in the reference";
    return out;
  }
  out.defined = true;
  const auto r = cells_of(reference);
  const auto c = cells_of(current);
  out.psi = psi(r, c);
  out.jensen_shannon = jensen_shannon(r, c);
  test_homogeneity(r, c, out);
  if (reference.bins().kind() == Kind::kNumber) compare_functions(reference, current, out);
  out.missing_before =
      static_cast<double>(reference.missing()) / static_cast<double>(reference.total());
  out.missing_now = static_cast<double>(current.missing()) / static_cast<double>(current.total());
  out.unseen = unseen_share(current);
  return out;
}

SampleDistance sample_distance(std::vector<double> reference, std::vector<double> current) {
  SampleDistance out;
  if (reference.empty() || current.empty()) return out;
  std::sort(reference.begin(), reference.end());
  std::sort(current.begin(), current.end());
  const auto n = static_cast<double>(reference.size());
  const auto m = static_cast<double>(current.size());
  std::size_t i = 0;
  std::size_t j = 0;
  double before = std::min(reference.front(), current.front());
  double gap = 0;
  while (i < reference.size() || j < current.size()) {
    const bool from_reference =
        j == current.size() || (i < reference.size() && reference[i] <= current[j]);
    const double value = from_reference ? reference[i] : current[j];
    out.wasserstein += std::abs(gap) * (value - before);
    while (i < reference.size() && reference[i] == value)
      ++i;
    while (j < current.size() && current[j] == value)
      ++j;
    gap = static_cast<double>(i) / n - static_cast<double>(j) / m;
    out.kolmogorov_smirnov = std::max(out.kolmogorov_smirnov, std::abs(gap));
    before = value;
  }
  out.p_value = kolmogorov_tail(std::sqrt(n * m / (n + m)) * out.kolmogorov_smirnov);
  return out;
}

}  // namespace strata::platform::drift
