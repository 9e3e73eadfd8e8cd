#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/task.hpp"

namespace strata::storage::warehouse {

struct LakeObject {
  std::string bucket;
  std::string key;
  std::uint64_t size = 0;
  std::string digest;  // "sha256:..."
};

// The port through which SQL reaches the lake: always with the caller's rights. Errors are the
// lake's.
class ObjectAccess {
 public:
  virtual ~ObjectAccess() = default;
  // The objects whose key begins with `prefix`, by key; at most `limit`.
  virtual Task<Result<std::vector<LakeObject>>> list(const kernel::Caller& caller,
                                                     const std::string& bucket,
                                                     const std::string& prefix,
                                                     std::size_t limit) = 0;
  // Makes the newest version's bytes the new local file `path`, cheaply, and says which version
  // that was.
  virtual Task<Result<LakeObject>> materialise(const kernel::Caller& caller,
                                               const std::string& bucket, const std::string& key,
                                               const std::string& path) = 0;
  // What else belongs into the commit that makes an object; its error undoes that.
  using Also = std::function<Status(kernel::Writer&, const LakeObject&)>;
  // Stores the local file as a new version of the object.
  virtual Task<Result<LakeObject>> store(const kernel::Caller& caller, const std::string& bucket,
                                         const std::string& key, const std::string& path,
                                         const Also& also) = 0;
};

}  // namespace strata::storage::warehouse
