#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engines/python/fleet.hpp"
#include "platform/inference/model_runner.hpp"
#include "wire/inference/mlmodel.hpp"

namespace strata::engines::python {

// What a Python model takes, by its signature: each column as a tensor of its own, each tensor as
// it is. `outputs` is empty; errors: kUnsupported for a model without a signature.
Result<platform::inference::ModelInterface> inputs_of(const wire::MlModel& model);

// What it gives, as an answer shows: the first dimension free, the others as they were.
void learn_outputs(platform::inference::ModelInterface& interface,
                   const wire::WorkerAnswer& answer);
// The same by the signature; false where it names none.
bool read_outputs(platform::inference::ModelInterface& interface, const wire::MlModel& model);

// The values of an answer in the types that the interface promises: what fits exactly is
// converted, anything else is an error. Errors: kInternal naming the output.
Result<std::vector<wire::Tensor>> fit_outputs(const platform::inference::ModelInterface& interface,
                                              wire::WorkerAnswer answer);

// A model whose runs are answered by processes, which end with it.
class PythonRunner final : public platform::inference::ModelRunner {
 public:
  PythonRunner(std::shared_ptr<Fleet> fleet, platform::inference::ModelInterface interface)
      : fleet_(std::move(fleet)),
        interface_(std::move(interface)) {}
  ~PythonRunner() override { fleet_->close(); }

  const platform::inference::ModelInterface& interface() const override { return interface_; }
  Result<std::vector<wire::Tensor>> run(std::span<const wire::Tensor> inputs,
                                        const std::stop_token& stop) const override;
  platform::inference::ModelProcesses* processes() const override { return fleet_.get(); }

 private:
  std::shared_ptr<Fleet> fleet_;
  platform::inference::ModelInterface interface_;
};

}  // namespace strata::engines::python
