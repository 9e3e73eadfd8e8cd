#pragma once

#include <optional>

namespace strata::app {

// The processes of the scheduler, which are this program under another first word: `agent --data
// DIR` and `shim`. They are entered before anything else is set up, so that they stay small. The
// exit code, or nothing when the words ask for something else.
std::optional<int> run_worker(int argc, char** argv);

}  // namespace strata::app
