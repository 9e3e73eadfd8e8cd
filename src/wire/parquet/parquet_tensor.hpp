#pragma once

#include <cstddef>

#include "wire/inference/tensor.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::wire {

// What a column holds that takes the elements of such tensors, each exactly.
ParquetType parquet_type_of(ElementType type);

// Adds elements [first, first + count) of a tensor to a column of the type that parquet_type_of()
// gives for it. Says nothing of which rows they belong to.
void append_tensor(ParquetColumn& column, const Tensor& tensor, std::size_t first,
                   std::size_t count);

}  // namespace strata::wire
