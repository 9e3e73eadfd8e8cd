#include <fmt/format.h>

#include "base/bytes.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/stored.hpp"
#include "storage/lake/task_uses.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;
using kernel::Writer;
using wire::aws::Checksum;

namespace {

constexpr std::size_t kChunk = 1U << 20;  // bytes hashed and written at once by a pool thread

// Every hash that a stored body needs, in one pass.
class Hashes {
 public:
  explicit Hashes(const std::vector<ChecksumKind>& kinds) {
    for (const auto kind : kinds)
      checksums_.emplace_back(kind);
  }
  void update(std::string_view bytes) {
    md5_.update(bytes);
    sha256_.update(bytes);
    for (auto& sum : checksums_)
      sum.update(bytes);
  }
  std::string md5() { return md5_.finish(); }
  std::string sha256() { return sha256_.finish(); }
  std::vector<std::pair<ChecksumKind, std::string>> checksums() {
    std::vector<std::pair<ChecksumKind, std::string>> out;
    out.reserve(checksums_.size());
    for (auto& sum : checksums_)
      out.emplace_back(sum.kind(), sum.finish());
    return out;
  }

 private:
  Digest md5_{DigestKind::kMd5};
  Digest sha256_{DigestKind::kSha256};
  std::vector<Checksum> checksums_;
};

Status mismatch(std::string_view header, std::string_view sent, std::string_view got) {
  return Error(Code::kChecksumMismatch,
               fmt::format("{}: the sender says {}, the bytes that arrived give {}", header,
                           to_base64(sent), to_base64(got)),
               std::string(header));
}

Status verify(const Expected& expected, std::string_view md5,
              const std::vector<std::pair<ChecksumKind, std::string>>& checksums) {
  if (expected.md5 && *expected.md5 != md5) return mismatch("Content-MD5", *expected.md5, md5);
  if (!expected.checksum || !expected.checksum_value) return {};
  const auto sent = expected.checksum_value();
  if (!sent) return sent.error();
  for (const auto& [kind, value] : checksums) {
    if (*sent && kind == *expected.checksum && **sent != value) {
      return mismatch(wire::aws::checksum_header(kind), **sent, value);
    }
  }
  return {};
}

}  // namespace

std::string BlobOwner::to_string() const {
  return fmt::format("{}\n{}\n{}\n{}", bucket, upload, part, key);
}

Task<Result<Lake::Received>> Lake::receive(ByteSource& body, Expected expected,
                                           std::vector<ChecksumKind> kinds, std::string owner) {
  Received out;
  Hashes hashes(kinds);
  std::string buffer;
  std::unique_ptr<BlobWriter> writer;
  const auto spill = [&]() -> Status {
    if (!writer) {
      auto made = ports_.blobs.create();
      if (!made) return std::move(made).error();
      writer = *std::move(made);
    }
    hashes.update(buffer);
    STRATA_TRY(writer->append(buffer));
    buffer.clear();
    return {};
  };
  while (true) {
    auto piece = co_await body.next();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) break;
    out.size += piece->size();
    buffer += *piece;
    if (buffer.size() >= kChunk) STRATA_CO_TRY(co_await ports_.pool.run(spill));
  }
  if (writer || buffer.size() > BlobStore::kMaxPacked) {
    STRATA_CO_TRY(co_await ports_.pool.run(spill));
  } else {
    hashes.update(buffer);
  }
  out.md5 = hashes.md5();
  out.sha256 = hashes.sha256();
  out.checksums = hashes.checksums();
  STRATA_CO_TRY(verify(expected, out.md5, out.checksums));
  if (writer) {
    const auto finish = [&] {
      return writer->finish();
    };
    auto blob = co_await ports_.pool.run(finish);
    if (!blob) co_return std::move(blob).error();
    out.blobs.push_back(*std::move(blob));
  } else if (!buffer.empty()) {
    auto blob = co_await ports_.blobs.put(std::move(buffer), std::move(owner));
    if (!blob) co_return std::move(blob).error();
    out.blobs.push_back(*std::move(blob));
  }
  co_return out;
}

Task<Result<ObjectInfo>> Lake::put(const Caller& caller, const ObjectName& name, ByteSource& body,
                                   PutOptions options) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  // Before much is received: a bucket that is not there is no reason to take gigabytes. What is
  // small goes ahead, and the commit decides alone.
  const auto has_place = [&](Reader& reader) -> Status {
    const auto bucket = find_bucket(reader, caller, name.bucket());
    if (!bucket) return bucket.error();
    return options.in_tree ? check_in_tree(reader, *bucket, name.key()) : Status();
  };
  if (body.length().value_or(kChunk) > BlobStore::kMaxPacked)
    STRATA_CO_TRY(co_await ports_.records.read(has_place));
  const auto kind = options.expected.checksum.value_or(ChecksumKind::kCrc64Nvme);
  const BlobOwner owner{name.bucket(), name.key(), "", 0};
  std::vector<ChecksumKind> kinds{kind};
  auto received =
      co_await receive(body, std::move(options.expected), std::move(kinds), owner.to_string());
  if (!received) co_return std::move(received).error();

  Stored stored;
  stored.facts = std::move(options.facts);
  stored.tags = std::move(options.tags);
  stored.size = received->size;
  stored.etag = to_hex(received->md5);
  stored.digest = "sha256:" + to_hex(received->sha256);
  stored.checksum = StoredChecksum{kind, to_base64(received->checksums.front().second), true};
  stored.blobs = received->refs();
  const auto commit = [&](Writer& writer) -> Result<ObjectInfo> {
    if (options.in_tree) STRATA_TRY(has_place(writer));
    auto made = commit_object(writer, caller, name, stored, options.when);
    if (made && options.also) STRATA_TRY(options.also(writer, *made));
    return made;
  };
  auto info = co_await ports_.records.write(commit);
  if (info) received->keep();
  co_return info;
}

namespace {

Status count(Writer& writer, std::int64_t bucket, std::int64_t objects, std::int64_t bytes) {
  auto changed = writer.execute(
      "UPDATE lake_buckets SET objects = objects + ?, bytes = bytes + ? WHERE id = ?",
      {objects, bytes, bucket});
  if (!changed) return std::move(changed).error();
  return {};
}

std::int64_t signed_size(std::uint64_t size) {
  return static_cast<std::int64_t>(size);
}

Json event_data(const ObjectName& name, const ObjectInfo& info) {
  return Json::object({{"bucket", name.bucket()},
                       {"key", name.key()},
                       {"size", info.size},
                       {"etag", info.etag},
                       {"digest", info.digest}});
}

kernel::LineageNode lineage_node(const ObjectName& name, const ObjectInfo& info) {
  kernel::LineageNode node;
  node.ref = lineage_ref(name, info.digest);
  node.digest = info.digest;
  node.owner = info.owner;
  node.time = info.modified;
  node.facts = Json::object({{"size", info.size}, {"etag", info.etag}});
  return node;
}

}  // namespace

Result<ObjectInfo> Lake::commit_object(Writer& writer, const Caller& caller, const ObjectName& name,
                                       Stored stored, const Conditions& when) {
  const auto bucket = find_bucket(writer, caller, name.bucket());
  if (!bucket) return bucket.error();
  auto former = find_object(writer, *bucket, name.key());
  if (!former) return std::move(former).error();
  STRATA_TRY(check_write(when, *former ? &(*former)->info : nullptr, name.key()));
  STRATA_TRY(guard_(writer, caller.project, name));

  ObjectInfo info;
  info.key = name.key();
  info.size = stored.size;
  info.etag = std::move(stored.etag);
  info.digest = std::move(stored.digest);
  info.modified = ports_.clock.now();
  info.owner = caller.user_name;
  info.facts = std::move(stored.facts);
  info.tags = std::move(stored.tags);
  info.checksum = std::move(stored.checksum);
  info.part_sizes = std::move(stored.part_sizes);
  auto added = writer.execute(
      "INSERT INTO lake_objects (bucket, key, size, etag, digest, modified, owner, facts, tags, "
      "blobs) VALUES "
      "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET size = "
      "excluded.size, etag = "
      "excluded.etag, digest = excluded.digest, modified = excluded.modified, owner = "
      "excluded.owner, facts = "
      "excluded.facts, tags = excluded.tags, blobs = excluded.blobs",
      {*bucket, blob(info.key), info.size, info.etag, info.digest, info.modified.micros, info.owner,
       facts_text(info.facts, info.checksum, info.part_sizes), tags_text(info.tags),
       encode_refs(stored.blobs)});
  if (!added) return std::move(added).error();
  if (!stored.counted) STRATA_TRY(acquire(writer, stored.blobs));
  std::vector<BlobRef> freed;
  if (*former) STRATA_TRY(release(writer, (*former)->blobs, freed));
  give_back(writer, std::move(freed));
  const std::uint64_t before = *former ? (*former)->info.size : 0;
  STRATA_TRY(count(writer, *bucket, *former ? 0 : 1, signed_size(info.size) - signed_size(before)));
  const kernel::LineageNode node = lineage_node(name, info);
  STRATA_TRY(ports_.lineage.report(writer, caller.project, node));
  if (!caller.task.empty()) {
    const kernel::LineageEdge edge{{"task", caller.task, ""}, node.ref, "wrote", info.modified};
    STRATA_TRY(ports_.lineage.report(writer, caller.project, edge));
    task_uses_->add(caller.task, node.ref);  // what a task wrote itself is no source of it
  }
  STRATA_TRY(ports_.events.publish(writer, caller.project, "object.created",
                                   "lake:" + name.to_string(), event_data(name, info)));
  return info;
}

Result<bool> Lake::remove_object(Writer& writer, const Caller& caller, std::int64_t bucket,
                                 const ObjectName& name, const Conditions& when) {
  auto former = find_object(writer, bucket, name.key());
  if (!former) return std::move(former).error();
  STRATA_TRY(check_write(when, *former ? &(*former)->info : nullptr, name.key()));
  if (!*former) return false;
  STRATA_TRY(guard_(writer, caller.project, name));
  auto gone = writer.execute("DELETE FROM lake_objects WHERE bucket = ? AND key = ?",
                             {bucket, blob(name.key())});
  if (!gone) return std::move(gone).error();
  std::vector<BlobRef> freed;
  STRATA_TRY(release(writer, (*former)->blobs, freed));
  give_back(writer, std::move(freed));
  const auto& info = (*former)->info;
  STRATA_TRY(count(writer, bucket, -1, -signed_size(info.size)));
  STRATA_TRY(ports_.events.publish(writer, caller.project, "object.removed",
                                   "lake:" + name.to_string(), event_data(name, info)));
  return true;
}

Task<Result<bool>> Lake::remove(const Caller& caller, const ObjectName& name, Conditions when) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto erase = [&](Writer& writer) -> Result<bool> {
    const auto bucket = find_bucket(writer, caller, name.bucket());
    if (!bucket) return bucket.error();
    return remove_object(writer, caller, *bucket, name, when);
  };
  co_return co_await ports_.records.write(erase);
}

namespace {

// Whether a removal failed for what the object is, and not because nothing can be written.
bool concerns_one(const Error& error) {
  return error.code == Code::kConflict || error.code == Code::kPreconditionFailed ||
         error.code == Code::kNotFound;
}

}  // namespace

Task<Result<std::vector<Status>>> Lake::remove_many(const Caller& caller, std::string bucket,
                                                    std::vector<Removal> removals) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto erase = [&](Writer& writer) -> Result<std::vector<Status>> {
    const auto id = find_bucket(writer, caller, bucket);
    if (!id) return id.error();
    std::vector<Status> outcomes;
    for (const auto& removal : removals) {
      const auto name = ObjectName::make(bucket, removal.key);
      if (!name) {
        outcomes.emplace_back(Error(name.error()));
        continue;
      }
      auto removed = remove_object(writer, caller, *id, *name, removal.when);
      if (!removed && !concerns_one(removed.error())) return std::move(removed).error();
      outcomes.emplace_back(removed ? Status() : Status(std::move(removed).error()));
    }
    return outcomes;
  };
  co_return co_await ports_.records.write(erase);
}

}  // namespace strata::storage::lake
