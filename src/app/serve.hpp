#pragma once

#include <string>

#include "app/settings.hpp"
#include "base/result.hpp"

namespace strata::app {

// Runs the server in the foreground until SIGTERM or SIGINT. Blocks. Errors: kConflict when another
// server holds the data directory, and whatever stands in the way of a start.
Status serve(const ServerSettings& settings);

// Directory of this binary and of the prebuilt engines beside it.
std::string executable_path();
std::string engine_libraries();

}  // namespace strata::app
