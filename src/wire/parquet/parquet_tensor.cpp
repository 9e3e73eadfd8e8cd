#include "wire/parquet/parquet_tensor.hpp"

#include <cstring>

namespace strata::wire {

namespace {

template <class T>
void append_raw(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

}  // namespace

ParquetType parquet_type_of(ElementType type) {
  switch (type) {
    case ElementType::kBool:
      return ParquetType::kBool;
    case ElementType::kUint8:
    case ElementType::kUint16:
    case ElementType::kInt8:
    case ElementType::kInt16:
    case ElementType::kInt32:
      return ParquetType::kInt32;
    case ElementType::kUint32:
    case ElementType::kInt64:
      return ParquetType::kInt64;
    case ElementType::kUint64:
      return ParquetType::kUint64;
    case ElementType::kFp16:
    case ElementType::kFp32:
      return ParquetType::kFloat;
    case ElementType::kFp64:
      return ParquetType::kDouble;
    case ElementType::kText:
      break;
  }
  return ParquetType::kText;
}

void append_tensor(ParquetColumn& column, const Tensor& tensor, std::size_t first,
                   std::size_t count) {
  if (tensor.type == ElementType::kText) {
    column.texts.insert(column.texts.end(),
                        tensor.texts.begin() + static_cast<std::ptrdiff_t>(first),
                        tensor.texts.begin() + static_cast<std::ptrdiff_t>(first + count));
    return;
  }
  if (tensor.type == ElementType::kFp16) {
    for (std::size_t i = first; i < first + count; ++i)
      append_raw(column.fixed, half_to_float(tensor.as<std::uint16_t>()[i]));
    return;
  }
  const std::size_t size = element_bytes(tensor.type);
  if (size == column.element_bytes()) {
    column.fixed.append(tensor.bytes().data() + first * size, count * size);
    return;
  }
  with_element(tensor.type, [&](auto zero) {
    const auto values = tensor.as<decltype(zero)>().subspan(first, count);
    for (const auto v : values) {
      if (column.type == ParquetType::kInt32) {
        append_raw(column.fixed, static_cast<std::int32_t>(v));
      } else {
        append_raw(column.fixed, static_cast<std::int64_t>(v));
      }
    }
  });
}

}  // namespace strata::wire
