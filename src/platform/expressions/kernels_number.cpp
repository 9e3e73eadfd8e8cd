// Arithmetic, casts between numbers, and hashes.

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "platform/expressions/kernel_forms.hpp"

namespace strata::platform::expressions {

namespace {

using Int = std::int64_t;

bool add_i64(Arena&, Int& out, Int a, Int b) {
  return !__builtin_add_overflow(a, b, &out);
}
bool sub_i64(Arena&, Int& out, Int a, Int b) {
  return !__builtin_sub_overflow(a, b, &out);
}
bool mul_i64(Arena&, Int& out, Int a, Int b) {
  return !__builtin_mul_overflow(a, b, &out);
}
// Toward zero; the remainder has the sign of the dividend.
bool div_i64(Arena&, Int& out, Int a, Int b) {
  if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
  out = a / b;
  return true;
}
bool mod_i64(Arena&, Int& out, Int a, Int b) {
  if (b == 0) return false;
  out = b == -1 ? 0 : a % b;
  return true;
}
// Of `a` as an unsigned number, for the buckets of a hash.
bool bucket_i64(Arena&, Int& out, Int a, Int b) {
  if (b <= 0) return false;
  out = static_cast<Int>(static_cast<std::uint64_t>(a) % static_cast<std::uint64_t>(b));
  return true;
}
bool neg_i64(Arena&, Int& out, Int a) {
  return !__builtin_sub_overflow(Int{0}, a, &out);
}
bool abs_i64(Arena&, Int& out, Int a) {
  out = a;
  return a >= 0 || !__builtin_sub_overflow(Int{0}, a, &out);
}

bool add_f64(Arena&, double& out, double a, double b) {
  out = a + b;
  return true;
}
bool sub_f64(Arena&, double& out, double a, double b) {
  out = a - b;
  return true;
}
bool mul_f64(Arena&, double& out, double a, double b) {
  out = a * b;
  return true;
}
bool div_f64(Arena&, double& out, double a, double b) {
  out = a / b;
  return true;
}
bool mod_f64(Arena&, double& out, double a, double b) {
  out = std::fmod(a, b);
  return true;
}
bool pow_f64(Arena&, double& out, double a, double b) {
  out = std::pow(a, b);
  return true;
}
template <double (*F)(double)>
bool of_one(Arena&, double& out, double a) {
  out = F(a);
  return true;
}
double negated(double a) {
  return -a;
}
double magnitude(double a) {
  return std::fabs(a);
}
double floor_of(double a) {
  return std::floor(a);
}
double ceil_of(double a) {
  return std::ceil(a);
}
// Ties to even; the server and the SQL engine never leave the default rounding mode.
double rounded(double a) {
  return std::nearbyint(a);
}
double root(double a) {
  return std::sqrt(a);
}
double exponential(double a) {
  return std::exp(a);
}
double logarithm(double a) {
  return std::log(a);
}
double same(double a) {
  return a;
}
bool is_nan_f64(Arena&, bool& out, double a) {
  out = std::isnan(a);
  return true;
}

bool i64_to_f64(Arena&, double& out, Int a) {
  out = static_cast<double>(a);
  return true;
}
// To the nearest, ties to even.
bool f64_to_i64(Arena&, Int& out, double a) {
  const double whole = std::nearbyint(a);
  if (!(whole >= -0x1p63 && whole < 0x1p63)) return false;
  out = static_cast<Int>(whole);
  return true;
}
bool b_to_i64(Arena&, Int& out, bool a) {
  out = a ? 1 : 0;
  return true;
}
bool i64_to_b(Arena&, bool& out, Int a) {
  out = a != 0;
  return true;
}

// XXH64 of the bytes: of a text its UTF-8, of all else eight bytes, little-endian.
Int hash_bytes(const void* bytes, std::size_t size) {
  return static_cast<Int>(XXH64(bytes, size, 0));
}
bool hash_str(Arena&, Int& out, std::string_view a) {
  out = hash_bytes(a.data(), a.size());
  return true;
}
bool hash_i64(Arena&, Int& out, Int a) {
  out = hash_bytes(&a, sizeof a);
  return true;
}
bool hash_ts(Arena&, Int& out, Micros a) {
  out = hash_bytes(&a.value, sizeof a.value);
  return true;
}
bool hash_b(Arena& arena, Int& out, bool a) {
  return hash_i64(arena, out, a ? 1 : 0);
}
// Equal numbers have one hash: -0.0 that of 0.0, and every NaN the same.
bool hash_f64(Arena&, Int& out, double a) {
  double canonical = a == 0 ? 0.0 : a;
  if (std::isnan(a)) canonical = std::numeric_limits<double>::quiet_NaN();
  out = hash_bytes(&canonical, sizeof canonical);
  return true;
}

}  // namespace

void add_number_kernels(std::vector<Kernel>& to) {
  const std::initializer_list<Kernel> all = {kernel<&add_i64>("add_i64", true),
                                             kernel<&sub_i64>("sub_i64"),
                                             kernel<&mul_i64>("mul_i64", true),
                                             kernel<&div_i64>("div_i64"),
                                             kernel<&mod_i64>("mod_i64"),
                                             kernel<&bucket_i64>("bucket_i64"),
                                             kernel<&neg_i64>("neg_i64"),
                                             kernel<&abs_i64>("abs_i64"),
                                             kernel<&add_f64>("add_f64", true),
                                             kernel<&sub_f64>("sub_f64"),
                                             kernel<&mul_f64>("mul_f64", true),
                                             kernel<&div_f64>("div_f64"),
                                             kernel<&mod_f64>("mod_f64"),
                                             kernel<&pow_f64>("pow_f64"),
                                             kernel<&of_one<negated>>("neg_f64"),
                                             kernel<&of_one<magnitude>>("abs_f64"),
                                             kernel<&of_one<floor_of>>("floor_f64"),
                                             kernel<&of_one<ceil_of>>("ceil_f64"),
                                             kernel<&of_one<rounded>>("round_f64"),
                                             kernel<&of_one<root>>("sqrt_f64"),
                                             kernel<&of_one<exponential>>("exp_f64"),
                                             kernel<&of_one<logarithm>>("ln_f64"),
                                             kernel<&of_one<same>>("column_f64"),
                                             kernel<&is_nan_f64>("is_nan_f64"),
                                             kernel<&i64_to_f64>("i64_to_f64"),
                                             kernel<&f64_to_i64>("f64_to_i64"),
                                             kernel<&b_to_i64>("b_to_i64"),
                                             kernel<&i64_to_b>("i64_to_b"),
                                             kernel<&hash_str>("hash_str"),
                                             kernel<&hash_i64>("hash_i64"),
                                             kernel<&hash_ts>("hash_ts"),
                                             kernel<&hash_b>("hash_b"),
                                             kernel<&hash_f64>("hash_f64")};
  to.insert(to.end(), all.begin(), all.end());
}

}  // namespace strata::platform::expressions
