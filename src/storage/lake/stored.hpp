#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"

// What passes between the steps of a write. Private to the room.
namespace strata::storage::lake {

// A body that is durable and was what its sender said, but is named by no record yet.
struct Lake::Received {
  std::vector<NewBlob> blobs;  // none for an empty body
  std::uint64_t size = 0;
  std::string md5;                                              // raw
  std::string sha256;                                           // raw
  std::vector<std::pair<ChecksumKind, std::string>> checksums;  // raw, in the order asked

  std::vector<BlobRef> refs() const {
    std::vector<BlobRef> out;
    out.reserve(blobs.size());
    for (const auto& blob : blobs)
      out.push_back(blob.ref());
    return out;
  }
  void keep() {
    for (auto& blob : blobs)
      blob.keep();
  }
};

// All that a record of a new object says, but for its time and owner.
struct Lake::Stored {
  ObjectFacts facts;
  Pairs tags;
  std::uint64_t size = 0;
  std::string etag;
  std::string digest;
  std::optional<StoredChecksum> checksum;
  std::vector<std::uint64_t> part_sizes;
  std::vector<BlobRef> blobs;
  bool counted = false;  // the blobs are counted as named already
};

// The note that a packed blob carries for compaction: whose bytes it holds.
struct BlobOwner {
  std::string bucket;
  std::string key;
  std::string upload;  // empty for the bytes of an object
  int part = 0;

  std::string to_string() const;
  static std::optional<BlobOwner> parse(std::string_view text);
};

}  // namespace strata::storage::lake
