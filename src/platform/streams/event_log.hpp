#pragma once

// The log of all pushes: numbered records in files that only grow. Private to the room but for the
// check.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "runtime/files.hpp"

namespace strata::platform::streams {

// Files FIRST.log, FIRST being the sequence of its first record in 20 digits. A file begins with
// "STRATAF1"; each record is its length (u32), the CRC-32C of what follows (u32), its sequence
// (u64) and its bytes. Every start begins a new file, so nothing is ever cut off: what a crash left
// half-written at the end of a file is where the next file does not go on.
class EventLog {
 public:
  // Finds the end of the log. Errors: kDataLoss when records are missing or damaged in its middle.
  static Result<std::unique_ptr<EventLog>> open(Files& files, std::string folder);

  // The sequence of the newest record; 0 when there is none.
  std::uint64_t last() const { return last_; }
  // Appends records as last() + 1 and so on; all are durable when it returns. Errors: those of the
  // disk, after which the log has to be opened anew.
  Status append(const std::vector<std::string>& records);

  using Visit = std::function<Status(std::uint64_t sequence, std::string_view record)>;
  // The records from `first` to last(), in order. Errors: kDataLoss, and what `visit` says.
  Status scan(std::uint64_t first, const Visit& visit) const;

 private:
  EventLog(Files& files, std::string folder) : files_(files), folder_(std::move(folder)) {}
  Status begin_file();

  Files& files_;
  std::string folder_;
  std::vector<std::uint64_t> firsts_;  // of the files, rising
  std::uint64_t last_ = 0;
  std::unique_ptr<File> file_;
  std::uint64_t written_ = 0;  // bytes of file_
};

}  // namespace strata::platform::streams
