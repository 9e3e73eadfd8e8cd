#include "app/workers/worker_agent.hpp"

#include <string_view>

#include "app/serve.hpp"
#include "app/workers/worker_model.hpp"
#include "app/workers/worker_python.hpp"
#include "engines/processes/processes.hpp"
#include "engines/python/python.hpp"
#include "resources/orchestrator/orchestrator.hpp"

namespace strata::app {

std::optional<int> run_worker(int argc, char** argv) {
  namespace orchestrator = resources::orchestrator;
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == "shim" && argc == 2) return orchestrator::run_shim();
  if (word == "agent" && argc == 4 && std::string_view(argv[2]) == "--data") {
    orchestrator::AgentOptions options;
    options.data = argv[3];
    options.executable = executable_path();
    return orchestrator::run_agent(options);
  }
  if (word == engines::processes::kTryModel) return run_model_trial({argv + 2, argv + argc});
  if (word == engines::python::kRunModel) return run_model_process({argv + 2, argv + argc});
  return std::nullopt;
}

}  // namespace strata::app
