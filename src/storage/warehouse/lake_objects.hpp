#pragma once

#include "runtime/pool.hpp"
#include "storage/lake/lake.hpp"
#include "storage/warehouse/object_access.hpp"

namespace strata::storage::warehouse {

// SQL's way into this server's own lake.
class LakeObjects final : public ObjectAccess {
 public:
  LakeObjects(lake::Lake& lake, BlockingPool& pool) : lake_(lake), pool_(pool) {}

  Task<Result<std::vector<LakeObject>>> list(const kernel::Caller& caller,
                                             const std::string& bucket, const std::string& prefix,
                                             std::size_t limit) override;
  Task<Result<LakeObject>> materialise(const kernel::Caller& caller, const std::string& bucket,
                                       const std::string& key, const std::string& path) override;
  Task<Result<LakeObject>> store(const kernel::Caller& caller, const std::string& bucket,
                                 const std::string& key, const std::string& path,
                                 const Also& also) override;

 private:
  lake::Lake& lake_;
  BlockingPool& pool_;
};

}  // namespace strata::storage::warehouse
