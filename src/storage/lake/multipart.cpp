#include <fmt/format.h>

#include "base/bytes.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/stored.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;
using kernel::Row;
using kernel::Writer;

namespace {

constexpr std::string_view kUploadColumns =
    "id, key, created, owner, checksum, checksum_named, full_object, completed, bucket, facts, "
    "tags, answer";
constexpr std::string_view kPartColumns = "number, size, etag, digest, checksum, modified, blobs";

UploadInfo read_upload(const Row& row) {
  UploadInfo info;
  info.id = row.text(0);
  info.key = row.blob(1);
  info.created = Instant{row.integer(2)};
  info.owner = row.text(3);
  info.checksum = wire::aws::checksum_by_name(row.text(4)).value_or(ChecksumKind::kCrc64Nvme);
  info.checksum_named = row.integer(5) != 0;
  info.full_object = row.integer(6) != 0;
  return info;
}

// The upload's row when it is one of this key; completed ones only where the caller says so.
Result<Row> find_upload(Reader& reader, std::int64_t bucket, const ObjectName& name,
                        std::string_view id, bool also_completed = false) {
  static const std::string kSql = fmt::format(
      "SELECT {} FROM lake_uploads WHERE id = ? AND bucket = ? AND key = ?", kUploadColumns);
  auto row = reader.first(kSql, {id, bucket, blob(name.key())});
  if (!row) return std::move(row).error();
  if (!*row || (!also_completed && (*row)->integer(7) != 0)) return no_such_upload(id);
  return **std::move(row);
}

struct Part {
  PartInfo info;
  std::string sha256;    // raw
  std::string checksum;  // raw
  std::vector<BlobRef> blobs;
};

Result<Part> read_part(const Row& row, const UploadInfo& upload) {
  Part part;
  part.info.number = static_cast<int>(row.integer(0));
  part.info.size = static_cast<std::uint64_t>(row.integer(1));
  part.info.etag = row.text(2);
  part.info.modified = Instant{row.integer(5)};
  part.info.checksum = {upload.checksum, row.text(4), true};
  auto sha = from_hex(row.text(3));
  auto checksum = from_base64(row.text(4));
  if (!sha || !checksum) return Error(Code::kDataLoss, "the record of an upload's part is damaged");
  part.sha256 = *std::move(sha);
  part.checksum = *std::move(checksum);
  auto blobs = decode_refs(row.text(6));
  if (!blobs) return std::move(blobs).error();
  part.blobs = *std::move(blobs);
  return part;
}

Result<std::vector<Part>> load_parts(Reader& reader, const UploadInfo& upload, int after,
                                     std::size_t limit) {
  static const std::string kSql = fmt::format(
      "SELECT {} FROM lake_parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
      kPartColumns);
  auto rows = reader.query(kSql, {upload.id, after, limit});
  if (!rows) return std::move(rows).error();
  std::vector<Part> parts;
  for (const auto& row : *rows) {
    auto part = read_part(row, upload);
    if (!part) return std::move(part).error();
    parts.push_back(*std::move(part));
  }
  return parts;
}

Error invalid_part(const PartReference& wanted, std::string_view why) {
  return invalid("parts", fmt::format("part {} with ETag \"{}\" {}", wanted.number,
                                      printable(wanted.etag), why));
}

// The stored parts that the request lists, in its order. Errors: as complete_upload().
Result<std::vector<const Part*>> choose_parts(const std::vector<Part>& stored,
                                              const CompleteOptions& options) {
  if (options.parts.empty())
    return invalid("parts", "the list of parts is empty; list what was uploaded");
  std::vector<const Part*> chosen;
  int before = 0;
  for (const auto& wanted : options.parts) {
    if (wanted.number <= before) {
      return invalid("parts.order",
                     fmt::format("part {} stands behind part {}; list parts in ascending order",
                                 wanted.number, before));
    }
    before = wanted.number;
    const auto found =
        std::lower_bound(stored.begin(), stored.end(), wanted.number,
                         [](const Part& part, int number) { return part.info.number < number; });
    if (found == stored.end() || found->info.number != wanted.number) {
      return invalid_part(wanted, "was not uploaded");
    }
    if (!names_etag(wanted.etag, found->info.etag)) {
      return invalid_part(wanted, fmt::format("was uploaded with ETag \"{}\"", found->info.etag));
    }
    if (wanted.checksum && wanted.checksum->kind == found->info.checksum.kind &&
        wanted.checksum->value != found->info.checksum.value) {
      return invalid_part(wanted, fmt::format("has the {} {}", checksum_name(wanted.checksum->kind),
                                              found->info.checksum.value));
    }
    chosen.push_back(&*found);
  }
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    if (chosen[i]->info.size < Lake::kMinPart) {
      return invalid("parts.size",
                     fmt::format("part {} has {} bytes; all but the last need {}",
                                 chosen[i]->info.number, chosen[i]->info.size, Lake::kMinPart));
    }
  }
  return chosen;
}

StoredChecksum whole_checksum(const UploadInfo& upload, const std::vector<const Part*>& parts) {
  if (upload.full_object) {
    auto sum = parts.front()->checksum;
    for (std::size_t i = 1; i < parts.size(); ++i) {
      sum = wire::aws::combine_crc(upload.checksum, sum, parts[i]->checksum, parts[i]->info.size);
    }
    return {upload.checksum, to_base64(sum), true};
  }
  std::string joined;
  for (const auto* part : parts)
    joined += part->checksum;
  return {upload.checksum,
          fmt::format("{}-{}", to_base64(wire::aws::checksum_of(upload.checksum, joined)),
                      parts.size()),
          false};
}

std::string answer_text(const ObjectInfo& info) {
  return Json::object({{"etag", info.etag},
                       {"digest", info.digest},
                       {"size", info.size},
                       {"modified", info.modified.micros},
                       {"facts", facts_text({}, info.checksum, {})}})
      .dump();
}

// What the first, successful completion answered.
Result<ObjectInfo> read_answer(std::string_view text, const ObjectName& name) {
  const auto json = parse_json(text);
  if (!json) return json.error();
  ObjectInfo info;
  info.key = name.key();
  info.etag = json->text("etag");
  info.digest = json->text("digest");
  info.size = static_cast<std::uint64_t>(json->integer("size"));
  info.modified = Instant{json->integer("modified")};
  STRATA_TRY(read_facts(json->text("facts"), info));
  return info;
}

}  // namespace

Task<Result<UploadInfo>> Lake::create_upload(const Caller& caller, const ObjectName& name,
                                             UploadOptions options) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  UploadInfo info;
  info.id = ports_.random.alphanumeric(32);
  info.key = name.key();
  info.created = ports_.clock.now();
  info.owner = caller.user_name;
  info.checksum = options.checksum.value_or(ChecksumKind::kCrc64Nvme);
  info.checksum_named = options.checksum.has_value();
  info.full_object = options.full_object || info.checksum == ChecksumKind::kCrc64Nvme;
  if (info.full_object && !is_crc(info.checksum)) {
    co_return invalid(
        "x-amz-checksum-type",
        fmt::format("x-amz-checksum-type: {} cannot be FULL_OBJECT; use COMPOSITE or a CRC",
                    checksum_name(info.checksum)));
  }
  const auto create = [&](Writer& writer) -> Status {
    const auto bucket = find_bucket(writer, caller, name.bucket());
    if (!bucket) return bucket.error();
    auto added = writer.execute(
        "INSERT INTO lake_uploads (id, bucket, key, created, owner, checksum, checksum_named, "
        "full_object, facts, "
        "tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {info.id, *bucket, blob(info.key), info.created.micros, info.owner,
         checksum_name(info.checksum), info.checksum_named, info.full_object,
         facts_text(options.facts, {}, {}), tags_text(options.tags)});
    if (!added) return std::move(added).error();
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(create));
  co_return info;
}

Task<Result<PartInfo>> Lake::put_part(const Caller& caller, const ObjectName& name,
                                      std::string upload, int number, ByteSource& body,
                                      Expected expected) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  if (number < 1 || number > kMaxParts) {
    co_return invalid("part_number",
                      fmt::format("the part number {} must be 1 to {}", number, kMaxParts));
  }
  std::int64_t bucket = 0;
  const auto look = [&](Reader& reader) -> Result<UploadInfo> {
    const auto id = find_bucket(reader, caller, name.bucket());
    if (!id) return id.error();
    bucket = *id;
    auto row = find_upload(reader, *id, name, upload);
    if (!row) return std::move(row).error();
    return read_upload(*row);
  };
  const auto info = co_await ports_.records.read(look);
  if (!info) co_return info.error();
  if (info->checksum_named && expected.checksum && *expected.checksum != info->checksum) {
    co_return invalid(
        "x-amz-checksum-algorithm",
        fmt::format("the upload was created with {}, this part comes with {}; send "
                    "the same algorithm with every part",
                    checksum_name(info->checksum), checksum_name(*expected.checksum)));
  }
  // The upload's kind is kept; where its creator named none, another kind that the sender uses for
  // this part is checked all the same.
  std::vector<ChecksumKind> kinds{info->checksum};
  if (expected.checksum && *expected.checksum != info->checksum)
    kinds.push_back(*expected.checksum);
  const BlobOwner owner{name.bucket(), name.key(), upload, number};
  auto received = co_await receive(body, std::move(expected), std::move(kinds), owner.to_string());
  if (!received) co_return std::move(received).error();

  PartInfo part{number, received->size, to_hex(received->md5), ports_.clock.now(), {}};
  const auto& sent = received->checksums.back();
  part.checksum = {sent.first, to_base64(sent.second), true};
  const auto commit = [&](Writer& writer) -> Status {
    auto still = find_upload(writer, bucket, name, upload);
    if (!still) return std::move(still).error();
    auto former = writer.first("SELECT blobs FROM lake_parts WHERE upload = ? AND number = ?",
                               {upload, number});
    if (!former) return std::move(former).error();
    const auto refs = received->refs();
    auto added = writer.execute(
        "INSERT INTO lake_parts (upload, number, size, etag, digest, checksum, modified, blobs) "
        "VALUES (?, ?, ?, ?, "
        "?, ?, ?, ?) ON CONFLICT (upload, number) DO UPDATE SET size = excluded.size, etag = "
        "excluded.etag, digest = "
        "excluded.digest, checksum = excluded.checksum, modified = excluded.modified, blobs = "
        "excluded.blobs",
        {upload, number, part.size, part.etag, to_hex(received->sha256),
         to_base64(received->checksums.front().second), part.modified.micros, encode_refs(refs)});
    if (!added) return std::move(added).error();
    STRATA_TRY(acquire(writer, refs));
    if (!*former) return {};
    const auto replaced = decode_refs((*former)->text(0));
    if (!replaced) return replaced.error();
    std::vector<BlobRef> freed;
    STRATA_TRY(release(writer, *replaced, freed));
    give_back(writer, std::move(freed));
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(commit));
  received->keep();
  co_return part;
}

Result<ObjectInfo> Lake::assemble(Writer& writer, const Caller& caller, const ObjectName& name,
                                  const std::string& upload, const CompleteOptions& options) {
  const auto bucket = find_bucket(writer, caller, name.bucket());
  if (!bucket) return bucket.error();
  const auto row = find_upload(writer, *bucket, name, upload, true);
  if (!row) return row.error();
  if (row->integer(7) != 0) return read_answer(row->text(11), name);
  const auto info = read_upload(*row);
  const auto stored_parts = load_parts(writer, info, 0, kMaxParts);
  if (!stored_parts) return stored_parts.error();
  const auto chosen = choose_parts(*stored_parts, options);
  if (!chosen) return chosen.error();

  Stored stored;
  ObjectInfo described;
  STRATA_TRY(read_facts(row->text(9), described));
  stored.facts = std::move(described.facts);
  auto tags = read_tags(row->text(10));
  if (!tags) return std::move(tags).error();
  stored.tags = *std::move(tags);
  std::string md5s;
  std::string sha256s;
  for (const auto* part : *chosen) {
    const auto md5_raw = from_hex(part->info.etag);
    if (!md5_raw) return Error(Code::kDataLoss, "the record of an upload's part is damaged");
    md5s += *md5_raw;
    sha256s += part->sha256;
    stored.size += part->info.size;
    stored.part_sizes.push_back(part->info.size);
    stored.blobs.insert(stored.blobs.end(), part->blobs.begin(), part->blobs.end());
  }
  if (options.size && *options.size != stored.size) {
    return invalid("parts", fmt::format("the parts hold {} bytes, x-amz-mp-object-size says {}",
                                        stored.size, *options.size));
  }
  stored.etag = fmt::format("{}-{}", to_hex(md5(md5s)), chosen->size());
  stored.digest = "sha256-parts:" + to_hex(sha256(sha256s));
  stored.checksum = whole_checksum(info, *chosen);
  stored.counted = true;
  if (options.checksum && options.checksum->kind == info.checksum &&
      stored.checksum->value != options.checksum->value) {
    return Error(
        Code::kChecksumMismatch,
        fmt::format("the parts give the {} {}, the request says {}", checksum_name(info.checksum),
                    stored.checksum->value, printable(options.checksum->value)),
        std::string(checksum_header(info.checksum)));
  }
  std::vector<BlobRef> freed;
  for (const auto& part : *stored_parts) {
    if (std::find(chosen->begin(), chosen->end(), &part) == chosen->end()) {
      STRATA_TRY(release(writer, part.blobs, freed));
    }
  }
  give_back(writer, std::move(freed));
  auto object = commit_object(writer, caller, name, std::move(stored), options.when);
  if (!object) return object;
  auto gone = writer.execute("DELETE FROM lake_parts WHERE upload = ?", {upload});
  if (!gone) return std::move(gone).error();
  auto closed = writer.execute("UPDATE lake_uploads SET completed = ?, answer = ? WHERE id = ?",
                               {object->modified.micros, answer_text(*object), upload});
  if (!closed) return std::move(closed).error();
  return object;
}

Task<Result<ObjectInfo>> Lake::complete_upload(const Caller& caller, const ObjectName& name,
                                               std::string upload, CompleteOptions options) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto commit = [&](Writer& writer) {
    return assemble(writer, caller, name, upload, options);
  };
  co_return co_await ports_.records.write(commit);
}

Task<Status> Lake::abort_upload(const Caller& caller, const ObjectName& name, std::string upload) {
  STRATA_CO_TRY(require(caller, Permission::kLakeWrite));
  const auto erase = [&](Writer& writer) -> Status {
    const auto bucket = find_bucket(writer, caller, name.bucket());
    if (!bucket) return bucket.error();
    const auto row = find_upload(writer, *bucket, name, upload);
    if (!row) return row.error();
    const auto all = load_parts(writer, read_upload(*row), 0, kMaxParts);
    if (!all) return all.error();
    std::vector<BlobRef> freed;
    for (const auto& part : *all)
      STRATA_TRY(release(writer, part.blobs, freed));
    give_back(writer, std::move(freed));
    for (const auto* sql :
         {"DELETE FROM lake_parts WHERE upload = ?", "DELETE FROM lake_uploads WHERE id = ?"}) {
      auto gone = writer.execute(sql, {upload});
      if (!gone) return std::move(gone).error();
    }
    return {};
  };
  co_return co_await ports_.records.write(erase);
}

Task<Result<Lake::Parts>> Lake::parts(const Caller& caller, const ObjectName& name,
                                      std::string upload, int after, std::size_t limit) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<Parts> {
    const auto bucket = find_bucket(reader, caller, name.bucket());
    if (!bucket) return bucket.error();
    const auto row = find_upload(reader, *bucket, name, upload);
    if (!row) return row.error();
    Parts out;
    out.upload = read_upload(*row);
    const auto found = load_parts(reader, out.upload, after, limit + 1);
    if (!found) return found.error();
    for (const auto& part : *found)
      out.parts.push_back(part.info);
    out.truncated = out.parts.size() > limit;
    if (out.truncated) out.parts.pop_back();
    return out;
  };
  co_return co_await ports_.records.read(look);
}

Task<Result<Lake::Uploads>> Lake::uploads(const Caller& caller, std::string bucket,
                                          ListOptions options, std::string after_id) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  static const std::string kSql = fmt::format(
      "SELECT {} FROM lake_uploads WHERE bucket = ? AND completed = 0 AND key >= ? ORDER BY key, "
      "id",
      kUploadColumns);
  const auto look = [&](Reader& reader) -> Result<Uploads> {
    const auto id = find_bucket(reader, caller, bucket);
    if (!id) return id.error();
    auto rows = reader.query(kSql, {*id, blob(std::max(options.prefix, options.after))});
    if (!rows) return std::move(rows).error();
    Uploads out;
    for (const auto& row : *rows) {
      auto info = read_upload(row);
      if (!info.key.starts_with(options.prefix)) break;
      // Behind a key alone come other keys; behind a key and an id the later uploads of the key
      // too.
      if (info.key == options.after && (after_id.empty() || info.id <= after_id)) continue;
      const std::size_t at = options.delimiter.empty()
                                 ? std::string::npos
                                 : info.key.find(options.delimiter, options.prefix.size());
      auto rolled =
          at == std::string::npos ? "" : info.key.substr(0, at + options.delimiter.size());
      if (!rolled.empty() && !out.prefixes.empty() && out.prefixes.back() == rolled) continue;
      if (!rolled.empty() && options.after.starts_with(rolled)) continue;
      if (out.uploads.size() + out.prefixes.size() == options.limit) {
        out.truncated = true;
        break;
      }
      out.next_key = rolled.empty() ? info.key : rolled;
      out.next_id = rolled.empty() ? info.id : "";
      if (rolled.empty()) {
        out.uploads.push_back(std::move(info));
      } else {
        out.prefixes.push_back(std::move(rolled));
      }
    }
    return out;
  };
  co_return co_await ports_.records.read(look);
}

}  // namespace strata::storage::lake
