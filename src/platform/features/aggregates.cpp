#include "platform/features/aggregates.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <set>

namespace strata::platform::features {

using expressions::Value;
using streams::KeyState;
using streams::Stamp;

namespace {

// Every sum of doubles without an error, as one fixed-point number over the whole range of doubles,
// in limbs of 32 bits with room for carries. So the order of the values has no say. After Kulisch,
// "Computer Arithmetic and Validity" (long accumulator).
class ExactSum {
 public:
  void add(double value) {
    if (!std::isfinite(value)) {
      beyond_ += value;  // infinite, or NaN: no other value changes that
      return;
    }
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const auto exponent = static_cast<std::size_t>(bits >> 52U & 0x7FFU);
    std::uint64_t digits = bits & ((std::uint64_t{1} << 52U) - 1);
    if (exponent > 0) digits |= std::uint64_t{1} << 52U;
    const std::size_t place = exponent > 0 ? exponent - 1 : 0;  // in bits above 2^-1074
    const std::int64_t sign = (bits >> 63U) != 0 ? -1 : 1;
    const std::size_t shift = place % 32;
    const std::size_t limb = place / 32;
    const std::uint64_t low = digits << shift;
    const std::uint64_t high = shift == 0 ? 0 : digits >> (64 - shift);
    limbs_[limb] += sign * static_cast<std::int64_t>(low & kMask);
    limbs_[limb + 1] += sign * static_cast<std::int64_t>(low >> 32U);
    limbs_[limb + 2] += sign * static_cast<std::int64_t>(high);
  }

  // The sum, rounded once, to nearest, ties to even.
  double rounded() const {
    if (beyond_ != 0) return std::isnan(beyond_) ? kNan : beyond_;
    auto limbs = limbs_;
    carry(limbs);
    const bool negative = limbs.back() < 0;
    if (negative) {
      for (auto& limb : limbs)
        limb = -limb;
      carry(limbs);
    }
    const double size = size_of(limbs);
    return negative ? -size : size;
  }

  static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

 private:
  static constexpr std::uint64_t kMask = 0xFFFFFFFFU;
  using Limbs = std::array<std::int64_t, 70>;

  // Each limb within 32 bits, but for the last, which has the sign.
  static void carry(Limbs& limbs) {
    for (std::size_t i = 0; i + 1 < limbs.size(); ++i) {
      limbs[i + 1] += limbs[i] >> 32U;
      limbs[i] &= static_cast<std::int64_t>(kMask);
    }
  }

  static bool bit(const Limbs& limbs, std::size_t at) {
    return (limbs[at / 32] >> (at % 32) & 1) != 0;
  }

  static double size_of(const Limbs& limbs) {
    std::size_t top = limbs.size();
    while (top > 0 && limbs[top - 1] == 0)
      --top;
    if (top == 0) return 0;
    const auto head = static_cast<std::uint64_t>(limbs[top - 1]);
    const std::size_t highest = (top - 1) * 32 + static_cast<std::size_t>(std::bit_width(head)) - 1;
    const std::size_t lowest = highest < 53 ? 0 : highest - 52;
    std::uint64_t digits = 0;
    for (std::size_t at = highest + 1; at-- > lowest;)
      digits = digits << 1U | (bit(limbs, at) ? 1U : 0U);
    if (lowest > 0 && bit(limbs, lowest - 1)) {
      bool more = false;
      for (std::size_t at = lowest - 1; at-- > 0 && !more;)
        more = bit(limbs, at);
      if (more || (digits & 1U) != 0) ++digits;
    }
    return std::ldexp(static_cast<double>(digits), static_cast<int>(lowest) - 1074);
  }

  Limbs limbs_{};
  double beyond_ = 0;
};

double number_of(const Value& value) {
  return value.type == Type::kDouble ? value.number : static_cast<double>(value.integer);
}

Value of_double(double value) {
  return Value::of(std::isnan(value) ? ExactSum::kNan : value);
}

// As in comparisons of expressions: NaN equals itself and is greater than all else.
bool less(const Value& a, const Value& b) {
  if (a.type == Type::kString) return a.text < b.text;
  if (a.type != Type::kDouble) return a.integer < b.integer;
  if (std::isnan(a.number)) return false;
  return std::isnan(b.number) || a.number < b.number;
}

__extension__ using Wide = __int128;

Wide wide_sum(std::span<const Value* const> values) {
  Wide sum = 0;
  for (const Value* const value : values)
    sum += value->integer;
  return sum;
}

double exact_sum(std::span<const Value* const> values) {
  ExactSum sum;
  for (const Value* const value : values)
    sum.add(value->number);
  return sum.rounded();
}

double mean_of(Type type, std::span<const Value* const> values) {
  const double sum =
      type == Type::kInt64 ? static_cast<double>(wide_sum(values)) : exact_sum(values);
  return sum / static_cast<double>(values.size());
}

// Of a sample. In two passes with the correction of Chan, Golub and LeVeque (1983), so that what
// the mean lost in rounding is taken out again.
double variance_of(Type type, std::span<const Value* const> values) {
  const double mean = mean_of(type, values);
  ExactSum squares;
  ExactSum rest;
  for (const Value* const value : values) {
    const double distance = number_of(*value) - mean;
    squares.add(distance * distance);
    rest.add(distance);
  }
  const auto count = static_cast<double>(values.size());
  const double over = rest.rounded();
  const double variance = (squares.rounded() - over * over / count) / (count - 1);
  return variance < 0 ? 0 : variance;
}

Value sum_of(Type type, std::span<const Value* const> values) {
  if (type == Type::kDouble) return of_double(exact_sum(values));
  const Wide sum = wide_sum(values);
  const bool fits = sum >= std::numeric_limits<std::int64_t>::min() &&
                    sum <= std::numeric_limits<std::int64_t>::max();
  return fits ? Value::of(static_cast<std::int64_t>(sum)) : Value::null(type);
}

std::int64_t distinct_of(std::span<const Value* const> values) {
  std::set<std::string> seen;
  for (const Value* const value : values) {
    Value one = *value;
    if (one.type == Type::kDouble) {
      one = of_double(one.number == 0 ? 0 : one.number);
    }
    streams::ByteWriter bytes;
    bytes.value(one);
    seen.insert(std::move(bytes).take());
  }
  return static_cast<std::int64_t>(seen.size());
}

// Of equal ones the first.
const Value* least(std::span<const Value* const> values) {
  return *std::ranges::min_element(values,
                                   [](const Value* a, const Value* b) { return less(*a, *b); });
}

const Value* greatest(std::span<const Value* const> values) {
  const Value* out = values.front();
  for (const Value* const value : values) {
    if (less(*out, *value)) out = value;
  }
  return out;
}

}  // namespace

Value aggregate_values(Aggregate::Function function, Type of,
                       std::span<const Value* const> values) {
  using enum Aggregate::Function;
  const auto one_of = [&](const Value& value) {
    return of == Type::kDouble ? of_double(value.number) : value;
  };
  if (function == kCount) return Value::of(static_cast<std::int64_t>(values.size()));
  if (function == kCountDistinct) return Value::of(distinct_of(values));
  const bool spread = function == kVariance || function == kStddev;
  if (spread && values.size() < 2) return Value::null(Type::kDouble);
  if (values.empty()) return Value::null(function == kMean ? Type::kDouble : of);
  if (function == kSum) return sum_of(of, values);
  if (function == kMean) return of_double(mean_of(of, values));
  if (function == kVariance) return of_double(variance_of(of, values));
  if (function == kStddev) return of_double(std::sqrt(variance_of(of, values)));
  if (function == kMin) return one_of(*least(values));
  if (function == kMax) return one_of(*greatest(values));
  return one_of(function == kFirst ? *values.front() : *values.back());
}

Window window_at(const PlannedAggregate& aggregate, std::int64_t time) {
  const std::int64_t wide = aggregate.window.count();
  if (!aggregate.tumbling) return {time - wide, time};
  std::int64_t into = time % wide;
  if (into < 0) into += wide;
  const std::int64_t end = time - into;
  return {end - wide - 1, end - 1};
}

Window reach_of(const PlannedView& view, std::int64_t time) {
  Window out{time, time};
  for (const auto& feature : view.features) {
    if (feature.aggregate)
      out.after = std::min(out.after, window_at(*feature.aggregate, time).after);
  }
  return out;
}

streams::EventSet event_set_of(const ProjectId& project, const PlannedView& view) {
  return {key_set_of(project, view), view.event_id};
}

std::map<streams::EventSet, std::chrono::microseconds> event_sets(const Catalog& catalog,
                                                                  const ProjectId& project) {
  std::map<streams::EventSet, std::chrono::microseconds> out;
  for (const auto& [name, view] : catalog.views) {
    if (!view.has_windows()) continue;
    if (catalog.definitions.sources.at(view.source).kind != Source::Kind::kStream) continue;
    auto& kept = out[event_set_of(project, view)];
    for (const auto& feature : view.features) {
      // A tumbling window may have ended one window ago.
      if (feature.aggregate)
        kept = std::max(kept, feature.aggregate->window * (feature.aggregate->tumbling ? 2 : 1));
    }
  }
  return out;
}

Result<std::optional<EventRow>> event_row(const PlannedView& view, const std::vector<Value>& key,
                                          const KeyState& event,
                                          const std::optional<Stamp>& deleted) {
  std::optional<Stamp> newest;
  for (const auto& [column, cell] : event.cells) {
    const bool gone = deleted && cell.stamp < *deleted;
    if (!gone && (!newest || *newest < cell.stamp)) newest = cell.stamp;
  }
  if (!newest) return std::optional<EventRow>();
  std::vector<Value> cells;
  for (const auto& input : view.row_program->inputs()) {
    const auto at = std::ranges::find(view.keys, input.name, &Column::name);
    const streams::Cell* const cell = event.find(input.name);
    const bool there = cell != nullptr && (!deleted || *deleted < cell->stamp);
    cells.push_back(at != view.keys.end() ? key[static_cast<std::size_t>(at - view.keys.begin())]
                                          : (there ? cell->value : Value::null(input.type)));
  }
  auto values = view.row_program->run(cells);
  if (!values) return std::move(values).error();
  return std::optional(EventRow{*newest, *std::move(values)});
}

std::vector<FeatureValue> aggregate(const PlannedView& view, std::span<const EventRow* const> rows,
                                    std::int64_t time) {
  std::vector<FeatureValue> out(view.features.size());
  std::vector<const Value*> values;
  std::size_t place = 0;  // of the aggregate among those of the view
  for (std::size_t i = 0; i < view.features.size(); ++i) {
    const PlannedFeature& feature = view.features[i];
    if (!feature.aggregate) continue;
    const Window window = window_at(*feature.aggregate, time);
    const auto event = [](const EventRow* row) {
      return row->stamp.event;
    };
    const auto first = std::ranges::upper_bound(rows, window.after, {}, event);
    const auto end = std::ranges::upper_bound(rows, window.until, {}, event);
    values.clear();
    std::optional<std::int64_t> newest;
    for (auto at = first; at < end; ++at) {
      const Value& of = (*at)->values[2 * place];
      const Value& counts = (*at)->values[2 * place + 1];
      if (!of.present || !counts.present || counts.integer == 0) continue;
      values.push_back(&of);
      newest = (*at)->stamp.event;
    }
    ++place;
    FeatureValue& one = out[i];
    one.value = aggregate_values(feature.aggregate->function, feature.expression.type(), values);
    one.presence = one.value.present ? Presence::kPresent : Presence::kNull;
    one.event = newest.value_or(time);  // that there are none is known as of the time itself
  }
  return out;
}

}  // namespace strata::platform::features
