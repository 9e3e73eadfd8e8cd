#include <fmt/format.h>

#include "base/bytes.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/stored.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;
using kernel::Writer;

namespace {

// The source may be written anew, or moved by compaction, while its small blobs are copied.
constexpr int kCopyAttempts = 4;

Result<std::string> read_blob(BlobStore& blobs, const BlobRef& ref) {
  const auto slice = blobs.open(ref);
  if (!slice) return slice.error();
  std::string bytes(static_cast<std::size_t>(slice->length), '\0');
  const auto got = slice->file->read_at(bytes, slice->offset);
  if (!got) return got.error();
  if (*got != bytes.size())
    return Error(Code::kDataLoss, "a stored blob is shorter than its record says");
  return bytes;
}

}  // namespace

// The opened bytes' checksum, read in one pass.
Task<Result<StoredChecksum>> checksum_of_all(ByteSource& body, ChecksumKind kind,
                                             BlockingPool& pool) {
  wire::aws::Checksum sum(kind);
  while (true) {
    const auto piece = co_await body.next();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    const auto add = [&]() -> Status {
      sum.update(*piece);
      return {};
    };
    STRATA_CO_TRY(co_await pool.run(add));
  }
  co_return StoredChecksum{kind, to_base64(sum.finish()), true};
}

// Files are shared and counted. Packed blobs are small and copied, so that a pack's live bytes stay
// a plain sum. False when a packed blob has moved meanwhile.
Task<Result<bool>> Lake::carry_over(const std::vector<BlobRef>& from, std::string owner,
                                    Received& copied, std::vector<BlobRef>& to) {
  for (const auto& ref : from) {
    if (!ref.packed()) {
      to.push_back(ref);
      continue;
    }
    const auto load = [&] {
      return read_blob(ports_.blobs, ref);
    };
    auto bytes = co_await ports_.pool.run(load);
    if (!bytes && bytes.error().code == Code::kNotFound) co_return false;
    if (!bytes) co_return std::move(bytes).error();
    auto made = co_await ports_.blobs.put(*std::move(bytes), owner);
    if (!made) co_return std::move(made).error();
    to.push_back(made->ref());
    copied.blobs.push_back(*std::move(made));
  }
  co_return true;
}

Task<Result<ObjectInfo>> Lake::copy(const Caller& caller, const ObjectName& source,
                                    const ObjectName& target, CopyOptions options) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  std::int64_t source_bucket = 0;
  const auto look = [&](Reader& reader) -> Result<ObjectRow> {
    const auto from = find_bucket(reader, caller, source.bucket());
    if (!from) return from.error();
    const auto to = find_bucket(reader, caller, target.bucket());
    if (!to) return to.error();
    source_bucket = *from;
    auto row = find_object(reader, *from, source.key());
    if (!row) return std::move(row).error();
    if (!*row) return no_such_key(source.key());
    auto held = check_read(options.source_when, (*row)->info);
    if (!held) return Error(Code::kPreconditionFailed, held.error().message, held.error().field);
    return **std::move(row);
  };
  for (int attempt = 1;; ++attempt) {
    auto row = co_await ports_.records.read(look);
    if (!row) co_return std::move(row).error();
    Received copied;
    Stored stored;
    const BlobOwner owner{target.bucket(), target.key(), "", 0};
    const auto carried = co_await carry_over(row->blobs, owner.to_string(), copied, stored.blobs);
    if (!carried) co_return carried.error();
    bool moved = !*carried;
    stored.facts = options.facts.value_or(row->info.facts);
    stored.tags = options.tags.value_or(row->info.tags);
    stored.size = row->info.size;
    stored.etag = row->info.etag;
    stored.digest = row->info.digest;
    stored.checksum = row->info.checksum;
    stored.part_sizes = row->info.part_sizes;
    const auto& has = row->info.checksum;
    if (!moved && options.checksum &&
        !(has && has->kind == *options.checksum && has->full_object)) {
      auto opened = co_await get(caller, source, {});
      if (!opened) co_return std::move(opened).error();
      moved = opened->info.digest != row->info.digest;
      if (!moved) {
        const auto body = read(*std::move(opened));
        auto sum = co_await checksum_of_all(*body, *options.checksum, ports_.pool);
        if (!sum) co_return std::move(sum).error();
        stored.checksum = *std::move(sum);
      }
    }
    const auto commit = [&](Writer& writer) -> Result<ObjectInfo> {
      // The shared files must still be the source's at the commit, or they may be gone.
      const auto now = find_object(writer, source_bucket, source.key());
      if (!now) return now.error();
      if (!*now || (*now)->blobs != row->blobs) moved = true;
      if (moved)
        return Error(Code::kConflict, "the source was changed while it was copied; try again");
      return commit_object(writer, caller, target, stored, options.when);
    };
    if (!moved) {
      auto info = co_await ports_.records.write(commit);
      if (info) copied.keep();
      if (!moved) co_return info;
    }
    if (attempt == kCopyAttempts) {
      co_return Error(
          Code::kConflict,
          fmt::format("'{}' keeps changing while it is copied; try again", source.to_string()),
          "source");
    }
  }
}

Task<Result<Pairs>> Lake::tags(const Caller& caller, const ObjectName& name) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<Pairs> {
    const auto bucket = find_bucket(reader, caller, name.bucket());
    if (!bucket) return bucket.error();
    auto row = find_object(reader, *bucket, name.key());
    if (!row) return std::move(row).error();
    if (!*row) return no_such_key(name.key());
    return std::move((*row)->info.tags);
  };
  co_return co_await ports_.records.read(look);
}

Task<Status> Lake::set_tags(const Caller& caller, const ObjectName& name, Pairs tags) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto change = [&](Writer& writer) -> Status {
    const auto bucket = find_bucket(writer, caller, name.bucket());
    if (!bucket) return bucket.error();
    auto changed = writer.execute("UPDATE lake_objects SET tags = ? WHERE bucket = ? AND key = ?",
                                  {tags_text(tags), *bucket, blob(name.key())});
    if (!changed) return std::move(changed).error();
    if (*changed == 0) return no_such_key(name.key());
    return {};
  };
  co_return co_await ports_.records.write(change);
}

}  // namespace strata::storage::lake
