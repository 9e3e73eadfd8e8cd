#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "engines/python/environments.hpp"
#include "engines/python/keeper.hpp"
#include "platform/inference/model_trial.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::engines::python {

struct PythonOptions {
  std::string executable;   // this program
  std::string folder;       // absolute; the worker's program and what processes write
  std::string environment;  // "build", "off", a Python, or the folder of a virtual environment
  EnvironmentOptions building;
  std::int64_t memory_mb = 0;            // of one process
  int spare = 1;                         // processes that stand ready beside those at work
  std::chrono::seconds load_limit{120};  // to load a model
};

// Serves MLflow's python_function flavor, which nearly every model has, in processes of its own: a
// Python that loads the model with mlflow and answers over a socket. Threads: all methods from any.
class PythonHost final : public platform::inference::ModelHost {
 public:
  PythonHost(PythonOptions options, Files& files, const Clock& clock);

  // Writes the worker's program. Blocks; before open().
  Status prepare();
  // Errors: kUnsupported also for a model without that flavor, and where Python is off; what the
  // building of its environment said.
  Result<platform::inference::OpenModel> open(const std::string& directory,
                                              const std::stop_token& stop) override;

 private:
  Result<std::string> interpreter(const std::string& directory, const std::stop_token& stop);

  const PythonOptions options_;
  Files& files_;
  const Clock& clock_;
  std::string script_;
  Environments environments_;
  Keeper keeper_;
};

}  // namespace strata::engines::python
