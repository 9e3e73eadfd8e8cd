#pragma once

#include <memory>

#include "engines/duckdb/encoder.hpp"

namespace strata::engines::duckdb {

// Apache Arrow IPC streaming format; one record batch for each chunk. ENUM columns are sent as
// utf8, because the writer knows no dictionaries. Errors: kUnsupported for ENUM inside of nested
// types.
Result<std::unique_ptr<Encoder>> make_arrow_encoder(const Library& library, duckdb_result& result);

}  // namespace strata::engines::duckdb
