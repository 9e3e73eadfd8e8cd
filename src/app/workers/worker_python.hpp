#pragma once

#include <span>

namespace strata::app {

// `strata run-model MEMORY_MB SCRATCH INTERPRETER SCRIPT DIRECTORY`: gives up what a model's
// process does not need and becomes the interpreter. Gives an exit code only when that fails.
int run_model_process(std::span<char* const> arguments);

}  // namespace strata::app
