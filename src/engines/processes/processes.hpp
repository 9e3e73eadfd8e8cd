#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "platform/inference/model_trial.hpp"
#include "runtime/clock.hpp"

namespace strata::engines::processes {

inline constexpr std::string_view kTryModel = "try-model";
// What such a process tells goes to this descriptor, at most kMostReport bytes, which a pipe always
// takes: of a model that failed the number of the error's code, a blank, its message; of one that
// was probed its report.
inline constexpr int kTrialReport = 3;
inline constexpr std::size_t kMostReport = 2000;

// Tries a model in a process of this same program, `strata try-model LIBRARIES DIRECTORY
// RUN_SECONDS CPU_SECONDS MEMORY_MB PROBES`, which has the time of a load and one run, and half of
// the machine's memory. Exit code 0: the model can be opened.
class ProcessModelTrial final : public platform::inference::ModelTrial {
 public:
  // `executable` is this program, `libraries` the folder of the engines' libraries.
  ProcessModelTrial(std::string executable, std::string libraries, std::chrono::seconds run_limit,
                    const Clock& clock)
      : executable_(std::move(executable)),
        libraries_(std::move(libraries)),
        run_limit_(run_limit),
        clock_(clock) {}

  Status run(const std::string& directory, const std::stop_token& stop) override;
  Result<platform::inference::ProbeReport> probe(const std::string& directory, std::size_t count,
                                                 const std::stop_token& stop) override;

 private:
  // What the process told before it ended well.
  Result<std::string> start(const std::string& directory, std::size_t probes,
                            const std::stop_token& stop);

  const std::string executable_;
  const std::string libraries_;
  const std::chrono::seconds run_limit_;
  const Clock& clock_;
};

}  // namespace strata::engines::processes
