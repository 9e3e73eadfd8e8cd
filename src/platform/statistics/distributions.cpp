#include "platform/statistics/distributions.hpp"

#include <cmath>
#include <limits>

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace strata::platform::statistics {

namespace {

namespace policies = boost::math::policies;

// Nothing throws: what has no value is NaN, what overflows is infinite. No value is first rounded
// to an 80-bit one, so that results are the same on every machine.
using Quiet = policies::policy<
    policies::domain_error<policies::ignore_error>, policies::pole_error<policies::ignore_error>,
    policies::overflow_error<policies::ignore_error>,
    policies::evaluation_error<policies::ignore_error>, policies::promote_double<false>>;
using Normal = boost::math::normal_distribution<double, Quiet>;
using Student = boost::math::students_t_distribution<double, Quiet>;
using ChiSquared = boost::math::chi_squared_distribution<double, Quiet>;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool is_probability(double p) {
  return p > 0 && p < 1;
}

}  // namespace

double normal_density(double z) {
  return std::isnan(z) ? kNone : std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
}

double normal_tail(double z) {
  return std::erfc(z / M_SQRT2) / 2;
}

double normal_tail_quantile(double p) {
  return is_probability(p) ? quantile(complement(Normal(), p)) : kNone;
}

double student_tail(double t, double degrees) {
  if (std::isnan(t) || !(degrees > 0)) return kNone;
  if (std::isinf(degrees)) return normal_tail(t);
  return cdf(complement(Student(degrees), t));
}

double student_tail_quantile(double p, double degrees) {
  if (!is_probability(p) || !(degrees > 0)) return kNone;
  if (std::isinf(degrees)) return normal_tail_quantile(p);
  return quantile(complement(Student(degrees), p));
}

double chi_squared_tail(double x, double degrees) {
  if (!(x >= 0) || !(degrees > 0)) return kNone;
  return cdf(complement(ChiSquared(degrees), x));
}

}  // namespace strata::platform::statistics
