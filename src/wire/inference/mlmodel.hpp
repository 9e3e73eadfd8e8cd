#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::wire {

// The MLmodel file of an MLflow model directory: which flavors it has and what goes in and out.

enum class ColumnType : std::uint8_t {
  kBoolean,
  kInteger,
  kLong,
  kFloat,
  kDouble,
  kString,
  kBinary,
  kDatetime
};
std::string_view column_type_name(ColumnType type);

struct ColumnSpec {
  std::string name;  // empty in a signature without names
  ColumnType type = ColumnType::kDouble;
  bool required = true;
};

struct TensorSpec {
  std::string name;  // empty for the only tensor of a signature without names
  ElementType type = ElementType::kFp32;
  std::vector<std::int64_t> shape;  // -1 for a free dimension
};

// Either columns of a table or tensors.
struct MlSchema {
  std::vector<ColumnSpec> columns;
  std::vector<TensorSpec> tensors;
};

// A parameter of the signature, which requests may bring beside the data.
struct ParamSpec {
  std::string name;
  std::optional<ColumnType> type;  // nothing for an object
  bool list = false;               // one-dimensional
};

struct MlModel {
  // Flavor name to its scalar settings: {"lightgbm": {"data": "model.lgb", ...}}.
  std::map<std::string, std::map<std::string, std::string>> flavors;
  std::optional<MlSchema> inputs;  // nothing when the model was logged without a signature
  std::optional<MlSchema> outputs;
  std::vector<ParamSpec> params;
  std::string run_id;
  std::string model_uuid;
  std::string mlflow_version;
};

// Errors: kMalformed when it is no such YAML; kUnsupported naming the column when a signature holds
// types that are neither scalar columns nor plain tensors.
Result<MlModel> parse_mlmodel(std::string_view yaml);

}  // namespace strata::wire
