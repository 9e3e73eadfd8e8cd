#pragma once

// Inference: how values that a client sends become what a model takes, by the model's signature.
//
// Promises: what fits a signature is decided once, when the model is opened; a value is never
// changed in silence to fit, but for rounding to the column's floating-point precision; an error
// names the column or input and the row. Owns nothing and keeps no state: a Binding is immutable
// and may be used by any number of threads. Cost: bind() is linear in the values.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "platform/inference/model_runner.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/scoring.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::platform::inference {

// One column that clients send.
struct Column {
  std::string name;
  wire::ColumnType type = wire::ColumnType::kDouble;
  wire::ElementType element = wire::ElementType::kFp64;  // how its values are held
  bool required = true;
};

// What clients see of a model: either columns or tensors go in, tensors come out.
struct Contract {
  std::vector<Column> columns;
  std::vector<wire::TensorSpec> tensors;
  std::vector<wire::TensorSpec> outputs;
  bool bare_output = false;
};

// The values of one request after the signature was enforced: one tensor for each column (shape
// {rows}) or tensor of the contract, in its order and types.
struct Inputs {
  std::size_t rows = 0;
  std::vector<wire::Tensor> tensors;
};

// Fits what clients send to what a model takes, by the model's signature. Values are never silently
// changed, except that floating point may be rounded to the column's precision: 1.5 for an integer,
// a text for a number and a missing required value are errors. A missing value of a double or float
// column is NaN, as in pandas; so is a text that is none of a column's categories.
class Binding {
 public:
  // Errors: kUnsupported or kInvalidArgument saying why signature and model do not fit together.
  static Result<Binding> make(const wire::MlModel& model, const ModelInterface& interface);

  const Contract& contract() const { return contract_; }

  // Tensors by name, or for columns also one two-dimensional tensor in the signature's order.
  // Errors: kInvalidArgument naming the input.
  Result<Inputs> bind(std::vector<wire::Tensor> tensors) const;
  // Errors: kInvalidArgument naming the column and the row, or the parameter.
  Result<Inputs> bind(const wire::ScoringRequest& request) const;
  // One row of zeros and empty texts, or of ones in free dimensions: what a model is tried with
  // when it has no example.
  Inputs blank() const;

  // What the runner takes. The answer looks into `inputs`, which must outlive it.
  Result<std::vector<wire::Tensor>> to_runner(const Inputs& inputs) const;

 private:
  Status bind_columns_of(const wire::MlSchema& schema, const ModelInterface& interface);
  Status bind_tensors_of(const wire::MlSchema& schema, const ModelInterface& interface);
  Result<Inputs> bind_frame(const wire::ScoringRequest& request) const;
  Result<Inputs> bind_arrays(const wire::ScoringRequest& request) const;
  Result<std::vector<wire::ScoringArray>> name_columns(const wire::ScoringArray& whole) const;
  Result<wire::ScoringArray> join_columns(const wire::ScoringRequest& request) const;
  Result<wire::Tensor> bind_column(const Column& column, const wire::ScoringArray* sent,
                                   const wire::ScoringRequest& request) const;
  Result<Inputs> bind_matrix(const wire::Tensor& matrix) const;
  Status check_known(std::span<const wire::Tensor> tensors) const;
  Result<Inputs> finish(std::vector<wire::Tensor> tensors) const;
  wire::Tensor blank_column(std::size_t index, std::size_t rows) const;
  Status fill_matrix(const Inputs& inputs, wire::Tensor& matrix) const;

  Contract contract_;
  std::vector<wire::ParamSpec> params_;
  std::vector<wire::TensorSpec> runner_inputs_;
  bool matrix_ = false;  // the runner takes all columns as one matrix
  std::vector<std::unordered_map<std::string, double>>
      categories_;  // for each column; empty for numbers
};

}  // namespace strata::platform::inference
