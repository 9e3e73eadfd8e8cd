#include <charconv>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/stored.hpp"

namespace strata::storage::lake {

using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::chrono::seconds kRound{300};
constexpr std::chrono::seconds kWait{2};
// A retried completion gets its first answer for this long.
constexpr std::chrono::hours kRememberCompleted{24};

constexpr std::string_view kObjectBlobs =
    "SELECT blobs FROM lake_objects WHERE bucket = (SELECT id FROM lake_buckets WHERE name = ?) "
    "AND key = ?";

struct Found {
  BlobRef ref;
  BlobOwner owner;
};

bool replace_ref(std::vector<BlobRef>& refs, const BlobRef& from, const BlobRef& to) {
  const auto found = std::find(refs.begin(), refs.end(), from);
  if (found == refs.end()) return false;
  *found = to;
  return true;
}

Result<bool> is_alive(Reader& reader, const BlobRef& file) {
  auto row = reader.first("SELECT 1 FROM lake_files WHERE id = ?", {file.place});
  if (!row) return std::move(row).error();
  return row->has_value();
}

// Points the one record that names `from` to `to`. False when none does: the blob is dead.
Result<bool> repoint(Writer& writer, const BlobOwner& owner, const BlobRef& from,
                     const BlobRef& to) {
  auto object = writer.first(kObjectBlobs, {owner.bucket, blob(owner.key)});
  if (!object) return std::move(object).error();
  if (*object) {
    auto refs = decode_refs((*object)->text(0));
    if (!refs) return std::move(refs).error();
    if (replace_ref(*refs, from, to)) {
      auto changed = writer.execute(
          "UPDATE lake_objects SET blobs = ? WHERE bucket = (SELECT id FROM "
          "lake_buckets WHERE name = ?) AND key = ?",
          {encode_refs(*refs), owner.bucket, blob(owner.key)});
      if (!changed) return std::move(changed).error();
      return true;
    }
  }
  if (owner.upload.empty()) return false;
  auto part = writer.first("SELECT blobs FROM lake_parts WHERE upload = ? AND number = ?",
                           {owner.upload, owner.part});
  if (!part) return std::move(part).error();
  if (!*part) return false;
  auto refs = decode_refs((*part)->text(0));
  if (!refs) return std::move(refs).error();
  if (!replace_ref(*refs, from, to)) return false;
  auto changed = writer.execute("UPDATE lake_parts SET blobs = ? WHERE upload = ? AND number = ?",
                                {encode_refs(*refs), owner.upload, owner.part});
  if (!changed) return std::move(changed).error();
  return true;
}

// Whether a record may still name the blob; decided for good in repoint().
Result<bool> seems_alive(Reader& reader, const Found& blob_found) {
  const auto& [ref, owner] = blob_found;
  for (const bool of_part : {false, true}) {
    if (of_part && owner.upload.empty()) break;
    auto row = of_part
                   ? reader.first("SELECT blobs FROM lake_parts WHERE upload = ? AND number = ?",
                                  {owner.upload, owner.part})
                   : reader.first(kObjectBlobs, {owner.bucket, blob(owner.key)});
    if (!row) return std::move(row).error();
    if (!*row) continue;
    const auto refs = decode_refs((*row)->text(0));
    if (!refs) return refs.error();
    if (std::find(refs->begin(), refs->end(), ref) != refs->end()) return true;
  }
  return false;
}

}  // namespace

std::optional<BlobOwner> BlobOwner::parse(std::string_view text) {
  std::array<std::string_view, 3> heads;
  for (auto& head : heads) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    head = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  const auto part = to_int(heads[2]);
  if (!part) return std::nullopt;
  return BlobOwner{std::string(heads[0]), std::string(text), std::string(heads[1]),
                   static_cast<int>(*part)};
}

// Moves what is alive in a pack to the newest one; the pack is then empty and goes in the next
// round.
Task<Status> Lake::compact(std::uint64_t pack, std::stop_token stop) {
  std::vector<Found> found;
  const auto scan = [&] {
    return ports_.blobs.scan(pack, [&](const BlobRef& ref, std::string_view text) -> Status {
      if (auto owner = BlobOwner::parse(text)) found.push_back({ref, *std::move(owner)});
      return {};
    });
  };
  STRATA_CO_TRY(co_await ports_.pool.run(scan));
  for (const auto& one : found) {
    if (stop.stop_requested()) break;
    const auto look = [&](Reader& reader) {
      return seems_alive(reader, one);
    };
    const auto alive = co_await ports_.records.read(look);
    if (!alive) co_return alive.error();
    if (!*alive) continue;
    const auto load = [&]() -> Result<std::string> {
      const auto slice = ports_.blobs.open(one.ref);
      if (!slice) return slice.error();
      std::string bytes(static_cast<std::size_t>(one.ref.size), '\0');
      const auto got = slice->file->read_at(bytes, slice->offset);
      if (!got) return got.error();
      bytes.resize(*got);
      return bytes;
    };
    auto bytes = co_await ports_.pool.run(load);
    if (!bytes) co_return std::move(bytes).error();
    auto copy = co_await ports_.blobs.put(*std::move(bytes), one.owner.to_string());
    if (!copy) co_return std::move(copy).error();
    const auto move = [&](Writer& writer) -> Result<bool> {
      auto moved = repoint(writer, one.owner, one.ref, copy->ref());
      if (!moved || !*moved) return moved;
      std::vector<BlobRef> freed;
      STRATA_TRY(acquire(writer, {copy->ref()}));
      STRATA_TRY(release(writer, {one.ref}, freed));
      return true;
    };
    const auto moved = co_await ports_.records.write(move);
    if (!moved) co_return moved.error();
    if (*moved) copy->keep();
  }
  co_return Status();
}

Task<Result<std::size_t>> Lake::tidy(bool leftovers, std::stop_token stop) {
  const auto sweep = [&]() -> Result<std::size_t> {
    if (!leftovers) return std::size_t{0};
    return ports_.blobs.sweep([&](const BlobRef& ref) -> Result<bool> {
      if (stop.stop_requested()) return Error(Code::kCancelled, "the server is stopping");
      return ports_.records.read_blocking([&](Reader& reader) { return is_alive(reader, ref); });
    });
  };
  auto given_back = co_await ports_.pool.run(sweep);
  if (!given_back) co_return given_back;

  const auto forget = [&](Writer& writer) {
    return writer.execute("DELETE FROM lake_uploads WHERE completed > 0 AND completed < ?",
                          {(ports_.clock.now() - kRememberCompleted).micros});
  };
  const auto forgotten = co_await ports_.records.write(forget);
  if (!forgotten) co_return forgotten.error();

  const auto list = [&] {
    return ports_.blobs.sealed_packs();
  };
  const auto packs = co_await ports_.pool.run(list);
  if (!packs) co_return packs.error();
  for (const auto& pack : *packs) {
    if (stop.stop_requested()) break;
    const auto look = [&](Reader& reader) {
      return reader.first("SELECT blobs, bytes FROM lake_packs WHERE pack = ?", {pack.number});
    };
    const auto row = co_await ports_.records.read(look);
    if (!row) co_return row.error();
    if (*row && (*row)->integer(0) > 0) {
      if (static_cast<std::uint64_t>((*row)->integer(1)) * 2 >= pack.bytes) continue;
      STRATA_CO_TRY(co_await compact(pack.number, stop));
    }
    // Only a pack that is empty by the records goes; one that compaction could not empty waits.
    const auto drop = [&](Writer& writer) -> Result<bool> {
      auto in_use =
          writer.first("SELECT 1 FROM lake_packs WHERE pack = ? AND blobs > 0", {pack.number});
      if (!in_use) return std::move(in_use).error();
      if (*in_use) return false;
      auto gone = writer.execute("DELETE FROM lake_packs WHERE pack = ?", {pack.number});
      if (!gone) return std::move(gone).error();
      return true;
    };
    const auto empty = co_await ports_.records.write(drop);
    if (!empty) co_return empty.error();
    if (!*empty) continue;
    const auto erase = [&] {
      return ports_.blobs.remove_pack(pack.number);
    };
    STRATA_CO_TRY(co_await ports_.pool.run(erase));
    ++*given_back;
  }
  co_return given_back;
}

Task<void> Lake::keep_tidy(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] { stop_tidying_.notify_all(); });
  bool leftovers = true;
  while (!stop.stop_requested()) {
    const auto given_back = co_await tidy(leftovers, stop);
    if (stop.stop_requested()) co_return;
    if (!given_back) {
      log::warn("lake.tidy", Json::object({{"error", given_back.error().to_string()}}));
    } else if (*given_back > 0) {
      log::info("lake.tidy", Json::object({{"given_back", *given_back}}));
    }
    leftovers = false;
    // In short waits: a stop that comes between the look and the wait must not cost a whole round.
    for (auto waited = kRound; waited > kWait && !stop.stop_requested(); waited -= kWait) {
      co_await stop_tidying_.wait(kWait);
    }
  }
}

}  // namespace strata::storage::lake
