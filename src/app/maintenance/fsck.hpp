#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kernel/audit/chain.hpp"

namespace strata::app {

struct FsckReport {
  std::vector<std::string> findings;  // what is wrong, a sentence each
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
  std::uint64_t orphans = 0;  // harmless: a running server removes them
  std::uint64_t contents = 0;
  std::optional<kernel::ChainReport> audit;  // none in data from before the log was chained
};

// Checks what lies in a data directory that no server uses: the records, the chain of the audit log
// (with `kept`, that it only grew since that head), every object's bytes against its digest,
// packages and outputs of pipelines, the heads of tables and prediction logs, every record of the
// log of features. Changes nothing. `progress` is told bytes. Blocks. Errors: kNotFound (no data
// there), kConflict (a server runs), and what cannot be read at all.
Result<FsckReport> check_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress,
    std::optional<kernel::ChainHead> kept = {});

// The same for a directory that is known not to be in use, such as a fresh backup.
Result<FsckReport> check_unused_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress,
    std::optional<kernel::ChainHead> kept = {});

}  // namespace strata::app
