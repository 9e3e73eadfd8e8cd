#include "storage/lake/rows.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::storage::lake {

using kernel::Caller;
using kernel::Reader;
using kernel::Row;
using kernel::Writer;

namespace {

Json pairs_json(const Pairs& pairs) {
  Json out = Json::object();
  for (const auto& [name, value] : pairs)
    out.set(name, value);
  return out;
}

Pairs json_pairs(const Json& json) {
  Pairs out;
  if (!json.is_object()) return out;
  for (const auto& [name, value] : json.as_object()) {
    if (value.is_string()) out.emplace_back(name, value.as_string());
  }
  return out;
}

Error damaged(std::string_view what, const Error& cause) {
  Error error(Code::kDataLoss,
              fmt::format("a lake record's {} cannot be read; run strata fsck", what));
  error.cause = std::make_shared<const Error>(cause);
  return error;
}

}  // namespace

kernel::Blob blob(std::string_view bytes) {
  return kernel::Blob{std::string(bytes)};
}

Error no_such_bucket(std::string_view name) {
  return Error(Code::kNotFound, fmt::format("there is no bucket '{}'", printable(name)), "bucket");
}

Error no_such_key(std::string_view key) {
  return Error(Code::kNotFound, fmt::format("there is no object '{}'", printable(key, 1100)),
               "key");
}

Error no_such_upload(std::string_view id) {
  return Error(
      Code::kNotFound,
      fmt::format("there is no upload '{}' of this key: it was aborted, completed or never begun",
                  printable(id)),
      "upload_id");
}

Status require(const Caller& caller, kernel::Permission permission) {
  if (caller.may(permission)) return {};
  return kernel::lacks_permission(caller, permission);
}

Result<std::int64_t> find_bucket(Reader& reader, const Caller& caller, std::string_view name) {
  auto row = reader.first("SELECT id, project FROM lake_buckets WHERE name = ?", {name});
  if (!row) return std::move(row).error();
  if (!*row) return no_such_bucket(name);
  if ((*row)->text(1) != caller.project.str()) {
    return Error(Code::kPermissionDenied,
                 fmt::format("the bucket '{}' is another project's", printable(name)), "bucket");
  }
  return (*row)->integer(0);
}

Result<ObjectRow> read_object(const Row& row) {
  ObjectRow out;
  out.info.key = row.blob(0);
  out.info.size = static_cast<std::uint64_t>(row.integer(1));
  out.info.etag = row.text(2);
  out.info.digest = row.text(3);
  out.info.modified = Instant{row.integer(4)};
  out.info.owner = row.text(5);
  STRATA_TRY(read_facts(row.text(6), out.info));
  auto tags = read_tags(row.text(7));
  if (!tags) return std::move(tags).error();
  out.info.tags = *std::move(tags);
  auto blobs = decode_refs(row.text(8));
  if (!blobs) return std::move(blobs).error();
  out.blobs = *std::move(blobs);
  return out;
}

Result<std::optional<ObjectRow>> find_object(Reader& reader, std::int64_t bucket,
                                             std::string_view key) {
  static const std::string kSql =
      fmt::format("SELECT {} FROM lake_objects WHERE bucket = ? AND key = ?", kObjectColumns);
  auto row = reader.first(kSql, {bucket, blob(key)});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<ObjectRow>();
  auto object = read_object(**row);
  if (!object) return std::move(object).error();
  return std::optional<ObjectRow>(*std::move(object));
}

Status check_in_tree(Reader& reader, std::int64_t bucket, std::string_view key) {
  for (std::size_t at = key.find('/'); at != std::string_view::npos; at = key.find('/', at + 1)) {
    const auto folder = reader.first("SELECT 1 FROM lake_objects WHERE bucket = ? AND key = ?",
                                     {bucket, blob(key.substr(0, at))});
    if (!folder) return folder.error();
    if (*folder) {
      return invalid("path", fmt::format("'{}' cannot lie below '{}', which is a file", key,
                                         key.substr(0, at)));
    }
  }
  // '0' follows '/' in ASCII: all keys below this one.
  const auto below =
      reader.first("SELECT key FROM lake_objects WHERE bucket = ? AND key >= ? AND key < ?",
                   {bucket, blob(fmt::format("{}/", key)), blob(fmt::format("{}0", key))});
  if (!below) return below.error();
  if (!*below) return {};
  return invalid("path", fmt::format("'{}' is a folder, which holds '{}', and cannot be a file",
                                     key, (*below)->blob(0)));
}

kernel::NodeRef lineage_ref(const ObjectName& name, std::string_view digest) {
  const auto hex = digest.substr(digest.find(':') + 1);
  return {"object", name.to_string(), std::string(hex.substr(0, 16))};
}

std::string facts_text(const ObjectFacts& facts, const std::optional<StoredChecksum>& checksum,
                       const std::vector<std::uint64_t>& part_sizes) {
  Json out = Json::object();
  out.set("type", facts.content_type);
  if (!facts.headers.empty()) out.set("headers", pairs_json(facts.headers));
  if (!facts.metadata.empty()) out.set("metadata", pairs_json(facts.metadata));
  if (checksum) {
    out.set("checksum", Json::object({{"kind", wire::aws::checksum_name(checksum->kind)},
                                      {"value", checksum->value},
                                      {"full", checksum->full_object}}));
  }
  if (!part_sizes.empty()) {
    Json sizes = Json::array();
    for (const auto size : part_sizes)
      sizes.push(size);
    out.set("parts", std::move(sizes));
  }
  return out.dump();
}

Status read_facts(std::string_view text, ObjectInfo& info) {
  const auto parsed = parse_json(text);
  if (!parsed) return damaged("facts", parsed.error());
  const Json& json = *parsed;
  info.facts.content_type = json.text("type");
  info.facts.headers = json_pairs(json["headers"]);
  info.facts.metadata = json_pairs(json["metadata"]);
  if (const Json* checksum = json.find("checksum")) {
    const auto kind = wire::aws::checksum_by_name(checksum->text("kind"));
    if (kind)
      info.checksum = StoredChecksum{*kind, checksum->text("value"), checksum->boolean("full")};
  }
  if (const Json* parts = json.find("parts"); parts != nullptr && parts->is_array()) {
    for (const auto& size : parts->as_array()) {
      info.part_sizes.push_back(static_cast<std::uint64_t>(size.as_double()));
    }
  }
  return {};
}

std::string tags_text(const Pairs& tags) {
  return tags.empty() ? "" : pairs_json(tags).dump();
}

Result<Pairs> read_tags(std::string_view text) {
  if (text.empty()) return Pairs();
  const auto parsed = parse_json(text);
  if (!parsed) return damaged("tags", parsed.error());
  return json_pairs(*parsed);
}

Status acquire(Writer& writer, const std::vector<BlobRef>& blobs) {
  for (const auto& ref : blobs) {
    auto changed =
        ref.packed()
            ? writer.execute(
                  "INSERT INTO lake_packs (pack, blobs, bytes) VALUES (?, 1, ?) ON CONFLICT "
                  "(pack) DO UPDATE SET blobs = lake_packs.blobs + 1, "
                  "bytes = lake_packs.bytes + excluded.bytes",
                  {ref.pack, ref.size})
            : writer.execute(
                  "INSERT INTO lake_files (id, refs) VALUES (?, 1) ON CONFLICT (id) "
                  "DO UPDATE SET refs = lake_files.refs + 1",
                  {ref.place});
    if (!changed) return std::move(changed).error();
  }
  return {};
}

Status release(Writer& writer, const std::vector<BlobRef>& blobs, std::vector<BlobRef>& freed) {
  for (const auto& ref : blobs) {
    if (ref.packed()) {
      auto changed = writer.execute(
          "UPDATE lake_packs SET blobs = blobs - 1, bytes = bytes - ? WHERE pack = ?",
          {ref.size, ref.pack});
      if (!changed) return std::move(changed).error();
      continue;
    }
    auto changed =
        writer.execute("UPDATE lake_files SET refs = refs - 1 WHERE id = ?", {ref.place});
    if (!changed) return std::move(changed).error();
    auto gone = writer.execute("DELETE FROM lake_files WHERE id = ? AND refs <= 0", {ref.place});
    if (!gone) return std::move(gone).error();
    if (*gone > 0) freed.push_back(ref);
  }
  return {};
}

bool names_etag(std::string_view list, std::string_view etag) {
  for (const auto& item : split(list, ',')) {
    auto tag = trim(item);
    if (tag == "*") return true;
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"')
      tag = tag.substr(1, tag.size() - 2);
    if (tag == etag) return true;
  }
  return false;
}

Status check_read(const Conditions& when, const ObjectInfo& info) {
  // Dates on the wire have whole seconds.
  const auto seconds = info.modified.seconds();
  const auto failed = [](std::string_view name) {
    return Error(Code::kPreconditionFailed,
                 fmt::format("the object's state does not meet {}", name), std::string(name));
  };
  if (when.if_match) {
    if (!names_etag(*when.if_match, info.etag)) return failed("If-Match");
  } else if (when.if_unmodified_since && seconds > when.if_unmodified_since->seconds()) {
    return failed("If-Unmodified-Since");
  }
  const Error unchanged(Code::kNotModified, "the object has not changed");
  if (when.if_none_match) {
    if (names_etag(*when.if_none_match, info.etag)) return unchanged;
  } else if (when.if_modified_since && seconds <= when.if_modified_since->seconds()) {
    return unchanged;
  }
  return {};
}

namespace {

// Dates in headers have whole seconds, those of listings have milliseconds.
bool same_time(Instant given, const ObjectInfo& info) {
  if (given.micros % 1'000'000 == 0) return given.seconds() == info.modified.seconds();
  return given.millis() == info.modified.millis();
}

}  // namespace

Status check_write(const Conditions& when, const ObjectInfo* current, std::string_view key) {
  if (when.if_match) {
    if (current == nullptr) return no_such_key(key);
    if (!names_etag(*when.if_match, current->etag)) {
      return Error(Code::kPreconditionFailed,
                   fmt::format("If-Match: the object's ETag is now \"{}\"", current->etag),
                   "If-Match");
    }
  }
  if (when.if_none_match && current != nullptr && names_etag(*when.if_none_match, current->etag)) {
    return Error(Code::kPreconditionFailed, "If-None-Match: the object exists already",
                 "If-None-Match");
  }
  if (when.if_unmodified_since && current != nullptr &&
      current->modified.seconds() > when.if_unmodified_since->seconds()) {
    return Error(Code::kPreconditionFailed, "If-Unmodified-Since: the object has changed since",
                 "If-Unmodified-Since");
  }
  if (when.if_size && current != nullptr && current->size != *when.if_size) {
    return Error(Code::kPreconditionFailed,
                 fmt::format("the object has {} bytes, not {}", current->size, *when.if_size),
                 "size");
  }
  if (when.if_modified_at && current != nullptr && !same_time(*when.if_modified_at, *current)) {
    return Error(Code::kPreconditionFailed,
                 fmt::format("the object was changed at {}, not at {}",
                             to_rfc3339(current->modified), to_rfc3339(*when.if_modified_at)),
                 "modified");
  }
  return {};
}

Result<Window> resolve(const ByteRange& range, std::uint64_t size) {
  const Error outside(Code::kOutOfRange,
                      fmt::format("the range lies outside the object, which has {} bytes", size),
                      "range");
  if (!range.first) {
    const std::uint64_t count = std::min(range.last.value_or(0), size);
    if (count == 0) return outside;
    return Window{size - count, count};
  }
  if (*range.first >= size) return outside;
  const std::uint64_t last = std::min(range.last.value_or(size - 1), size - 1);
  return Window{*range.first, last - *range.first + 1};
}

std::optional<std::string> behind_prefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty()) {
    const auto last = static_cast<unsigned char>(out.back());
    if (last != 0xFF) {
      out.back() = static_cast<char>(last + 1);
      return out;
    }
    out.pop_back();
  }
  return std::nullopt;
}

}  // namespace strata::storage::lake
