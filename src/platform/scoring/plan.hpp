#pragma once

// What a scoring does, as far as it follows from what it is asked for, from the columns of the
// input and from the model: pure functions and values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/inference/inference.hpp"
#include "wire/parquet/parquet.hpp"
#include "wire/sql_engine.hpp"

namespace strata::platform::scoring {

using wire::sql_engine::ColumnInfo;

// What is asked for.
struct Draft {
  std::string model;     // models:/NAME@ALIAS or models:/NAME/VERSION
  std::string input;     // TABLE, SCHEMA.TABLE or s3://bucket/key
  std::string output;    // the same; the ending of a key says its form
  std::string mode;      // create, replace or append; empty: create a table, replace an object
  bool keep_all = true;  // all columns of the input are in the output
  std::vector<std::string> keep;          // else these
  std::vector<std::string> features;      // of a model that takes one tensor: its columns in order
  std::string prediction = "prediction";  // what the column is called, or how several begin

  Json to_json() const;
  static Draft from_json(const Json& json);
};

// A table or an object.
struct Place {
  std::string schema, table;  // either these
  std::string object;         // or this, "s3://bucket/key"
  // As SQL reads it.
  std::string sql() const;
  // Errors: kInvalidArgument, naming `field`.
  static Result<Place> parse(std::string_view text, std::string_view field);
};

// Checks what can be told without looking. Errors: kInvalidArgument, naming the field.
Status check_draft(const Draft& draft);

// How the server's own files are called in statements.
inline constexpr std::string_view kCopyName = "s3://STRATA-SCORING/input.parquet";
std::string part_name(std::size_t number);
// Which row of the input it is, from 0, in the copy and in the predictions.
inline constexpr std::string_view kRowColumn = "__strata_row";

// How one scoring reads and writes.
struct Plan {
  std::vector<ColumnInfo> columns;    // of the copy
  std::vector<ColumnInfo> features;   // what the model is given, by the model's names in its order
  std::vector<std::string> required;  // of these the ones that may miss no value
  std::vector<ColumnInfo> kept;       // what stands in the output
  std::vector<std::string> predictions;  // the names of the model's outputs in the output
};

// Errors: kInvalidArgument for a column that is not there, of a type that the model does not take,
// or twice in the output.
Result<Plan> make_plan(const Draft& draft, const inference::Contract& contract,
                       const std::vector<ColumnInfo>& input);
// Whether the copy has the types that the plan was made for. Errors: kConflict naming the column.
Status check_copy(const Plan& plan, const std::vector<ColumnInfo>& copied);

std::string copy_sql(const Draft& draft, const Plan& plan);
// The first row of each required feature that misses a value; empty when none is required.
std::string missing_sql(const Plan& plan);
std::string read_sql(const Plan& plan);
struct Stamp {
  std::string model, version, digest;
};
std::string commit_sql(const Draft& draft, const Plan& plan, std::size_t parts, const Stamp& stamp);

// Some rows of the input as a payload of MLflow's scoring protocol.
struct RowBatch {
  std::size_t first = 0;
  std::size_t count = 0;
  std::string rows;  // "[...],[...]", without the row numbers
};

// Takes an answer of read_sql() apart as it arrives.
class RowReader {
 public:
  // Errors: kInternal when rows are not numbered one after the other.
  Status add(std::string_view piece);
  // The next rows, at most about so many bytes of them; nothing when there are less than that
  // and `all` is not set.
  std::optional<RowBatch> take(std::size_t rows, std::size_t bytes, bool all);
  std::size_t seen() const { return next_; }

 private:
  Status end_row();

  std::string head_;      // until the rows begin
  bool in_rows_ = false;  // the rows have begun
  bool over_ = false;
  bool in_text_ = false, escaped_ = false;
  int depth_ = 0;
  std::string row_;
  std::size_t next_ = 0;
  std::vector<RowBatch> ready_;
  static constexpr std::size_t kTogether = 256;
};

std::string payload_of(const Plan& plan, const RowBatch& batch);
// JSON has no NaN: SQL's answer says "NaN" and "Infinity" in columns of floating point.
void restore_numbers(wire::ScoringRequest& request, const Plan& plan);

// What the model said, as a table that waits to be written.
class Predictions {
 public:
  explicit Predictions(std::vector<std::string> names);
  // Errors: kUnsupported for outputs that are not one value or list for each row.
  Status add(const RowBatch& batch, const std::vector<wire::Tensor>& outputs);
  std::size_t rows() const { return table_.rows; }
  std::size_t bytes() const { return bytes_; }
  // The rows so far as a Parquet file; none are left.
  std::string take();

 private:
  std::vector<std::string> names_;
  wire::ParquetTable table_;
  std::size_t bytes_ = 0;
};

}  // namespace strata::platform::scoring
