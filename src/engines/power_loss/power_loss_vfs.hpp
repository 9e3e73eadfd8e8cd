#pragma once

#include <memory>
#include <string>

#include "engines/power_loss/power_loss_files.hpp"

namespace strata::engines::power_loss {

// SQLite's door to a PowerLossFiles: a VFS that is known under name() for as long as this lives.
// It asks the disk for a sync exactly where SQLite's own "unix" VFS does, the directory of a new
// journal included; locks and the index of the log are kept in memory, shared by the connections of
// one VFS, and die with it as with a process. The disk outlives it; the connections do not.
class PowerLossVfs {
 public:
  explicit PowerLossVfs(PowerLossFiles& disk);
  ~PowerLossVfs();
  PowerLossVfs(const PowerLossVfs&) = delete;
  const std::string& name() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::engines::power_loss
