#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::platform::deployment {

// What a loaded model takes and gives, as the engine itself knows it.
struct ModelInterface {
  std::vector<wire::TensorSpec> inputs;  // a free dimension is -1
  std::vector<wire::TensorSpec> outputs;
  bool bare_output = false;  // one output without a name of its own
  std::vector<std::string>
      features;  // names of the columns of the only input; empty when the engine knows none
  std::vector<std::vector<std::string>>
      categories;            // of the text columns, in order; a text's code is its position
  bool steady_cost = false;  // what a run costs follows from the shapes of its inputs alone
};

// A model in memory, ready to answer. The port that engines implement.
// Threads: run() may be called from any number of threads at once. It computes on the calling
// thread and does not wait.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual const ModelInterface& interface() const = 0;
  // `inputs` match interface().inputs in order, type and fixed dimensions. The answer has
  // interface().outputs in order. A run that is asked to stop ends as soon as the engine can end
  // it. Errors: kInvalidArgument for what the model itself refuses, kTooLarge for an answer that
  // would be, kCancelled when it was stopped, kInternal for the engine's own faults.
  virtual Result<std::vector<wire::Tensor>> run(std::span<const wire::Tensor> inputs,
                                                const std::stop_token& stop) const = 0;
};

// Loads models of one MLflow flavor; opens its library when the first one is loaded.
class ModelEngine {
 public:
  virtual ~ModelEngine() = default;
  virtual std::string_view flavor() const = 0;
  // `directory` holds the package's files, already checked. Blocks.
  // Errors: kUnsupported with the way out when it cannot serve this kind of model, kUnavailable
  // when the library is missing.
  virtual Result<std::unique_ptr<ModelRunner>> load(const std::string& directory,
                                                    const wire::MlModel& model) = 0;
};

}  // namespace strata::platform::deployment
