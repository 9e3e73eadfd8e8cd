#include "wire/inference/tensor.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/json.hpp"

namespace strata::wire {

namespace {

struct ElementFacts {
  ElementType type;
  std::size_t bytes;
  std::string_view oip;
  std::string_view numpy;
};

constexpr std::array<ElementFacts, 13> kElements = {{
    {ElementType::kBool, 1, "BOOL", "bool"},
    {ElementType::kUint8, 1, "UINT8", "uint8"},
    {ElementType::kUint16, 2, "UINT16", "uint16"},
    {ElementType::kUint32, 4, "UINT32", "uint32"},
    {ElementType::kUint64, 8, "UINT64", "uint64"},
    {ElementType::kInt8, 1, "INT8", "int8"},
    {ElementType::kInt16, 2, "INT16", "int16"},
    {ElementType::kInt32, 4, "INT32", "int32"},
    {ElementType::kInt64, 8, "INT64", "int64"},
    {ElementType::kFp16, 2, "FP16", "float16"},
    {ElementType::kFp32, 4, "FP32", "float32"},
    {ElementType::kFp64, 8, "FP64", "float64"},
    {ElementType::kText, 0, "BYTES", "str"},
}};

template <class T>
void append_number(std::string& out, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      out += "NaN";
      return;
    }
    if (std::isinf(value)) {
      out += value > 0 ? "Infinity" : "-Infinity";
      return;
    }
  }
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  out += text;
  if (std::is_floating_point_v<T> && text.find_first_of(".e") == std::string_view::npos)
    out += ".0";
}

}  // namespace

std::size_t element_bytes(ElementType type) {
  return kElements[static_cast<std::size_t>(type)].bytes;
}

std::string_view element_name(ElementType type) {
  return kElements[static_cast<std::size_t>(type)].oip;
}

std::optional<ElementType> parse_element_name(std::string_view name) {
  for (const auto& facts : kElements) {
    if (facts.oip == name) return facts.type;
  }
  return std::nullopt;
}

std::optional<ElementType> parse_numpy_name(std::string_view name) {
  if (name == "object" || name == "string" || name.starts_with("<U") || name.starts_with("S")) {
    return ElementType::kText;
  }
  for (const auto& facts : kElements) {
    if (facts.numpy == name) return facts.type;
  }
  return std::nullopt;
}

std::optional<std::size_t> element_count(std::span<const std::int64_t> shape) {
  // A tensor of more elements could not be addressed even with one byte each.
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t count = 1;
  bool empty = false;
  for (const auto dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) {
      empty = true;
      continue;
    }
    if (count > kMost / static_cast<std::uint64_t>(dimension)) return std::nullopt;
    count *= static_cast<std::uint64_t>(dimension);
  }
  return empty ? 0 : static_cast<std::size_t>(count);
}

std::string show_shape(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    // Subnormal halves are normal floats.
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t widened = exponent == 0x1F ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (widened << 23U) | (fraction << 13U));
}

std::size_t Tensor::held_bytes() const {
  std::size_t total =
      owned_.capacity() + texts.capacity() * sizeof(std::string) + missing.capacity();
  for (const auto& text : texts)
    total += text.size();
  return total;
}

void Tensor::view(std::string_view bytes) {
  const std::size_t size = std::max<std::size_t>(element_bytes(type), 1);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % size == 0) {
    bytes_ = {bytes.data(), bytes.size()};
    return;
  }
  owned_.assign(bytes.begin(), bytes.end());
  bytes_ = owned_;
}

std::size_t raw_bytes(const Tensor& tensor) {
  if (tensor.type != ElementType::kText) return tensor.bytes().size();
  std::size_t size = 0;
  for (const auto& text : tensor.texts)
    size += sizeof(std::uint32_t) + text.size();
  return size;
}

void append_raw_tensor(std::string& out, const Tensor& tensor) {
  if (tensor.type != ElementType::kText) {
    out.append(tensor.bytes().data(), tensor.bytes().size());
    return;
  }
  for (const auto& text : tensor.texts) {
    const auto length = static_cast<std::uint32_t>(text.size());
    char raw[sizeof length];
    std::memcpy(raw, &length, sizeof length);
    out.append(raw, sizeof length);
    out += text;
  }
}

namespace {

Status read_raw_texts(Tensor& tensor, std::size_t count, std::string_view raw,
                      const std::function<Error(std::string_view what)>& fault) {
  while (!raw.empty()) {
    std::uint32_t length = 0;
    if (raw.size() < sizeof length) return fault("a BYTES length is cut off");
    std::memcpy(&length, raw.data(), sizeof length);
    raw.remove_prefix(sizeof length);
    if (length > raw.size()) {
      return fault(fmt::format("BYTES element {} says {} bytes, {} are left", tensor.texts.size(),
                               length, raw.size()));
    }
    tensor.texts.emplace_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  if (tensor.texts.size() == count) return {};
  return fault(fmt::format("shape {} needs {} elements, the data has {}", show_shape(tensor.shape),
                           count, tensor.texts.size()));
}

}  // namespace

Status read_raw_tensor(Tensor& tensor, std::size_t count, std::string_view raw,
                       std::string_view size_name,
                       const std::function<Error(std::string_view what)>& fault) {
  if (tensor.type == ElementType::kText) return read_raw_texts(tensor, count, raw, fault);
  const std::size_t element = element_bytes(tensor.type);
  if (count > raw.size() / element || count * element != raw.size()) {
    return fault(fmt::format("shape {} of {} needs {} elements of {} bytes, {} is {}",
                             show_shape(tensor.shape), element_name(tensor.type), count, element,
                             size_name, raw.size()));
  }
  tensor.view(raw);
  return {};
}

void append_element_json(std::string& out, const Tensor& tensor, std::size_t index) {
  switch (tensor.type) {
    case ElementType::kText:
      if (tensor.is_missing(index)) {
        out += "null";
      } else {
        append_json_string(out, tensor.texts[index]);
      }
      return;
    case ElementType::kBool:
      out += tensor.as<std::uint8_t>()[index] != 0 ? "true" : "false";
      return;
    case ElementType::kFp16:
      append_number(out, half_to_float(tensor.as<std::uint16_t>()[index]));
      return;
    default:
      with_element(tensor.type,
                   [&](auto zero) { append_number(out, tensor.as<decltype(zero)>()[index]); });
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.type != b.type || a.shape != b.shape) return false;
  if (a.type != ElementType::kText) return std::ranges::equal(a.bytes(), b.bytes());
  if (a.texts != b.texts) return false;
  for (std::size_t i = 0; i < a.texts.size(); ++i)
    if (a.is_missing(i) != b.is_missing(i)) return false;
  return true;
}

bool all_finite(const Tensor& tensor) {
  if (tensor.type == ElementType::kFp16) {
    return std::ranges::all_of(tensor.as<std::uint16_t>(),
                               [](std::uint16_t v) { return std::isfinite(half_to_float(v)); });
  }
  if (tensor.type == ElementType::kFp32)
    return std::ranges::all_of(tensor.as<float>(), [](float v) { return std::isfinite(v); });
  if (tensor.type == ElementType::kFp64)
    return std::ranges::all_of(tensor.as<double>(), [](double v) { return std::isfinite(v); });
  return true;
}

}  // namespace strata::wire
