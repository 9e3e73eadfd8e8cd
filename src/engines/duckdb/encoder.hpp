#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engines/duckdb/library.hpp"
#include "wire/sql_engine.hpp"

namespace strata::engines::duckdb {

using Relieve = std::function<void(std::string& out)>;

// Turns the chunks of one result into the bytes of its answer. One thread.
class Encoder {
 public:
  virtual ~Encoder() = default;
  // What stands before the first row.
  virtual Status begin(std::string& out) = 0;
  // The first `rows` rows of `chunk`. Between rows, where the format allows it, `relieve` may take
  // what `out` holds: a chunk of long texts is far larger than what one wants to hold of it twice.
  virtual Status add(std::string& out, duckdb_data_chunk chunk, idx_t rows,
                     const Relieve& relieve) = 0;
  virtual Status end(std::string& out) = 0;
};

// JSON: {"columns":[...],"rows":[[...],...  and no end, which the server writes together with what
// it knows of the query. CSV: RFC 4180 but for its line ends, which are LF, with a header line;
// NULL is an empty field, an empty text is "". Arrow: the IPC streaming format. Errors:
// kUnsupported for types that the format cannot carry.
Result<std::unique_ptr<Encoder>> make_encoder(const Library& library,
                                              wire::sql_engine::Format format,
                                              duckdb_result& result);

// Names and types of a result's columns.
std::vector<wire::sql_engine::ColumnInfo> columns_of(const Library& library, duckdb_result& result);

}  // namespace strata::engines::duckdb
