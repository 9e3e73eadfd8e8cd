#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
  // How often each text stands; empty where each stands once. What a million rows share (an id, a
  // digest) is held and written once.
  std::vector<std::uint32_t> repeats;

  std::size_t element_bytes() const;  // 0 for kText
  std::size_t elements() const;
  // Adds a text `times` times to a column that is filled by this alone.
  void add_run(std::string_view text, std::size_t times);
  // Gives every element a text of its own.
  void unroll();
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

// More rows than one is asked to hold at a time: a damaged file that claims more costs little.
inline constexpr std::size_t kMaxParquetRows = std::size_t{1} << 22;

// Reads what encode_parquet() writes, up to that many rows. Errors: kDataLoss when the bytes are
// damaged, kUnsupported for other Parquet files.
Result<ParquetTable> decode_parquet(std::string_view bytes);

// Reads parts of such a file, however many rows it has: a column's bytes are fetched when they are
// asked for, and only the rows that are asked for become values.
class ParquetReader {
 public:
  // `size` bytes from `offset` on, all of them, or why not.
  using Fetch = std::function<Result<std::string>(std::uint64_t offset, std::size_t size)>;

  // Reads the footer of a file of `size` bytes. Errors: as decode_parquet() and what `fetch` said.
  static Result<ParquetReader> open(std::uint64_t size, Fetch fetch);

  std::size_t rows() const { return rows_; }

  // Rows [first, first + count), at most kMaxParquetRows of them, of all columns.
  Result<ParquetTable> read(std::size_t first, std::size_t count) const;

  struct Run {
    std::string text;
    std::size_t first = 0;
    std::size_t count = 0;
  };
  // Neighbouring rows with the same text in a column of texts without missing cells.
  Result<std::vector<Run>> runs(std::size_t column) const;

 private:
  struct Extent {
    std::uint64_t start = 0;
    std::size_t size = 0;
  };
  std::size_t rows_ = 0;
  std::vector<ParquetColumn> columns_;  // without values
  std::vector<Extent> extents_;
  Fetch fetch_;
};

}  // namespace strata::wire
