#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "platform/inference/inference.hpp"
#include "platform/inference/model_runner.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::platform::inference {

// A model that was loaded and fits its signature.
struct OpenModel {
  std::string flavor;
  std::string why;  // why it runs in processes of its own; empty where it runs in this one
  std::shared_ptr<const Binding> binding;
  std::shared_ptr<const ModelRunner> runner;
};

// Opens the package in `directory`, whose files were checked, with the first engine of one of its
// flavors. Blocks. Errors: kUnsupported for flavors without an engine, what engine and signature
// said.
Result<OpenModel> open_model(Files& files, std::span<ModelEngine* const> engines,
                             const std::string& directory);

// What a model is tried with: its own input example, or else zeros.
struct Example {
  Inputs inputs;
  bool own = false;
};
// Blocks.
Example example_of(const Binding& binding, Files& files, const std::string& directory);

// What a row costs where nothing could be measured; no request is that cheap.
inline constexpr double kUnknownCost = 1e9;

// Runs the model a few times with its own input example, or else with zeros, so that its first
// caller finds it warm. Gives the microseconds of a row, or kUnknownCost when it refuses zeros.
// Blocks. Errors: kCancelled when it was stopped, what the model said to its own example.
Result<double> try_out(const OpenModel& model, Files& files, const Clock& clock,
                       const std::string& directory, const std::stop_token& stop);

// What a model made of requests that its signature allows and its training need not have had.
struct ProbeReport {
  // A letter for each request: '.' answered, 'f' failed, 'n' answered with NaN or infinity, 'd'
  // answered twice with different bits.
  std::string cases;
  std::string failure;             // what it said to the first that failed, and which that was
  std::uint64_t memory_bytes = 0;  // the most that its process held; 0 where it shares one

  std::string to_text() const;
  // Errors: kDataLoss for what to_text() did not write.
  static Result<ProbeReport> parse(std::string_view text);
};

// A request of one row that the contract allows, always the same one for a number: ends of the
// ranges of its types, values of all magnitudes, missing ones where they may be, texts of other
// scripts and lengths, `categories` of the text columns. A column has the same value in all
// contracts in which its name and type are the same, so that versions are asked alike.
// Errors: those of Binding::bind().
Result<Inputs> legal_request(const Binding& binding,
                             std::span<const std::vector<std::string>> categories,
                             std::uint64_t number);

// Asks the model `count` legal requests, each twice. Blocks. Errors: kCancelled when it was
// stopped.
Result<ProbeReport> probe(const Binding& binding, const ModelRunner& runner, std::size_t count,
                          const std::stop_token& stop);

// The port that opens models which no engine opens in this process: their code runs in processes of
// their own, where it harms nobody, so that they need no other trial.
class ModelHost {
 public:
  virtual ~ModelHost() = default;
  // Opens the package in `directory`, whose files were checked, and runs it once. The runner has
  // processes(), which end with it. Blocks until one is ready, for a bounded time. Errors:
  // kUnsupported with the way out, kCancelled when it was stopped; what the model said.
  virtual Result<OpenModel> open(const std::string& directory, const std::stop_token& stop) = 0;
};

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
  // Opens the package and asks it `count` legal requests. Blocks, for a bounded time. Errors: as of
  // run(), where the process died of one of them, too.
  virtual Result<ProbeReport> probe(const std::string& directory, std::size_t count,
                                    const std::stop_token& stop) = 0;
};

}  // namespace strata::platform::inference
