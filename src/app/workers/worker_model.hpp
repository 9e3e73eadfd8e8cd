#pragma once

#include <span>

namespace strata::app {

// The process of engines/processes: opens a model and tries it, within limits on time and memory.
// `arguments` are those behind its name. The exit code is 0 when it went well.
int run_model_trial(std::span<char* const> arguments);

}  // namespace strata::app
