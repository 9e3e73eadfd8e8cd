#pragma once

#include <optional>

namespace strata::app {

// The processes that are this program under another first word: the scheduler's `agent --data DIR`
// and `shim`, and `try-model`. They are entered before anything else is set up, so that they stay
// small. The exit code, or nothing when the words ask for something else.
std::optional<int> run_worker(int argc, char** argv);

}  // namespace strata::app
