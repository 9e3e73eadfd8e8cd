#include "engines/files/pack_format.hpp"

#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "wire/aws/checksum.hpp"

namespace strata::engines::files {

namespace {

using wire::aws::Checksum;
using wire::aws::ChecksumKind;

constexpr std::uint32_t kMagic = 0xB10B5EEDU;
constexpr std::size_t kRecordHeader = 16;
constexpr std::size_t kMaxOwner = 4096;
constexpr std::size_t kMaxRecord = kRecordHeader + kMaxOwner + storage::lake::BlobStore::kMaxPacked;
constexpr std::size_t kWindow = 1U << 20;

std::string number(std::uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint32_t checksum(std::string_view bytes) {
  const auto raw = wire::aws::checksum_of(ChecksumKind::kCrc32c, bytes);
  return number_at(raw, 0);
}

struct Record {
  std::string_view owner;
  std::string_view payload;
  std::size_t size = 0;
};

// The record that begins at the front of `bytes`, if a whole one does.
std::optional<Record> record_at(std::string_view bytes) {
  if (bytes.size() < kRecordHeader || number_at(bytes, 0) != kMagic) return std::nullopt;
  const std::size_t owner = number_at(bytes, 8);
  const std::size_t payload = number_at(bytes, 12);
  if (owner > kMaxOwner || payload > storage::lake::BlobStore::kMaxPacked) return std::nullopt;
  const std::size_t size = kRecordHeader + owner + payload;
  if (bytes.size() < size || checksum(bytes.substr(8, size - 8)) != number_at(bytes, 4))
    return std::nullopt;
  return Record{bytes.substr(kRecordHeader, owner), bytes.substr(kRecordHeader + owner, payload),
                size};
}

}  // namespace

std::string pack_record(std::string_view owner, std::string_view payload) {
  owner = owner.substr(0, kMaxOwner);
  std::string body = number(static_cast<std::uint32_t>(owner.size()));
  body.reserve(kRecordHeader + owner.size() + payload.size());
  body += number(static_cast<std::uint32_t>(payload.size()));
  body += owner;
  body += payload;
  std::string head = number(kMagic) + number(checksum(body));
  body.insert(0, head);
  return body;
}

Status scan_pack(File& file, std::uint64_t pack, const storage::lake::BlobStore::Visit& visit) {
  std::string window(kWindow, '\0');
  std::uint64_t start = 0;  // of the window within the file
  std::size_t filled = 0;
  std::size_t at = 0;  // within the window
  bool ended = false;
  const auto refill = [&]() -> Status {
    start += at;
    at = 0;
    const auto got = file.read_at(window, start);
    if (!got) return got.error();
    filled = *got;
    ended = filled < window.size();
    return {};
  };
  STRATA_TRY(refill());
  if (!std::string_view(window.data(), filled).starts_with(kPackHeader)) {
    return Error(Code::kDataLoss,
                 fmt::format("pack {} does not begin as a pack of version 1", pack));
  }
  at = kPackHeader.size();
  while (true) {
    if (!ended && filled - at < kMaxRecord) STRATA_TRY(refill());
    if (at >= filled) return {};
    const std::string_view rest(window.data() + at, filled - at);
    const auto record = record_at(rest);
    if (!record) {
      const std::size_t next = rest.find(static_cast<char>(kMagic & 0xFFU), 1);
      at = next == std::string_view::npos ? filled : at + next;
      continue;
    }
    const auto place = start + at + static_cast<std::size_t>(record->payload.data() - rest.data());
    STRATA_TRY(visit({pack, place, record->payload.size()}, record->owner));
    at += record->size;
  }
}

}  // namespace strata::engines::files
