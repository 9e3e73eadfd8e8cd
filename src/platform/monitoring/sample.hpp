#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "platform/drift/drift.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::platform::monitoring {

// The values of one feature, row by row. Numbers have NaN where they are missing.
struct SampleColumn {
  std::string name;
  drift::Kind kind = drift::Kind::kNumber;
  std::vector<double> numbers;
  std::vector<std::optional<std::string>> texts;
  std::size_t size() const { return kind == drift::Kind::kNumber ? numbers.size() : texts.size(); }
};

// Errors: kInvalidArgument when the column has no value at all.
Result<drift::Bins> bins_of(const SampleColumn& column);
void add_to(drift::Profile& profile, const SampleColumn& column, std::size_t row);
drift::Profile profile_of(std::shared_ptr<const drift::Bins> bins, const SampleColumn& column);

// Rows of the prediction log.
struct LogRows {
  std::vector<Instant> times;
  std::vector<std::string> versions;
  std::vector<bool> failed;
  std::vector<bool> shadow;           // asked beside the answer; empty in old files
  std::vector<SampleColumn> columns;  // "inputs.x", "outputs.y"; "inputs.t[0]" of short lists
  std::size_t size() const { return times.size(); }
};
LogRows rows_of(const wire::ParquetTable& table);
// Adds rows of the same layout; columns that only one side has are dropped.
void append(LogRows& to, LogRows from);

// Columns of the answer to a query, named as its columns are. Columns that are neither numbers,
// texts nor booleans are passed over.
std::vector<SampleColumn> columns_of_answer(const Json& answer);
// Of {"NAME": [values]}. Errors: kInvalidArgument naming column and row.
Result<std::vector<SampleColumn>> columns_of_json(std::string_view field, const Json& columns);

}  // namespace strata::platform::monitoring
