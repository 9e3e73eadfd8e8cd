#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "platform/inference/model_trial.hpp"

namespace strata::platform::inference {

namespace {

using wire::ElementType;
using wire::Tensor;

constexpr std::size_t kMostFailure = 600;
constexpr std::int64_t kMostFree = 3;  // elements along a free dimension

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class Draw {
 public:
  Draw(std::string_view name, std::uint64_t number) : state_(number * 0x9E3779B97F4A7C15U) {
    for (const char c : name)
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  }
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
  double unit() { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  template <class T, std::size_t N>
  T one_of(const std::array<T, N>& values) {
    return values[below(N)];
  }

 private:
  std::uint64_t state_;
};

// Of any magnitude that a float holds, and now and then an end or a special place.
double real(Draw& draw) {
  constexpr std::array kPlaces = {0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, -1e-30, 1e30, -1e30, 1e9};
  if (draw.below(3) == 0) return draw.one_of(kPlaces);
  const double magnitude = std::pow(10.0, static_cast<double>(draw.below(9)) - 3);
  return (draw.unit() * 2 - 1) * magnitude;
}

template <class T>
T whole(Draw& draw) {
  using Limits = std::numeric_limits<T>;
  const std::array<T, 5> places = {T{0}, T{1}, static_cast<T>(-1), Limits::min(), Limits::max()};
  switch (draw.below(3)) {
    case 0:
      return draw.one_of(places);
    case 1:
      return static_cast<T>(draw.below(100));
    default:
      return static_cast<T>(draw.next());
  }
}

std::string text(Draw& draw, const std::vector<std::string>* categories) {
  if (categories != nullptr && !categories->empty() && draw.below(2) == 0)
    return (*categories)[draw.below(categories->size())];
  switch (draw.below(7)) {
    case 0:
      return "";
    case 1:
      return " ";
    case 2:
      return "NaN";
    case 3:
      return "\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x9A\x80";  // two, three and four bytes of UTF-8
    case 4:
      return std::string(1 + draw.below(2000), 'x');
    case 5:
      return std::to_string(draw.below(1000));
    default:
      return std::string(1 + draw.below(8), static_cast<char>('A' + draw.below(26)));
  }
}

template <class T>
void fill(Tensor& tensor, std::size_t count, Draw& draw) {
  for (auto& value : tensor.allocate<T>(count)) {
    if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<T>(real(draw));
    } else {
      value = whole<T>(draw);
    }
  }
}

void fill_numbers(Tensor& tensor, std::size_t count, Draw& draw) {
  if (tensor.type == ElementType::kBool) {
    for (auto& value : tensor.allocate<std::uint8_t>(count))
      value = static_cast<std::uint8_t>(draw.below(2));
    return;
  }
  with_element(tensor.type, [&](auto zero) { fill<decltype(zero)>(tensor, count, draw); });
}

// A whole number or a boolean that may be missing is held as floating point.
double held_whole(wire::ColumnType type, Draw& draw) {
  if (type == wire::ColumnType::kBoolean) return static_cast<double>(draw.below(2));
  if (type == wire::ColumnType::kInteger) return static_cast<double>(whole<std::int32_t>(draw));
  return std::floor(real(draw) * 1e3);
}

Tensor column_value(const Column& column, const std::vector<std::string>* categories, Draw& draw) {
  Tensor tensor(column.name, column.element, {1});
  const bool floating =
      column.element == ElementType::kFp64 || column.element == ElementType::kFp32;
  const bool real_column =
      column.type == wire::ColumnType::kDouble || column.type == wire::ColumnType::kFloat;
  if (column.element == ElementType::kText) {
    tensor.texts.push_back(text(draw, categories));
  } else if (floating && !real_column) {
    const double value = held_whole(column.type, draw);
    if (column.element == ElementType::kFp64) tensor.allocate<double>(1)[0] = value;
    if (column.element == ElementType::kFp32)
      tensor.allocate<float>(1)[0] = static_cast<float>(value);
  } else {
    fill_numbers(tensor, 1, draw);
  }
  return tensor;
}

Tensor tensor_value(const wire::TensorSpec& spec, Draw& draw) {
  std::vector<std::int64_t> shape;
  for (const auto size : spec.shape)  // the first one is the rows, and this is one of them
    shape.push_back(size >= 0 || shape.empty()
                        ? std::max<std::int64_t>(size, 1)
                        : 1 + static_cast<std::int64_t>(draw.below(kMostFree)));
  Tensor tensor(spec.name, spec.type, shape);
  const auto count = wire::element_count(shape).value_or(0);
  if (spec.type == ElementType::kText) {
    for (std::size_t i = 0; i < count; ++i)
      tensor.texts.push_back(text(draw, nullptr));
  } else if (spec.type == ElementType::kFp16) {
    for (auto& half : tensor.allocate<std::uint16_t>(count))
      half = static_cast<std::uint16_t>(draw.next() & 0xBBFFU);  // an exponent below infinity's
  } else {
    fill_numbers(tensor, count, draw);
  }
  return tensor;
}

Json shown(const Tensor& tensor) {
  if (tensor.type == ElementType::kText)
    return tensor.texts.empty() ? Json() : Json(printable(tensor.texts.front(), 40));
  Json value;
  if (tensor.type == ElementType::kFp16) return value;
  with_element(tensor.type, [&](auto zero) {
    const auto all = tensor.as<decltype(zero)>();
    if (!all.empty()) value = fmt::format("{}", all.front());
  });
  return value;
}

std::string shown(const Inputs& inputs) {
  std::string out;
  for (const auto& tensor : inputs.tensors) {
    const Json value = shown(tensor);
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", printable(tensor.name, 40),
                       value.is_null() ? "?" : value.as_string());
  }
  return out;
}

}  // namespace

std::string ProbeReport::to_text() const {
  return Json::object({{"cases", cases},
                       {"failure", printable(failure, kMostFailure)},
                       {"memory", static_cast<std::int64_t>(memory_bytes)}})
      .dump();
}

Result<ProbeReport> ProbeReport::parse(std::string_view text) {
  const auto json = parse_json(text);
  if (!json || !(*json)["cases"].is_string() || !(*json)["memory"].is_int())
    return Error(Code::kDataLoss, "the process that tried the model gave no report");
  return ProbeReport{json->text("cases"), json->text("failure"),
                     static_cast<std::uint64_t>((*json)["memory"].as_int())};
}

Result<Inputs> legal_request(const Binding& binding,
                             std::span<const std::vector<std::string>> categories,
                             std::uint64_t number) {
  std::vector<Tensor> tensors;
  std::size_t texts = 0;
  for (const auto& column : binding.contract().columns) {
    const bool is_text = column.type == wire::ColumnType::kString;
    const auto* known = is_text && texts < categories.size() ? &categories[texts] : nullptr;
    texts += is_text ? 1 : 0;
    Draw draw(column.name, number);
    const bool left_out = draw.below(5) == 0;  // drawn for all, so that the rest stays alike
    const bool last = &column == &binding.contract().columns.back();
    if (left_out && !column.required && !(last && tensors.empty())) continue;
    tensors.push_back(column_value(column, known, draw));
  }
  for (const auto& spec : binding.contract().tensors) {
    Draw draw(spec.name, number);
    tensors.push_back(tensor_value(spec, draw));
  }
  return binding.bind(std::move(tensors));
}

Result<ProbeReport> probe(const Binding& binding, const ModelRunner& runner, std::size_t count,
                          const std::stop_token& stop) {
  ProbeReport report;
  for (std::size_t i = 0; i < count; ++i) {
    auto inputs = legal_request(binding, runner.interface().categories, i);
    if (!inputs) return std::move(inputs).error();
    const auto taken = binding.to_runner(*inputs);
    if (!taken) return taken.error();
    const auto first = runner.run(*taken, stop);
    const auto second = runner.run(*taken, stop);
    for (const auto* answer : {&first, &second})
      if (!*answer && answer->error().code == Code::kCancelled) return answer->error();
    char letter = '.';
    if (!first || !second) {
      letter = 'f';
    } else if (!std::ranges::all_of(*first, wire::all_finite)) {
      letter = 'n';
    } else if (!std::ranges::equal(*first, *second, wire::same_bits)) {
      letter = 'd';
    }
    if (letter == 'f' && report.failure.empty()) {
      report.failure =
          fmt::format("{} (asked {})", (first ? second : first).error().message, shown(*inputs));
    }
    report.cases += letter;
  }
  return report;
}

}  // namespace strata::platform::inference
