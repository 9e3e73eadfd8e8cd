#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata {

// One open file. Every call blocks; use it on a BlockingPool thread. Not for use by two threads at
// once, except read_at.
class File {
 public:
  virtual ~File() = default;
  // Reads up to out.size() bytes at `offset`; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::span<char> out, std::uint64_t offset) = 0;
  virtual Status append(std::string_view bytes) = 0;
  // Makes the content durable (fdatasync). After a failure the file's state is unknown: give it up,
  // never retry.
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() = 0;
  // The descriptor for sendfile, or -1 where there is none.
  virtual int descriptor() const = 0;
};

// The port to the file system. Only this port renames and syncs directories, so that "durable" has
// one meaning: publish() and replace() return when content and name survive a power loss. All paths
// are absolute. All calls block.
class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;
  // Creates a new empty file for appending, with the given permission bits. Errors: kAlreadyExists.
  virtual Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode = 0600) = 0;
  // Opens for appending, creating it when absent.
  virtual Result<std::unique_ptr<File>> append_to(const std::string& path) = 0;
  // Moves a synced file to its final name, replacing what was there, and syncs both directories.
  Status publish(const std::string& from, const std::string& to);
  // Atomically sets the whole content of `path` with the given permission bits.
  Status replace(const std::string& path, std::string_view content, unsigned mode = 0600);
  virtual Status remove(const std::string& path) = 0;  // a missing file is success
  // Makes the directory and those above it that are missing.
  Status make_dirs(const std::string& path);
  // Makes durable which names a directory holds. The verbs above do so themselves.
  virtual Status sync_names(const std::string& dir) = 0;
  virtual Result<std::string> read_all(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;  // names, sorted
  virtual bool exists(const std::string& path) = 0;
  // A second name for the same content, or a copy where the file system cannot. Errors:
  // kAlreadyExists.
  virtual Status link(const std::string& from, const std::string& to) = 0;

 protected:
  // Steps of the verbs above, not durable by themselves.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status make_dir(const std::string& path) = 0;  // Errors: kAlreadyExists, kNotFound.
};

// The real file system by POSIX calls.
class SystemFiles : public Files {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path) override;
  Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode = 0600) override;
  Result<std::unique_ptr<File>> append_to(const std::string& path) override;
  Status remove(const std::string& path) override;
  Status sync_names(const std::string& dir) override;
  Result<std::string> read_all(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  bool exists(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;

 protected:
  Status rename(const std::string& from, const std::string& to) override;
  Status make_dir(const std::string& path) override;
};

// Holds an exclusive lock on `path` for the life of the object; the kernel frees it when the
// process dies.
class FileLock {
 public:
  // Waits up to `patience` for another holder: the lock of a process that was killed is free only
  // when the kernel has taken the process down. Errors: kConflict when another process holds it.
  static Result<FileLock> acquire(const std::string& path, std::chrono::milliseconds patience = {});
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace strata
