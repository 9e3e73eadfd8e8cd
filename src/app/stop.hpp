#pragma once

#include <string>

#include "base/result.hpp"

namespace strata::app {

// Asks the server on a data directory to end and waits until it has. Errors: kNotFound when none
// runs there.
Status stop_server(const std::string& data_dir, bool now);

}  // namespace strata::app
