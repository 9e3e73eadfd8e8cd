#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "storage/lake/objects.hpp"

// How the lake's things stand in records. Private to the room.
namespace strata::storage::lake {

struct ObjectRow {
  ObjectInfo info;
  std::vector<BlobRef> blobs;
};

inline constexpr std::string_view kObjectColumns =
    "key, size, etag, digest, modified, owner, facts, tags, blobs";

Error no_such_bucket(std::string_view name);
Error no_such_key(std::string_view key);
Error no_such_upload(std::string_view id);

Status require(const kernel::Caller& caller, kernel::Permission permission);

// The bucket's row id. Errors: kNotFound, kPermissionDenied (another project's).
Result<std::int64_t> find_bucket(kernel::Reader& reader, const kernel::Caller& caller,
                                 std::string_view name);
// Errors: kDataLoss.
Result<std::optional<ObjectRow>> find_object(kernel::Reader& reader, std::int64_t bucket,
                                             std::string_view key);
// Whether a tree of files has room for `key`; costs a look-up for each of its folders and one.
// Errors: kInvalidArgument.
Status check_in_tree(kernel::Reader& reader, std::int64_t bucket, std::string_view key);
Result<ObjectRow> read_object(const kernel::Row& row);  // of kObjectColumns

// The object's version in the lineage graph.
kernel::NodeRef lineage_ref(const ObjectName& name, std::string_view digest);

std::string facts_text(const ObjectFacts& facts, const std::optional<StoredChecksum>& checksum,
                       const std::vector<std::uint64_t>& part_sizes);
Status read_facts(std::string_view text, ObjectInfo& info);
std::string tags_text(const Pairs& tags);
Result<Pairs> read_tags(std::string_view text);

// Counts blobs as named once more, or once less. Release appends to `freed` the files that nothing
// names any longer.
Status acquire(kernel::Writer& writer, const std::vector<BlobRef>& blobs);
Status release(kernel::Writer& writer, const std::vector<BlobRef>& blobs,
               std::vector<BlobRef>& freed);

// Whether a list such as `"a", W/"b"` or `*` names this etag.
bool names_etag(std::string_view list, std::string_view etag);
// Errors: kNotModified (reads only) and kPreconditionFailed, by the precedence of RFC 9110, 13.2.2.
Status check_read(const Conditions& when, const ObjectInfo& info);
// For writes: `current` is null when there is no object. If-Match of what is not there is
// kNotFound, as S3 answers.
Status check_write(const Conditions& when, const ObjectInfo* current, std::string_view key);

// The part of `size` bytes that is asked. Errors: kOutOfRange.
struct Window {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
Result<Window> resolve(const ByteRange& range, std::uint64_t size);

// The smallest text behind all texts that begin with `prefix`; nothing when there is none.
std::optional<std::string> behind_prefix(std::string_view prefix);

kernel::Blob blob(std::string_view bytes);

}  // namespace strata::storage::lake
