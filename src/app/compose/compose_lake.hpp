#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "doors/s3/s3.hpp"
#include "engines/files/file_blob_store.hpp"
#include "storage/lake/lake.hpp"

namespace strata::app {

// The object store with its files below `data`/lake, the S3 door, and the lake's part of Strata's
// own API.
class LakePart final : public Part {
 public:
  explicit LakePart(Core& core);

  // Brings schema and directories up. Blocks; before the doors open.
  Status prepare();
  storage::lake::Lake& lake() { return lake_; }
  storage::lake::BlobStore& blobs() { return blobs_; }

  std::vector<std::pair<Port, http::Door*>> doors() override { return {{Port::kS3, &door_}}; }
  Status start() override;

 private:
  Core& core_;
  engines::files::FileBlobStore blobs_;
  storage::lake::Lake lake_;
  doors::s3::S3Door door_;
};

// Builds the part and adds its routes to `rest`. Blocks.
Result<std::unique_ptr<LakePart>> make_lake_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
