#pragma once

#include <memory>

#include "app/core.hpp"

namespace strata::app {

// The browser UI on the HTTP port.
std::unique_ptr<Part> make_ui_part();

}  // namespace strata::app
