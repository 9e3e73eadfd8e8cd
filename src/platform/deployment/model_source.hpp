#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kernel/identity/identity.hpp"
#include "platform/models/models.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/task.hpp"

namespace strata::platform::deployment {

// "models:/NAME@ALIAS" or "models:/NAME/VERSION".
struct ModelRef {
  std::string name;
  std::string alias;    // either this
  std::string version;  // or this
  std::string to_string() const;
  // Errors: kInvalidArgument saying which forms there are.
  static Result<ModelRef> parse(std::string_view text);
};

// One version of a registered model, as the model store knows it now.
struct ResolvedModel {
  std::string name;
  std::string version;
  std::string digest;          // of what the model is: the same for two loggings of the same model
  std::string package_digest;  // models::package_digest() of the files: of all bytes
  std::string run_id;          // the run that logged it; may be empty
  std::string moved_by;        // who let the alias name it; empty without an alias
  std::string root;            // where the source keeps it; only the source reads this
  std::vector<models::ModelFile> files;
};

// Where models come from: the port to the model store.
class ModelSource {
 public:
  virtual ~ModelSource() = default;
  // What the reference names in the caller's project. Errors: kNotFound; kInvalidArgument when it
  // names no version of a registered model.
  virtual Task<Result<ResolvedModel>> resolve(const kernel::Caller& caller,
                                              const ModelRef& ref) = 0;
  // The content of one of its files.
  virtual Task<Result<std::unique_ptr<ByteSource>>> open(const kernel::Caller& caller,
                                                         const ResolvedModel& model,
                                                         const models::ModelFile& file) = 0;
};

}  // namespace strata::platform::deployment
