#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "runtime/files.hpp"

namespace strata {

// Lines in a file that does not grow for ever: from `size` bytes on they go on in a new one, and
// the former is PATH.1, the one before it PATH.2, up to PATH.5. Thread-safe.
//
// Promises: each line is in one file, whole, and once; PATH is always there for readers. What
// cannot be written, and files that cannot be changed, are told to `fault`: lines then go on where
// they went.
class LogFile {
 public:
  static constexpr int kKept = 5;

  using Fault = std::function<void(const Error&)>;

  // Goes on behind what the file holds. Blocks. Errors: those of opening it.
  static Result<std::unique_ptr<LogFile>> open(std::string path, std::uint64_t size, Fault fault);

  void write(std::string_view line);
  // Goes on in the file that PATH names now, made if it is not there: for who has renamed the file.
  void reopen();

 private:
  LogFile(std::string path, std::uint64_t size, Fault fault);

  void tell(const Status& done) const;
  Status attach();
  void use(std::unique_ptr<File> file, std::uint64_t held);
  bool is_full();
  Status rotate();
  std::string numbered(int number) const;

  // Names of logs need not outlive a power loss, so none of these changes waits for the disk.
  class Names final : public SystemFiles {
   public:
    using SystemFiles::rename;
  };

  const std::string path_;
  const std::uint64_t size_;
  const Fault fault_;
  std::mutex mutex_;
  Names files_;
  std::unique_ptr<File> file_;
  std::uint64_t written_ = 0;    // bytes in the file, as far as we know
  std::uint64_t rotate_at_ = 0;  // bytes from which on it is full
  std::string line_;             // kept, so that a line costs no allocation
};

}  // namespace strata
