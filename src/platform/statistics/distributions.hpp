#pragma once

namespace strata::platform::statistics {

// Tails and quantiles of the distributions that the tests need, by Boost.Math. A tail is always
// computed as itself and never as 1 - cdf, which is 0 where the tail is below 1e-16. All are NaN
// for arguments without meaning.

double normal_density(double z);
// P(Z > z).
double normal_tail(double z);
// The z with P(Z > z) = p.
double normal_tail_quantile(double p);
// P(T > t) with `degrees` of freedom; the normal one for infinitely many.
double student_tail(double t, double degrees);
double student_tail_quantile(double p, double degrees);
// P(X > x) of chi-squared.
double chi_squared_tail(double x, double degrees);

}  // namespace strata::platform::statistics
