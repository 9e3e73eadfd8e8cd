#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engines/duckdb/library.hpp"
#include "wire/sql_engine.hpp"

namespace strata::engines::duckdb {

// The SQL name of a type: "DECIMAL(18,3)", "STRUCT(a INTEGER, b VARCHAR[])".
std::string type_name(const Library& library, duckdb_logical_type type);

// How the cells of one column (or of a nested part of it) are read. Made once for a result, used
// for each of its chunks.
class CellReader {
 public:
  CellReader(const Library& library, duckdb_logical_type type);

  // Looks at another chunk's vector; cells are valid as long as the chunk is.
  void attach(duckdb_vector vector);

  // The cell as a JSON value. Integers up to 64 bits and finite floats are numbers; wider integers
  // and decimals are numbers too while a double holds them exactly and texts otherwise; NaN and
  // infinities are the texts "NaN", "Infinity" and
  // "-Infinity"; dates and times are ISO 8601 texts; BLOBs are base64; lists are arrays, structs
  // objects, maps arrays of
  // {"key", "value"}.
  void append_json(std::string& out, idx_t row) const;
  // The cell as plain text, as CSV shows it: as above, but BLOBs as \xHH..., and nested values as
  // JSON. False for NULL, which adds nothing.
  bool append_text(std::string& out, idx_t row) const;
  bool is_null(idx_t row) const;

 private:
  // Each appends the cell if it is of the types that it knows.
  bool append_whole(std::string& out, idx_t row) const;
  bool append_wide(std::string& out, idx_t row, bool& quote) const;
  void append_scalar(std::string& out, idx_t row, bool& quote) const;
  __int128 huge_at(idx_t row) const;
  void append_nested(std::string& out, idx_t row) const;
  std::string_view text_at(idx_t row) const;
  template <class T>
  T at(idx_t row) const {
    return static_cast<const T*>(data_)[row];
  }

  const Library& library_;
  duckdb_type id_;
  duckdb_type storage_;  // how decimals and enums lie in memory
  int scale_ = 0;
  idx_t array_size_ = 0;
  std::vector<std::string> names_;  // of enum values, struct members or union members
  std::vector<std::unique_ptr<CellReader>> children_;
  const void* data_ = nullptr;
  uint64_t* validity_ = nullptr;
};

// Date and time texts; "infinity" and "-infinity" for the engine's own ends of time.
void append_date(std::string& out, std::int32_t days);
void append_time(std::string& out, std::int64_t value, int fraction_digits);
// `value` counts units of 10^-digits seconds since 1970.
void append_timestamp(std::string& out, std::int64_t value, int fraction_digits);
// An integer of 128 bits with `scale` digits behind the point.
void append_decimal(std::string& out, __int128 value, int scale);

}  // namespace strata::engines::duckdb
