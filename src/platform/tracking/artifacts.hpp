#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kernel/identity/identity.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/files.hpp"
#include "runtime/task.hpp"

namespace strata::platform::tracking {

struct ArtifactInfo {
  std::string path;  // from the store's root
  std::uint64_t size = 0;
  std::string sha256;  // 64 hexadecimal digits of the whole content; empty for a directory
  bool directory = false;
};

// Part of a stored file; the bytes are read when they are sent.
struct Artifact {
  ArtifactInfo info;
  std::unique_ptr<ByteSource> body;
};

// Where artifacts lie: per project a tree of files, each replaced as a whole. Paths have been
// checked by the caller.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;
  // Streams `body` into the file, hashing as it goes; visible and durable as a whole, or not at
  // all. Errors: kInvalidArgument where a directory has that path, or a file that of one of its
  // directories.
  virtual Task<Result<ArtifactInfo>> put(const kernel::Caller& caller, std::string path,
                                         ByteSource& body) = 0;
  // Errors: kNotFound.
  virtual Task<Result<Artifact>> open(const kernel::Caller& caller, std::string path) = 0;
  // Files and directories directly below `path` ("" for the root), by name; nothing when there is
  // no such directory.
  virtual Task<Result<std::vector<ArtifactInfo>>> list(const kernel::Caller& caller,
                                                       std::string path) = 0;
  // All files below the directory `path`, by path, at most `limit`. Errors: kTooLarge when there
  // are more.
  virtual Task<Result<std::vector<ArtifactInfo>>> walk(const kernel::Caller& caller,
                                                       std::string path, std::size_t limit) = 0;
  // Removes the file, or all files below the directory; nothing there is success.
  virtual Task<Status> remove(const kernel::Caller& caller, std::string path) = 0;
};

}  // namespace strata::platform::tracking
