#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace strata::engines::duckdb {

// Takes from this process, for good, all files but those below `writable` and `readable`, and all
// TCP connections (Landlock, Linux 5.13; TCP from 6.7). To be called before threads start. Errors:
// kUnsupported where the kernel has no Landlock.
Status confine(const std::vector<std::string>& writable, const std::vector<std::string>& readable);

}  // namespace strata::engines::duckdb
