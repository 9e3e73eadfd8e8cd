#pragma once

#include <string_view>

namespace strata::engines::python {

// The text of worker.py, which a process runs for one model.
std::string_view worker_program();

}  // namespace strata::engines::python
