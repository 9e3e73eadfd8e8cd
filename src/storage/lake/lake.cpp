#include "storage/lake/lake.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/stored.hpp"
#include "storage/lake/task_uses.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;
using kernel::Writer;

namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool looks_like_address(std::string_view name) {
  const auto parts = split(name, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
           return !part.empty() && part.size() <= 3 && to_int(part).has_value();
         });
}

// The S3 rules for general purpose buckets, so that a name also works as part of a host name.
Status check_bucket_name(std::string_view name) {
  const auto wrong = [&](std::string_view why) {
    return invalid("bucket", fmt::format("'{}' is no bucket name: {}", printable(name), why));
  };
  if (name.size() < 3 || name.size() > 63) return wrong("it must have 3 to 63 characters");
  for (const char c : name) {
    if (!is_lower_or_digit(c) && c != '-' && c != '.') {
      return wrong("it may hold only a-z, 0-9, hyphens and dots");
    }
  }
  if (!is_lower_or_digit(name.front()) || !is_lower_or_digit(name.back())) {
    return wrong("it must begin and end with a letter or digit");
  }
  if (name.find("..") != std::string_view::npos) return wrong("two dots may not stand together");
  if (looks_like_address(name)) return wrong("it looks like an IP address");
  return {};
}

BucketInfo read_bucket(const kernel::Row& row) {
  return {row.text(0), row.text(1), Instant{row.integer(2)},
          static_cast<std::uint64_t>(row.integer(3)), static_cast<std::uint64_t>(row.integer(4))};
}

}  // namespace

Result<ObjectName> ObjectName::make(std::string bucket, std::string key) {
  if (bucket.empty()) return invalid("bucket", "the bucket's name is missing");
  if (key.empty()) return invalid("key", "the object's key is missing");
  if (key.size() > 1024) {
    return invalid("key", fmt::format("the key has {} bytes; the most is 1024", key.size()));
  }
  if (!is_utf8(key))
    return invalid("key", fmt::format("the key '{}' is not UTF-8", printable(key)));
  return ObjectName(std::move(bucket), std::move(key));
}

Lake::Lake(Ports ports) : ports_(ports), task_uses_(std::make_unique<TaskUses>()) {}
Lake::~Lake() = default;

Task<Result<BucketInfo>> Lake::create_bucket(const Caller& caller, std::string name) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  STRATA_CO_TRY(check_bucket_name(name));
  const auto create = [&](Writer& writer) -> Result<BucketInfo> {
    auto taken = writer.first("SELECT project FROM lake_buckets WHERE name = ?", {name});
    if (!taken) return std::move(taken).error();
    if (*taken) {
      const bool own = (*taken)->text(0) == caller.project.str();
      return Error(Code::kAlreadyExists,
                   fmt::format("the bucket '{}' exists already{}", name,
                               own ? "" : " and is another project's"),
                   own ? "bucket" : "owner");
    }
    const BucketInfo made{name, caller.user_name, ports_.clock.now(), 0, 0};
    auto added = writer.execute(
        "INSERT INTO lake_buckets (name, project, owner, created) VALUES (?, ?, ?, ?)",
        {name, caller.project.str(), made.owner, made.created.micros});
    if (!added) return std::move(added).error();
    STRATA_TRY(ports_.audit.record(writer, caller, "bucket.create", "bucket:" + name));
    STRATA_TRY(ports_.events.publish(writer, caller.project, "bucket.created", "bucket:" + name));
    return made;
  };
  co_return co_await ports_.records.write(create);
}

Task<Status> Lake::delete_bucket(const Caller& caller, std::string name) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto erase = [&](Writer& writer) -> Status {
    const auto bucket = find_bucket(writer, caller, name);
    if (!bucket) return bucket.error();
    auto object = writer.first("SELECT 1 FROM lake_objects WHERE bucket = ? LIMIT 1", {*bucket});
    if (!object) return std::move(object).error();
    if (*object) {
      return Error(Code::kConflict,
                   fmt::format("the bucket '{}' is not empty; remove its objects first", name),
                   "bucket");
    }
    // Unfinished uploads hold nothing that anybody can see, so they do not stand in the way.
    auto parts = writer.query(
        "SELECT blobs FROM lake_parts WHERE upload IN (SELECT id FROM lake_uploads WHERE "
        "bucket = ?)",
        {*bucket});
    if (!parts) return std::move(parts).error();
    std::vector<BlobRef> freed;
    for (const auto& part : *parts) {
      const auto refs = decode_refs(part.text(0));
      if (!refs) return refs.error();
      STRATA_TRY(release(writer, *refs, freed));
    }
    for (const auto* sql :
         {"DELETE FROM lake_parts WHERE upload IN (SELECT id FROM lake_uploads WHERE bucket = ?)",
          "DELETE FROM lake_uploads WHERE bucket = ?", "DELETE FROM lake_buckets WHERE id = ?"}) {
      auto changed = writer.execute(sql, {*bucket});
      if (!changed) return std::move(changed).error();
    }
    give_back(writer, std::move(freed));
    STRATA_TRY(ports_.audit.record(writer, caller, "bucket.delete", "bucket:" + name));
    return ports_.events.publish(writer, caller.project, "bucket.deleted", "bucket:" + name);
  };
  co_return co_await ports_.records.write(erase);
}

Task<Result<BucketInfo>> Lake::bucket(const Caller& caller, std::string name) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<BucketInfo> {
    const auto bucket = find_bucket(reader, caller, name);
    if (!bucket) return bucket.error();
    auto row = reader.first(
        "SELECT name, owner, created, objects, bytes FROM lake_buckets WHERE id = ?", {*bucket});
    if (!row) return std::move(row).error();
    if (!*row) return no_such_bucket(name);
    return read_bucket(**row);
  };
  co_return co_await ports_.records.read(look);
}

Task<Result<std::vector<BucketInfo>>> Lake::buckets(const Caller& caller) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<std::vector<BucketInfo>> {
    auto rows = reader.query(
        "SELECT name, owner, created, objects, bytes FROM lake_buckets WHERE project = ? "
        "ORDER BY name",
        {caller.project.str()});
    if (!rows) return std::move(rows).error();
    std::vector<BucketInfo> found;
    for (const auto& row : *rows)
      found.push_back(read_bucket(row));
    return found;
  };
  co_return co_await ports_.records.read(look);
}

// Files that nothing names any longer go once that is durable.
void Lake::give_back(Writer& writer, std::vector<BlobRef> freed) {
  if (freed.empty()) return;
  writer.after_commit([&blobs = ports_.blobs, freed = std::move(freed)] {
    for (const auto& ref : freed)
      blobs.remove(ref);
  });
}

}  // namespace strata::storage::lake
