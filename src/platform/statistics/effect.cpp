#include "platform/statistics/effect.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "platform/statistics/distributions.hpp"

namespace strata::platform::statistics {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// A relative effect of a control nearer to 0 has no useful normal approximation: at five standard
// errors the coefficient of variation of what is divided by is 20 %.
constexpr double kLeastControl = 5;

using Gradient = std::array<double, Moments::kMaxDimension>;

// A value made of quantities [first, first + 1], with its gradient by all quantities.
struct Value {
  double value = 0;
  Gradient gradient{};
};

Value value_at(Shape::Kind kind, const Moments& arm, int first) {
  Value out;
  const auto i = static_cast<std::size_t>(first);
  if (kind == Shape::Kind::kMean) {
    out.value = arm.mean(first);
    out.gradient[i] = 1;
    return out;
  }
  const double below = arm.mean(first + 1);
  out.value = arm.mean(first) / below;
  out.gradient[i] = 1 / below;
  out.gradient[i + 1] = -out.value / below;
  return out;
}

Value metric(const Shape& shape, const Moments& arm) {
  return value_at(shape.kind, arm, 0);
}

Value covariate(const Shape& shape, const Moments& arm) {
  return value_at(shape.kind, arm, shape.kind == Shape::Kind::kRatio ? 2 : 1);
}

double bilinear(const Moments& arm, const Gradient& a, const Gradient& b) {
  double sum = 0;
  for (int i = 0; i < arm.dimension(); ++i) {
    for (int j = 0; j < arm.dimension(); ++j)
      sum += a[static_cast<std::size_t>(i)] * b[static_cast<std::size_t>(j)] * arm.co_moment(i, j);
  }
  return sum;
}

double variance_of_value(const Moments& arm, const Gradient& gradient) {
  return bilinear(arm, gradient, gradient) / (arm.count() - 1) / arm.count();
}

Gradient mix(double a, const Gradient& x, double b, const Gradient& y) {
  Gradient out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = a * x[i] + b * y[i];
  return out;
}

Contrast undefined_contrast(std::string why) {
  Contrast out;
  out.reason = std::move(why);
  return out;
}

bool has_denominators(const Shape& shape, const Moments& arm) {
  if (shape.kind == Shape::Kind::kMean) return true;
  return arm.mean(1) != 0 && (!shape.covariate || arm.mean(3) != 0);
}

}  // namespace

Effect Effect::undefined(std::string why) {
  Effect out;
  out.reason = std::move(why);
  return out;
}

double value_of(const Shape& shape, const Moments& arm) {
  return metric(shape, arm).value;
}

double pooled_theta(const Shape& shape, std::span<const Moments> arms) {
  if (!shape.covariate) return 0;
  double both = 0;
  double own = 0;
  for (const Moments& arm : arms) {
    if (arm.count() < 2 || !has_denominators(shape, arm)) continue;
    const Gradient y = metric(shape, arm).gradient;
    const Gradient x = covariate(shape, arm).gradient;
    both += bilinear(arm, y, x);
    own += bilinear(arm, x, x);
  }
  return own > 0 ? both / own : 0;
}

double Contrast::degrees() const {
  const double total = variance();
  return total * total /
         (variance_control * variance_control / (count_control - 1) +
          variance_treatment * variance_treatment / (count_treatment - 1));
}

Contrast contrast_of(const Shape& shape, Scale scale, double theta, const Moments& control,
                     const Moments& treatment) {
  if (control.count() < 2 || treatment.count() < 2) {
    return undefined_contrast("no data: each arm needs at least two units");
  }
  if (!has_denominators(shape, control) || !has_denominators(shape, treatment)) {
    return undefined_contrast("the denominator of the ratio is 0");
  }
  const Value y_control = metric(shape, control);
  const Value y_treatment = metric(shape, treatment);
  Value x_control;
  Value x_treatment;
  if (shape.covariate) {
    x_control = covariate(shape, control);
    x_treatment = covariate(shape, treatment);
  }
  Contrast out;
  out.count_control = control.count();
  out.count_treatment = treatment.count();
  out.estimate =
      (y_treatment.value - y_control.value) - theta * (x_treatment.value - x_control.value);
  double unit = 1;  // what the effect is measured in
  double grows = 1;
  if (scale == Scale::kRelative) {
    unit = y_control.value;
    if (!(unit > kLeastControl * std::sqrt(variance_of_value(control, y_control.gradient)))) {
      return undefined_contrast(
          "the control's value is too near to 0, or below, for a relative effect: ask for the "
          "absolute one");
    }
    out.estimate /= unit;
    grows = 1 + out.estimate;
  }
  out.variance_treatment = variance_of_value(
      treatment, mix(1 / unit, y_treatment.gradient, -theta / unit, x_treatment.gradient));
  out.variance_control = variance_of_value(
      control, mix(grows / unit, y_control.gradient, -theta / unit, x_control.gradient));
  if (!(out.variance() > 0)) return undefined_contrast("constant: no unit differs from another");
  out.defined = true;
  return out;
}

Effect test(const Contrast& contrast, const Question& question) {
  if (!contrast.defined) return Effect::undefined(contrast.reason);
  Effect out;
  out.defined = true;
  out.estimate = contrast.estimate;
  out.standard_error = std::sqrt(contrast.variance());
  out.degrees = contrast.degrees();
  out.statistic = (out.estimate - question.null_value) / out.standard_error;
  const bool two_sided = question.alternative == Alternative::kTwoSided;
  const double reach =
      out.standard_error *
      student_tail_quantile(two_sided ? question.alpha / 2 : question.alpha, out.degrees);
  out.low = question.alternative == Alternative::kLess ? -kInfinite : out.estimate - reach;
  out.high = question.alternative == Alternative::kGreater ? kInfinite : out.estimate + reach;
  if (two_sided) {
    out.p_value = 2 * student_tail(std::abs(out.statistic), out.degrees);
  } else {
    const bool greater = question.alternative == Alternative::kGreater;
    out.p_value = student_tail(greater ? out.statistic : -out.statistic, out.degrees);
  }
  return out;
}

}  // namespace strata::platform::statistics
