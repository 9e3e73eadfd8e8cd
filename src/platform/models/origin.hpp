#pragma once

#include "platform/models/models.hpp"

namespace strata::platform::models {

// Where a new version comes from: what its source stands for.
struct Origin {
  std::string download_uri;
  std::string run_id;
  std::string model_id;
  std::optional<std::string>
      root;  // in the artifact store; absent for other stores and for prompts
};

struct Package {
  std::vector<ModelFile> files;
  std::string digest;
  std::string package_digest;
  std::string manifest;  // empty until it was described
};

}  // namespace strata::platform::models
