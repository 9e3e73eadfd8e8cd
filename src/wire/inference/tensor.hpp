#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// What a tensor holds; the names are those of the Open Inference Protocol, with kText for BYTES.
enum class ElementType : std::uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kFp32,
  kFp64,
  kText
};

// Bytes of one element; 0 for kText, whose elements have lengths of their own.
std::size_t element_bytes(ElementType type);
// "FP32", "BYTES" ... and back.
std::string_view element_name(ElementType type);
std::optional<ElementType> parse_element_name(std::string_view name);
// "float32", "int64", "bool", "str" ... as numpy and MLflow signatures write them.
std::optional<ElementType> parse_numpy_name(std::string_view name);

// How many elements a shape has; nothing when a dimension is negative or the product does not fit.
std::optional<std::size_t> element_count(std::span<const std::int64_t> shape);
// "[2,4]", for messages.
std::string show_shape(std::span<const std::int64_t> shape);

// IEEE 754 half precision widened, exactly.
float half_to_float(std::uint16_t half);

// A named array in row-major order. Numbers are either owned or a view into bytes that the maker
// keeps alive; texts are always owned. Numbers are aligned for their type. Movable, not copyable:
// what holds much data is never copied by accident.
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::string tensor_name, ElementType element_type, std::vector<std::int64_t> tensor_shape)
      : name(std::move(tensor_name)),
        type(element_type),
        shape(std::move(tensor_shape)) {}
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  std::string name;
  ElementType type = ElementType::kFp32;
  std::vector<std::int64_t> shape;
  std::vector<std::string> texts;  // the elements of a kText tensor
  // Of a kText tensor: 1 where the element is missing,
  // whose text is empty then; empty when none is.
  // What is missing in a tensor of floating point is NaN.
  std::vector<std::uint8_t> missing;

  bool is_missing(std::size_t index) const { return index < missing.size() && missing[index] != 0; }
  std::size_t count() const { return element_count(shape).value_or(0); }
  std::span<const char> bytes() const { return bytes_; }
  // The memory that it owns; none for numbers that are a view.
  std::size_t held_bytes() const;

  // Looks at `bytes`, which must outlive the tensor; copies them when they are not aligned for the
  // type.
  void view(std::string_view bytes);
  // Room for `count` elements of T, zeroed, owned by the tensor.
  template <class T>
  std::span<T> allocate(std::size_t count) {
    owned_.assign(count * sizeof(T), 0);
    bytes_ = owned_;
    return {reinterpret_cast<T*>(owned_.data()), count};
  }
  // Takes over bytes that already stand in their final form.
  void adopt(std::vector<char> bytes) {
    owned_ = std::move(bytes);
    bytes_ = owned_;
  }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }

 private:
  std::vector<char> owned_;  // a vector's heap block stays put when it moves, so bytes_ stays right
  std::span<const char> bytes_;
};

// Calls f with a value-initialised element of the C++ type behind `type`; kBool is std::uint8_t,
// kFp16 std::uint16_t. Not for kText.
template <class F>
decltype(auto) with_element(ElementType type, F&& f) {
  switch (type) {
    case ElementType::kBool:
    case ElementType::kUint8:
      return f(std::uint8_t{});
    case ElementType::kUint16:
    case ElementType::kFp16:
      return f(std::uint16_t{});
    case ElementType::kUint32:
      return f(std::uint32_t{});
    case ElementType::kUint64:
      return f(std::uint64_t{});
    case ElementType::kInt8:
      return f(std::int8_t{});
    case ElementType::kInt16:
      return f(std::int16_t{});
    case ElementType::kInt32:
      return f(std::int32_t{});
    case ElementType::kInt64:
      return f(std::int64_t{});
    case ElementType::kFp32:
      return f(float{});
    case ElementType::kFp64:
    case ElementType::kText:
      break;
  }
  return f(double{});
}

// The same type, shape and elements, bit for bit; names may differ.
bool same_bits(const Tensor& a, const Tensor& b);
// No element is NaN or infinite; true of what cannot be.
bool all_finite(const Tensor& tensor);

// A tensor's raw form: numbers little endian one behind the other, texts each behind their length
// in 4 bytes. Spec: the binary tensor data extension of the Open Inference Protocol.
std::size_t raw_bytes(const Tensor& tensor);
void append_raw_tensor(std::string& out, const Tensor& tensor);
// The reverse: fills `tensor`, whose shape needs `count` elements, with `raw`, at which numbers go
// on looking where they are aligned. Errors: what `fault` makes of what is wrong; `size_name` is
// what the client calls the size of `raw`.
Status read_raw_tensor(Tensor& tensor, std::size_t count, std::string_view raw,
                       std::string_view size_name,
                       const std::function<Error(std::string_view what)>& fault);

// Appends one element as JSON: numbers in their shortest exact form, NaN and Infinity bare as
// Python's json and tritonclient read them, texts quoted, a missing text as null.
void append_element_json(std::string& out, const Tensor& tensor, std::size_t index);

}  // namespace strata::wire
