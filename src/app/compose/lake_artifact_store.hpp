#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "platform/tracking/tracking.hpp"
#include "storage/lake/lake.hpp"

namespace strata::app {

// Artifacts as objects of the lake, in one bucket per project: "mlflow-artifacts" for the default
// project. Whoever may use tracking may use its artifacts, so the store asks the lake with the
// rights that it needs, under the caller's name.
class LakeArtifactStore final : public platform::tracking::ArtifactStore {
 public:
  explicit LakeArtifactStore(storage::lake::Lake& lake) : lake_(lake) {}
  static std::string bucket_of(const ProjectId& project);

  Task<Result<platform::tracking::ArtifactInfo>> put(const kernel::Caller& caller, std::string path,
                                                     ByteSource& body) override;
  Task<Result<platform::tracking::Artifact>> open(const kernel::Caller& caller,
                                                  std::string path) override;
  Task<Result<std::vector<platform::tracking::ArtifactInfo>>> list(const kernel::Caller& caller,
                                                                   std::string path) override;
  Task<Result<std::vector<platform::tracking::ArtifactInfo>>> walk(const kernel::Caller& caller,
                                                                   std::string path,
                                                                   std::size_t limit) override;
  Task<Status> remove(const kernel::Caller& caller, std::string path) override;

 private:
  Task<Status> ensure_bucket(const kernel::Caller& rights, const std::string& bucket);
  Task<Result<std::string>> content_sha256(const kernel::Caller& rights, const std::string& bucket,
                                           const std::string& key, const std::string& digest);

  storage::lake::Lake& lake_;
  std::mutex mutex_;
  std::set<std::string> buckets_;  // known to exist
};

}  // namespace strata::app
