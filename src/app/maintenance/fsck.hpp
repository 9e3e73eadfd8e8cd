#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace strata::app {

struct FsckReport {
  std::vector<std::string> findings;  // what is wrong, a sentence each
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
  std::uint64_t orphans = 0;  // harmless: a running server removes them
  std::uint64_t contents = 0;
};

// Checks what lies in a data directory that no server uses: the records, every object's bytes
// against its digest, packages and outputs of pipelines, the heads of tables and prediction logs.
// Changes nothing. `progress` is told bytes. Blocks. Errors: kNotFound (no data there), kConflict
// (a server runs), and what cannot be read at all.
Result<FsckReport> check_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

// The same for a directory that is known not to be in use, such as a fresh backup.
Result<FsckReport> check_unused_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

}  // namespace strata::app
