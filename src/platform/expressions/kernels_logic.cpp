// Comparison, three-valued logic, and what is about NULL.

#include "platform/expressions/kernel_forms.hpp"

namespace strata::platform::expressions {

namespace {

// The order of every type. NaN equals itself and is greater than all else, as in PostgreSQL; 0.0
// and -0.0 are equal; texts are compared by their bytes; false comes before true.
template <class T>
int order(T a, T b) {
  if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(a) || std::isnan(b)) return (std::isnan(a) ? 1 : 0) - (std::isnan(b) ? 1 : 0);
  }
  if constexpr (std::is_same_v<T, Micros>) {
    return order(a.value, b.value);
  } else {
    return a < b ? -1 : b < a ? 1 : 0;
  }
}

template <class T>
bool equal(Arena&, bool& out, T a, T b) {
  out = order(a, b) == 0;
  return true;
}
template <class T>
bool less(Arena&, bool& out, T a, T b) {
  out = order(a, b) < 0;
  return true;
}
template <class T>
bool less_equal(Arena&, bool& out, T a, T b) {
  out = order(a, b) <= 0;
  return true;
}
template <class T>
bool is_null(Arena&, bool& out, Maybe<T> a) {
  out = !a.present;
  return true;
}
// A condition that is NULL does not hold.
template <class T>
bool choose(Arena&, T& out, Maybe<bool> condition, Maybe<T> yes, Maybe<T> no) {
  const Maybe<T>& chosen = condition.present && condition.value ? yes : no;
  out = chosen.value;
  return chosen.present;
}
template <class T>
bool coalesce(Arena&, T& out, Maybe<T> a, Maybe<T> b) {
  out = a.present ? a.value : b.value;
  return a.present || b.present;
}
// Of what is not NULL; the first one of equals.
template <class T>
bool least(Arena& arena, T& out, Maybe<T> a, Maybe<T> b) {
  if (!a.present || !b.present) return coalesce<T>(arena, out, a, b);
  out = order(b.value, a.value) < 0 ? b.value : a.value;
  return true;
}
template <class T>
bool greatest(Arena& arena, T& out, Maybe<T> a, Maybe<T> b) {
  if (!a.present || !b.present) return coalesce<T>(arena, out, a, b);
  out = order(b.value, a.value) > 0 ? b.value : a.value;
  return true;
}

// Kleene's logic: what is known decides, where it does.
bool both(Arena&, bool& out, Maybe<bool> a, Maybe<bool> b) {
  const bool refuted = (a.present && !a.value) || (b.present && !b.value);
  out = a.present && b.present && a.value && b.value;
  return refuted || (a.present && b.present);
}
bool either(Arena&, bool& out, Maybe<bool> a, Maybe<bool> b) {
  out = (a.present && a.value) || (b.present && b.value);
  return out || (a.present && b.present);
}
bool negate(Arena&, bool& out, bool a) {
  out = !a;
  return true;
}

struct Names {
  std::string_view equal, less, less_equal, is_null, choose, coalesce, least, greatest;
};

template <class T>
void add_all(std::vector<Kernel>& to, const Names& names) {
  to.push_back(kernel<&equal<T>>(names.equal, true));
  to.push_back(kernel<&less<T>>(names.less));
  to.push_back(kernel<&less_equal<T>>(names.less_equal));
  to.push_back(kernel<&is_null<T>>(names.is_null));
  to.push_back(kernel<&choose<T>>(names.choose));
  to.push_back(kernel<&coalesce<T>>(names.coalesce));
  to.push_back(kernel<&least<T>>(names.least));
  to.push_back(kernel<&greatest<T>>(names.greatest));
}

}  // namespace

void add_logic_kernels(std::vector<Kernel>& to) {
  add_all<bool>(
      to, {"eq_b", "lt_b", "le_b", "is_null_b", "if_b", "coalesce_b", "least_b", "greatest_b"});
  add_all<std::int64_t>(to, {"eq_i64", "lt_i64", "le_i64", "is_null_i64", "if_i64", "coalesce_i64",
                             "least_i64", "greatest_i64"});
  add_all<double>(to, {"eq_f64", "lt_f64", "le_f64", "is_null_f64", "if_f64", "coalesce_f64",
                       "least_f64", "greatest_f64"});
  add_all<std::string_view>(to, {"eq_str", "lt_str", "le_str", "is_null_str", "if_str",
                                 "coalesce_str", "least_str", "greatest_str"});
  add_all<Micros>(to, {"eq_ts", "lt_ts", "le_ts", "is_null_ts", "if_ts", "coalesce_ts", "least_ts",
                       "greatest_ts"});
  to.push_back(kernel<&both>("and_b", true));
  to.push_back(kernel<&either>("or_b", true));
  to.push_back(kernel<&negate>("not_b"));
}

}  // namespace strata::platform::expressions
