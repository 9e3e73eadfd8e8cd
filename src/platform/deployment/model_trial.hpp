#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "platform/deployment/binding.hpp"
#include "platform/deployment/model_runner.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::platform::deployment {

// A model that was loaded and fits its signature.
struct OpenModel {
  std::string flavor;
  std::shared_ptr<const Binding> binding;
  std::shared_ptr<const ModelRunner> runner;
};

// Opens the package in `directory`, whose files were checked, with the first engine of one of its
// flavors. Blocks. Errors: kUnsupported for flavors without an engine, what engine and signature
// said.
Result<OpenModel> open_model(Files& files, std::span<ModelEngine* const> engines,
                             const std::string& directory);

// What a row costs where nothing could be measured; no request is that cheap.
inline constexpr double kUnknownCost = 1e9;

// Runs the model a few times with its own input example, or else with zeros, so that its first
// caller finds it warm. Gives the microseconds of a row, or kUnknownCost when it refuses zeros.
// Blocks. Errors: kCancelled when it was stopped, what the model said to its own example.
Result<double> try_out(const OpenModel& model, Files& files, const Clock& clock,
                       const std::string& directory, const std::stop_token& stop);

// The port that tries a model where it harms nobody: in a process that may crash, spin or eat
// memory.
class ModelTrial {
 public:
  virtual ~ModelTrial() = default;
  // Opens and tries the package in `directory`; success when the server may open it, too. Blocks,
  // for a bounded time. Errors: what open_model() and try_out() said there; kDataLoss,
  // kDeadlineExceeded or kResourceExhausted when the process died or passed its limits; kCancelled
  // when it was stopped.
  virtual Status run(const std::string& directory, const std::stop_token& stop) = 0;
};

}  // namespace strata::platform::deployment
