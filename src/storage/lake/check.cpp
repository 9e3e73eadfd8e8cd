#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"

namespace strata::storage::lake {

namespace {

constexpr std::size_t kPage = 500;
constexpr std::size_t kPiece = 1U << 20;

struct Located {
  std::string bucket;
  std::int64_t bucket_id = 0;
  ObjectRow row;
};

Result<std::vector<Located>> next_page(kernel::Reader& reader, std::int64_t bucket,
                                       const std::string& key) {
  const auto rows = reader.query(
      fmt::format("SELECT {}, bucket, (SELECT name FROM lake_buckets b WHERE b.id = bucket) FROM "
                  "lake_objects WHERE (bucket, key) > (?, ?) ORDER BY bucket, key LIMIT ?",
                  kObjectColumns),
      {bucket, blob(key), static_cast<std::int64_t>(kPage)});
  if (!rows) return rows.error();
  std::vector<Located> page;
  for (const auto& row : *rows) {
    auto object = read_object(row);
    if (!object) return std::move(object).error();
    page.push_back({row.text(10), row.integer(9), *std::move(object)});
  }
  return page;
}

// Reads the object's blobs one behind the other; its parts begin anew where their sizes say.
class Reading {
 public:
  explicit Reading(const ObjectInfo& info) : info_(info) {}

  Status take(BlobStore& store, const std::vector<BlobRef>& blobs) {
    for (const auto& ref : blobs) {
      const auto slice = store.open(ref);
      if (!slice) return slice.error();
      for (std::uint64_t done = 0; done < slice->length;) {
        piece_.resize(
            static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, slice->length - done)));
        const auto got = slice->file->read_at(piece_, slice->offset + done);
        if (!got) return got.error();
        if (*got == 0) return Error(Code::kDataLoss, "its bytes end too early");
        update(std::string_view(piece_).substr(0, *got));
        done += *got;
      }
    }
    return {};
  }

  std::string digest() {
    if (!info_.digest.starts_with("sha256-parts:")) return "sha256:" + to_hex(hash_.finish());
    return "sha256-parts:" + to_hex(sha256(part_digests_));
  }

 private:
  void update(std::string_view bytes) {
    while (!bytes.empty()) {
      std::uint64_t take = bytes.size();
      if (part_ < info_.part_sizes.size())
        take = std::min(take, info_.part_sizes[part_] - in_part_);
      hash_.update(bytes.substr(0, take));
      bytes.remove_prefix(take);
      in_part_ += take;
      if (part_ >= info_.part_sizes.size() || in_part_ < info_.part_sizes[part_]) continue;
      if (!info_.digest.starts_with("sha256-parts:")) continue;
      part_digests_ += std::exchange(hash_, Digest(DigestKind::kSha256)).finish();
      ++part_;
      in_part_ = 0;
    }
  }

  const ObjectInfo& info_;
  Digest hash_{DigestKind::kSha256};
  std::string part_digests_;
  std::size_t part_ = 0;
  std::uint64_t in_part_ = 0;
  std::string piece_;
};

// What is wrong with an object; empty when nothing is.
std::string fault_of(BlobStore& store, const Located& object) {
  std::uint64_t size = 0;
  for (const auto& ref : object.row.blobs)
    size += ref.size;
  if (size != object.row.info.size)
    return fmt::format("its parts have {} bytes, its record says {}", size, object.row.info.size);
  Reading reading(object.row.info);
  if (const auto read = reading.take(store, object.row.blobs); !read)
    return read.error().to_string();
  const std::string digest = reading.digest();
  return digest == object.row.info.digest
             ? ""
             : fmt::format("its bytes give {}, its record says {}", digest, object.row.info.digest);
}

}  // namespace

Result<Lake::Checked> Lake::check(kernel::Records& records, BlobStore& store,
                                  const CheckListener& listener) {
  Checked checked;
  const auto totals = records.read_blocking([](kernel::Reader& reader) {
    return reader.first("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM lake_objects");
  });
  if (!totals) return totals.error();
  const auto all = static_cast<std::uint64_t>((*totals)->integer(1));
  std::int64_t bucket = 0;
  std::string key;
  while (true) {
    const auto page = records.read_blocking(
        [&](kernel::Reader& reader) { return next_page(reader, bucket, key); });
    if (!page) return page.error();
    for (const auto& object : *page) {
      if (const std::string fault = fault_of(store, object); !fault.empty()) {
        listener.found(fmt::format("object {}/{}: {}", object.bucket,
                                   printable(object.row.info.key, 200), fault));
      }
      ++checked.objects;
      checked.bytes += object.row.info.size;
      listener.progress(checked.bytes, all);
      bucket = object.bucket_id;
      key = object.row.info.key;
    }
    if (page->size() < kPage) break;
  }
  // Nothing is removed: the look at each file only says whether a record names it.
  const auto look = [&](const BlobRef& file) -> Result<bool> {
    const auto named = records.read_blocking([&](kernel::Reader& reader) {
      return reader.first("SELECT 1 FROM lake_files WHERE id = ?", {file.place});
    });
    if (!named) return named.error();
    if (!named->has_value()) ++checked.orphans;
    return true;
  };
  const auto swept = store.sweep(look);
  if (!swept) return swept.error();
  return checked;
}

}  // namespace strata::storage::lake
