#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// A small part of Apache Parquet: what is needed to write a table in one row group and to read such
// a file back. Plain encoding, no compression, one page a column; a column whose cells are all
// alike is written once through a dictionary. Spec: https://parquet.apache.org/docs/file-format/

enum class ParquetType : std::uint8_t {
  kBool,
  kInt32,
  kInt64,
  kFloat,
  kDouble,
  kText,
  kTimestampMicros,
  kUint64
};

// One column. Its path has one name, or two for a member of a struct. A cell is present or missing;
// a cell of a list column holds any number of elements.
struct ParquetColumn {
  std::vector<std::string> path;
  ParquetType type = ParquetType::kInt64;
  bool list = false;

  std::vector<bool> present;           // one for each row
  std::vector<std::uint32_t> lengths;  // list columns: elements of each row; 0 where missing
  std::string fixed;  // elements of present cells, little endian; booleans one byte each
  std::vector<std::string> texts;  // kText

  std::size_t element_bytes() const;  // 0 for kText
  std::size_t elements() const;
};

struct ParquetTable {
  std::size_t rows = 0;
  std::vector<ParquetColumn> columns;

  // Same paths, types and list flags in the same order.
  bool same_layout(const ParquetTable& other) const;
  // Adds the rows of a table of the same layout behind its own.
  void append(const ParquetTable& other);
};

// The bytes of a file with this table. Columns of one struct must stand together.
std::string encode_parquet(const ParquetTable& table);

// More rows than a log's segment can have (an id of 36 bytes each, in at most 64 MiB), few enough
// for a damaged file to cost little.
inline constexpr std::size_t kMaxParquetRows = std::size_t{1} << 22;

// Reads what encode_parquet() writes, up to that many rows. Errors: kDataLoss when the bytes are
// damaged, kUnsupported for other Parquet files.
Result<ParquetTable> decode_parquet(std::string_view bytes);

}  // namespace strata::wire
