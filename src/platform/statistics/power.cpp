#include "platform/statistics/power.hpp"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "platform/statistics/distributions.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::statistics {

namespace {

constexpr double kMostUnits = 1e12;

constexpr std::string_view kSchema = R"json({"type":"object","additionalProperties":false,
 "required":["kind","baseline"],"properties":{
 "kind":{"type":"string","enum":["mean","proportion"]},
 "baseline":{"type":"number"},"deviation":{"type":"number","minimum":0},
 "scale":{"type":"string","enum":["absolute","relative"]},
 "effect":{"type":"number"},"sample":{"type":"integer","minimum":2,"maximum":1000000000000},
 "alpha":{"type":"number","minimum":1e-9,"maximum":0.5},
 "power":{"type":"number","minimum":0.5,"maximum":0.999999},
 "ratio":{"type":"number","minimum":0.001,"maximum":1000},
 "correlation":{"type":"number","minimum":-0.999,"maximum":0.999}}})json";

struct Design {
  bool proportion = false;
  double baseline = 0;
  double deviation = 0;
  double alpha = 0.05;
  double ratio = 1;

  // The chance to reject no difference when it is `difference`, with `count` units in the control.
  double power(double count, double difference) const {
    const double critical = normal_tail_quantile(alpha / 2);
    double null_error = deviation * std::sqrt((1 + 1 / ratio) / count);
    double error = null_error;
    if (proportion) {
      const double other = baseline + difference;
      const double pooled = (baseline + ratio * other) / (1 + ratio);
      null_error = std::sqrt(pooled * (1 - pooled) * (1 + 1 / ratio) / count);
      error = std::sqrt((baseline * (1 - baseline) + other * (1 - other) / ratio) / count);
    }
    const double reach = std::abs(difference);
    return normal_tail((critical * null_error - reach) / error) +
           normal_tail((critical * null_error + reach) / error);
  }
};

Result<Design> read_design(const Json& question) {
  Design out;
  out.proportion = question.text("kind") == "proportion";
  out.baseline = question.number("baseline");
  out.alpha = question.number("alpha", out.alpha);
  out.ratio = question.number("ratio", 1);
  const double correlation = question.number("correlation");
  out.deviation = question.number("deviation") * std::sqrt(1 - correlation * correlation);
  if (out.proportion && !(out.baseline > 0 && out.baseline < 1)) {
    return invalid("baseline",
                   fmt::format("baseline: {} is no proportion between 0 and 1", out.baseline));
  }
  if (!out.proportion && !(out.deviation > 0)) {
    return invalid("deviation", "deviation: a mean takes the standard deviation of its units");
  }
  return out;
}

// The least count of units with that power, or nothing up to kMostUnits.
double least_count(const Design& design, double difference, double power) {
  double low = 1;
  double high = 2;
  while (high < kMostUnits && design.power(high, difference) < power)
    low = std::exchange(high, high * 2);
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (design.power(middle, difference) < power ? low : high) = middle;
  }
  return high;
}

// The least increase that is found with that power.
double least_effect(const Design& design, double count, double power) {
  double low = 0;
  double high = design.proportion ? 1 - design.baseline : design.deviation;
  while (!design.proportion && design.power(count, high) < power)
    high *= 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) return high;
    (design.power(count, middle) < power ? low : high) = middle;
  }
}

}  // namespace

std::string_view power_schema() {
  return kSchema;
}

Result<Json> plan_power(const Json& question) {
  static const Json schema = *parse_json(kSchema);
  STRATA_TRY(wire::check_schema(schema, question));
  const auto design = read_design(question);
  if (!design) return design.error();
  const bool relative = question.text("scale", "relative") == "relative";
  if (relative && !(design->baseline > 0)) {
    return invalid("scale", "scale: relative takes a baseline above 0; ask for the absolute one");
  }
  const double unit = relative ? design->baseline : 1;
  double power = question.number("power", 0.8);
  double count = question.number("sample");
  double difference = question.number("effect") * unit;
  if (question.find("effect") == nullptr && count == 0) {
    return invalid("effect", "effect: give an effect, a sample, or both");
  }
  if (question.find("effect") != nullptr) {
    const double other = design->baseline + difference;
    if (difference == 0 || (design->proportion && !(other > 0 && other < 1))) {
      return invalid("effect", fmt::format("effect: a treatment of {} is none that can be planned "
                                           "for",
                                           other));
    }
    if (count == 0) count = least_count(*design, difference, power);
    if (count > kMostUnits) return invalid("effect", "effect: is too small for 10^12 units");
    power = design->power(count, difference);
  } else {
    difference = least_effect(*design, count, power);
    if (design->proportion && !(design->baseline + difference < 1)) {
      return invalid("sample",
                     fmt::format("sample: {} units find no increase of a proportion of {} "
                                 "with a power of {}",
                                 count, design->baseline, power));
    }
  }
  const double treated = std::ceil(count * design->ratio);
  return Json::object({{"control", static_cast<std::int64_t>(count)},
                       {"treatment", static_cast<std::int64_t>(treated)},
                       {"sample", static_cast<std::int64_t>(count + treated)},
                       {"effect", difference / unit},
                       {"scale", relative ? "relative" : "absolute"},
                       {"power", power},
                       {"alpha", design->alpha}});
}

}  // namespace strata::platform::statistics
