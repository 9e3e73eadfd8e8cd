#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::platform::inference {

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

// How many processes a model has that runs in processes of its own: as many as requests are at
// hand, from `least` to `most`. With `least` 0 the last one ends when nobody asked for `idle`, and
// the next request waits until one is ready again.
struct Replicas {
  int least = 1;
  int most = 1;
  std::chrono::seconds idle{300};
  friend bool operator==(const Replicas&, const Replicas&) = default;
};

// The processes of such a model. Threads: all methods from any thread; none blocks.
class ModelProcesses {
 public:
  struct Info {
    Replicas replicas;
    int wanted = 0;  // replicas by the demand of late
    int starting = 0, idle = 0, busy = 0;
    int waiting = 0;                   // requests that no process is free for
    std::uint64_t ended = 0;           // that were not asked to
    std::string last_end;              // why the last of them ended; empty for none
    std::uint64_t memory_bytes = 0;    // resident, of all
    std::int64_t memory_limit_mb = 0;  // of each
  };
  virtual ~ModelProcesses() = default;
  virtual void scale(const Replicas& replicas) = 0;
  virtual Info info() const = 0;
  // What they wrote last to standard output and error, at most a few hundred KiB, valid UTF-8.
  virtual std::string output() const = 0;
};

// A model in memory, ready to answer. The port that engines implement.
// Threads: run() may be called from any number of threads at once. It computes on the calling
// thread and does not wait; where there are processes() it waits for one of them.
// How a column's values are held: an optional whole number or boolean as floating point, which can
// say that it is missing.
wire::ElementType element_of(const wire::ColumnSpec& column);

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
  // The processes in which it runs, when those are not this one.
  virtual ModelProcesses* processes() const { return nullptr; }
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

}  // namespace strata::platform::inference
