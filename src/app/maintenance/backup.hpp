#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "app/maintenance/fsck.hpp"
#include "base/result.hpp"

namespace strata::app {

struct BackupReport {
  FsckReport checked;  // of the copy
  int passes = 0;      // over the lake: more than one where objects went away meanwhile
  std::uint64_t copied_bytes = 0;
};

// Copies a data directory, in use or not, to `out`, a new or empty directory; then checks the copy
// as fsck does. A server can be started on it.
//
// What it promises: the records are of one moment, and every object that they name is there. Files
// that the records do not decide over (tables, prediction logs, logs of tasks) are of a moment soon
// after it. `release` asks a running server to let its SQL engines write out and end; statements
// that come while a database is copied wait for it. Blocks. Errors: kNotFound, kAlreadyExists
// (`out` holds something), kUnavailable (statements did not end in time), kNoSpace, kDataLoss (the
// copy is not what the records say).
Result<BackupReport> backup_data(const std::string& data, const std::string& out,
                                 const std::function<Status()>& release,
                                 const std::function<void(std::string_view what, std::uint64_t done,
                                                          std::uint64_t all)>& progress);

}  // namespace strata::app
