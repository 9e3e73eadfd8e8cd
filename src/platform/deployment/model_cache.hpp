#pragma once

#include <string>

#include "base/result.hpp"
#include "platform/deployment/model_source.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"

namespace strata::platform::deployment {

// The model files on this machine: <folder>/<64 hex digits of the package digest>/..., beside each
// a list of its files that is written last. Content never changes once the list stands.
class ModelCache {
 public:
  ModelCache(std::string folder, Files& files, BlockingPool& pool, Random& random)
      : folder_(std::move(folder)),
        files_(files),
        pool_(pool),
        random_(random) {}

  // Brings the package here if it is not, and checks each file's SHA-256, freshly fetched or not.
  // Returns its directory. A damaged file that was fetched earlier is fetched again. Errors:
  // kChecksumMismatch, kInvalidArgument for a path that leaves the package, what the source and the
  // file system said.
  Task<Result<std::string>> fetch(ModelSource& source, const kernel::Caller& caller,
                                  const ResolvedModel& model);

  // What was fetched under that digest earlier, checked again. Errors: kNotFound,
  // kChecksumMismatch. Blocks.
  Result<ResolvedModel> stored(const std::string& package_digest);
  std::string directory(const std::string& package_digest) const;

 private:
  Status check_list(const ResolvedModel& model) const;
  Status check_file(const std::string& directory, const models::ModelFile& file);
  Task<Status> fetch_file(ModelSource& source, const kernel::Caller& caller,
                          const ResolvedModel& model, const models::ModelFile& file);

  const std::string folder_;
  Files& files_;
  BlockingPool& pool_;
  Random& random_;
};

}  // namespace strata::platform::deployment
