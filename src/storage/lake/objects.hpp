#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kernel/records/records.hpp"
#include "storage/lake/blob_store.hpp"
#include "wire/aws/checksum.hpp"

namespace strata::storage::lake {

using wire::aws::ChecksumKind;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// A bucket and a key that may exist: the key is 1 to 1024 bytes of UTF-8 and means nothing but
// itself ("x/../y" is a name).
class ObjectName {
 public:
  // Errors: kInvalidArgument naming "bucket" or "key".
  static Result<ObjectName> make(std::string bucket, std::string key);
  const std::string& bucket() const { return bucket_; }
  const std::string& key() const { return key_; }
  std::string to_string() const { return bucket_ + "/" + key_; }

 private:
  ObjectName(std::string bucket, std::string key)
      : bucket_(std::move(bucket)),
        key_(std::move(key)) {}
  std::string bucket_;
  std::string key_;
};

struct BucketInfo {
  std::string name;
  std::string owner;
  Instant created;
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};

// What a writer says of an object and a reader gets back unchanged.
struct ObjectFacts {
  std::string content_type;
  Pairs headers;   // content-encoding, cache-control ... in lower case
  Pairs metadata;  // names without the x-amz-meta- prefix, in lower case
};

struct StoredChecksum {
  ChecksumKind kind = ChecksumKind::kCrc64Nvme;
  std::string value;  // as the API writes it: base64, with "-N" behind it when it is composite
  bool full_object = true;
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;    // without quotes: MD5 in hex, or MD5 of the parts' MD5s and "-N"
  std::string digest;  // "sha256:...", or "sha256-parts:..." over the parts' SHA-256 values for a
                       // multipart object
  Instant modified;
  std::string owner;
  ObjectFacts facts;
  Pairs tags;
  std::optional<StoredChecksum> checksum;
  std::vector<std::uint64_t> part_sizes;  // empty unless it was uploaded in parts
};

// The state of an object under which a call shall go on. The lists are header values: "*" or etags
// parted by commas.
struct Conditions {
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
  std::optional<Instant> if_modified_since;
  std::optional<Instant> if_unmodified_since;
  // Only writes heed these. What does not exist meets them: there is nothing to lose.
  std::optional<std::uint64_t> if_size;
  std::optional<Instant> if_modified_at;  // to the second, or as finely as it is given
};

// One key of those to remove together.
struct Removal {
  std::string key;
  Conditions when;
};

// What the sender says that the bytes are.
struct Expected {
  std::optional<std::string> md5;  // raw
  std::optional<ChecksumKind>
      checksum;  // computed and stored; CRC-64/NVME when the sender names none
  // The sender's raw value, asked after the body has ended, since it may come as a trailer.
  std::function<Result<std::optional<std::string>>()> checksum_value;
};

struct PutOptions {
  ObjectFacts facts;
  Pairs tags;
  Conditions when;
  Expected expected;
  // The key must have its place in a tree of files beside all others: no key below it, and none
  // that is one of its folders. S3 itself knows no folders.
  bool in_tree = false;
  // What else belongs into the commit that makes the object; its error undoes that.
  std::function<Status(kernel::Writer&, const ObjectInfo&)> also{};
};

// Bytes first..last, or the last `last` ones when `first` is absent (RFC 9110, 14.1.2).
struct ByteRange {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;
};
// A Range header such as "bytes=0-9"; nothing for what is ignored: other units, several ranges,
// nonsense.
std::optional<ByteRange> parse_range(std::string_view text);

struct GetOptions {
  Conditions when;
  std::optional<ByteRange> range;
  // An If-Range header: the range counts only while the object still has this entity tag or this
  // time of change, else the whole is meant (RFC 9110, 13.1.5).
  std::optional<std::string> if_range;
  std::optional<int> part;  // only this part of a multipart object, from 1
};

// An object opened for reading: one version of it, whatever happens to the name meanwhile.
struct OpenObject {
  ObjectInfo info;
  bool partial = false;      // a range or part was asked
  std::uint64_t offset = 0;  // of the bytes below within the object
  std::uint64_t length = 0;
  std::string bytes;              // all of them when the object is small
  std::vector<BlobSlice> slices;  // else where they lie, in order
};

struct ListOptions {
  std::string prefix;
  std::string delimiter;
  std::string after;  // only names behind this one; a common prefix counts as a name
  std::size_t limit = 1000;
};

struct Listing {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string next;  // what `after` must be for the next page
};

struct CopyOptions {
  Conditions source_when;
  std::optional<ObjectFacts> facts;  // kept from the source when absent
  std::optional<Pairs> tags;
  std::optional<ChecksumKind> checksum;  // of the whole, computed anew; the source's when absent
  Conditions when;
};

struct UploadOptions {
  ObjectFacts facts;
  Pairs tags;
  std::optional<ChecksumKind> checksum;
  bool full_object = false;
};

struct UploadInfo {
  std::string id;
  std::string key;
  Instant created;
  std::string owner;
  ChecksumKind checksum = ChecksumKind::kCrc64Nvme;
  bool checksum_named = false;  // by the one who created it
  bool full_object = true;
};

struct PartInfo {
  int number = 0;
  std::uint64_t size = 0;
  std::string etag;
  Instant modified;
  StoredChecksum checksum;
};

struct PartReference {
  int number = 0;
  std::string etag;
  std::optional<StoredChecksum> checksum;
};

struct CompleteOptions {
  std::vector<PartReference> parts;
  Conditions when;
  std::optional<std::uint64_t> size;
  std::optional<StoredChecksum> checksum;
};

// Asked in the commit of each write and removal of an object: what it refuses does not happen.
using Guard = std::function<Status(kernel::Reader&, const ProjectId&, const ObjectName&)>;

}  // namespace strata::storage::lake
