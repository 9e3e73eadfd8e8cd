#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// The payloads of MLflow's scoring protocol (POST /invocations), without knowledge of any model:
// dataframe_split, dataframe_records, instances, inputs and text/csv, each as arrays of cells.

struct ScoringCell {
  enum class Kind : std::uint8_t { kMissing, kBool, kInt, kUnsigned, kDouble, kText };
  Kind kind = Kind::kMissing;
  std::uint32_t text = 0;  // kText: index into ScoringRequest::texts
  union {
    std::int64_t integer = 0;
    std::uint64_t unsigned_integer;
    double number;
    bool boolean;
  };
};

struct ScoringArray {
  std::string name;                 // a column or input; empty where the payload has no names
  std::vector<std::int64_t> shape;  // {rows} for a column
  std::vector<ScoringCell> cells;   // row-major
};

enum class ScoringForm : std::uint8_t { kSplit, kRecords, kInstances, kInputs, kCsv };

// A member of "params"; the last one of a name counts.
struct ScoringParam {
  enum class Form : std::uint8_t { kScalar, kList, kObject };
  std::string name;
  Form form = Form::kScalar;
  bool nested = false;             // a list that holds lists or objects
  std::vector<ScoringCell> cells;  // one for a scalar, none for an object
};

struct ScoringRequest {
  ScoringForm form = ScoringForm::kSplit;
  std::vector<ScoringArray> arrays;
  std::vector<ScoringParam> params;
  std::vector<std::string> texts;
  std::size_t first_row = 0;  // the number of its first row, for messages
};

// `content_type` decides between JSON and CSV.
// Errors: kUnsupportedMediaType for any other type or a charset that is not UTF-8; kMalformed and
// kInvalidArgument naming the part of the payload that is wrong.
Result<ScoringRequest> decode_scoring(std::string_view body, std::string_view content_type);

}  // namespace strata::wire
