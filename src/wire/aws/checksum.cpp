#include "wire/aws/checksum.hpp"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire::aws {

namespace {

// Reflected CRCs, eight bytes a step (Kounavis and Berry, "A systematic approach to building high
// performance software-based CRC generators", 2005).
template <class Word, Word kPolynomial>
struct Crc {
  static constexpr int kBits = static_cast<int>(sizeof(Word) * 8);

  static constexpr std::array<std::array<Word, 256>, 8> make_tables() {
    std::array<std::array<Word, 256>, 8> tables{};
    for (unsigned i = 0; i < 256; ++i) {
      Word value = static_cast<Word>(i);
      for (int bit = 0; bit < 8; ++bit)
        value = (value & 1U) ? (value >> 1) ^ kPolynomial : value >> 1;
      tables[0][i] = value;
    }
    for (std::size_t k = 1; k < 8; ++k) {
      for (std::size_t i = 0; i < 256; ++i) {
        const Word before = tables[k - 1][i];
        tables[k][i] = (before >> 8) ^ tables[0][static_cast<std::size_t>(before & 0xFFU)];
      }
    }
    return tables;
  }
  static constexpr std::array<std::array<Word, 256>, 8> kTables = make_tables();

  static Word update(Word crc, std::string_view bytes) {
    crc = static_cast<Word>(~crc);
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, 8);  // little-endian machines only, like the rest of the formats here
      word ^= static_cast<std::uint64_t>(crc);
      crc = kTables[7][word & 0xFF] ^ kTables[6][(word >> 8) & 0xFF] ^
            kTables[5][(word >> 16) & 0xFF] ^ kTables[4][(word >> 24) & 0xFF] ^
            kTables[3][(word >> 32) & 0xFF] ^ kTables[2][(word >> 40) & 0xFF] ^
            kTables[1][(word >> 48) & 0xFF] ^ kTables[0][word >> 56];
    }
    for (; left > 0; --left, ++at) {
      const auto index = static_cast<std::size_t>((crc ^ static_cast<unsigned char>(*at)) & 0xFFU);
      crc = (crc >> 8) ^ kTables[0][index];
    }
    return static_cast<Word>(~crc);
  }

  // a * b modulo the polynomial, both reflected.
  static Word multiply(Word a, Word b) {
    Word product = 0;
    for (Word mask = Word{1} << (kBits - 1); mask != 0; mask >>= 1) {
      if (a & mask) product ^= b;
      b = (b & 1U) ? (b >> 1) ^ kPolynomial : b >> 1;
    }
    return product;
  }

  static Word combine(Word a, Word b, std::uint64_t b_length) {
    Word power = Word{1} << (kBits - 2);  // x
    for (int i = 0; i < 3; ++i)
      power = multiply(power, power);     // x^8, one byte
    Word shift = Word{1} << (kBits - 1);  // 1
    for (; b_length != 0; b_length >>= 1) {
      if (b_length & 1U) shift = multiply(shift, power);
      power = multiply(power, power);
    }
    return multiply(shift, a) ^ b;
  }
};

using Crc32 = Crc<std::uint32_t, 0xEDB88320U>;
using Crc32c = Crc<std::uint32_t, 0x82F63B78U>;
using Crc64Nvme = Crc<std::uint64_t, 0x9A6C9329AC4BC9B5ULL>;

std::string big_endian(std::uint64_t value, std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[size - 1 - i] = static_cast<char>(value >> (8 * i));
  return out;
}

std::uint64_t from_big_endian(std::string_view raw) {
  std::uint64_t value = 0;
  for (const char c : raw)
    value = (value << 8) | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string_view checksum_name(ChecksumKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"CRC32", "CRC32C", "CRC64NVME", "SHA1",
                                                      "SHA256"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view checksum_header(ChecksumKind kind) {
  constexpr std::array<std::string_view, 5> kHeaders = {
      "x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme",
      "x-amz-checksum-sha1", "x-amz-checksum-sha256"};
  return kHeaders[static_cast<std::size_t>(kind)];
}

std::optional<ChecksumKind> checksum_by_name(std::string_view name) {
  for (const auto kind : kChecksumKinds) {
    if (equal_ignoring_case(checksum_name(kind), name)) return kind;
  }
  return std::nullopt;
}

std::optional<ChecksumKind> checksum_by_header(std::string_view header) {
  for (const auto kind : kChecksumKinds) {
    if (equal_ignoring_case(checksum_header(kind), header)) return kind;
  }
  return std::nullopt;
}

std::size_t checksum_size(ChecksumKind kind) {
  constexpr std::array<std::size_t, 5> kSizes = {4, 4, 8, 20, 32};
  return kSizes[static_cast<std::size_t>(kind)];
}

bool is_crc(ChecksumKind kind) {
  return kind != ChecksumKind::kSha1 && kind != ChecksumKind::kSha256;
}

Checksum::Checksum(ChecksumKind kind) : kind_(kind) {
  if (kind == ChecksumKind::kSha1) digest_.emplace(DigestKind::kSha1);
  if (kind == ChecksumKind::kSha256) digest_.emplace(DigestKind::kSha256);
}

void Checksum::update(std::string_view bytes) {
  switch (kind_) {
    case ChecksumKind::kCrc32:
      crc_ = Crc32::update(static_cast<std::uint32_t>(crc_), bytes);
      break;
    case ChecksumKind::kCrc32c:
      crc_ = Crc32c::update(static_cast<std::uint32_t>(crc_), bytes);
      break;
    case ChecksumKind::kCrc64Nvme:
      crc_ = Crc64Nvme::update(crc_, bytes);
      break;
    case ChecksumKind::kSha1:
    case ChecksumKind::kSha256:
      digest_->update(bytes);
      break;
  }
}

std::string Checksum::finish() {
  if (digest_) return digest_->finish();
  return big_endian(crc_, checksum_size(kind_));
}

std::string checksum_of(ChecksumKind kind, std::string_view bytes) {
  Checksum sum(kind);
  sum.update(bytes);
  return sum.finish();
}

std::string combine_crc(ChecksumKind kind, std::string_view a, std::string_view b,
                        std::uint64_t b_length) {
  const std::uint64_t left = from_big_endian(a);
  const std::uint64_t right = from_big_endian(b);
  const auto left32 = static_cast<std::uint32_t>(left);
  const auto right32 = static_cast<std::uint32_t>(right);
  switch (kind) {
    case ChecksumKind::kCrc32:
      return big_endian(Crc32::combine(left32, right32, b_length), 4);
    case ChecksumKind::kCrc32c:
      return big_endian(Crc32c::combine(left32, right32, b_length), 4);
    default:
      return big_endian(Crc64Nvme::combine(left, right, b_length), 8);
  }
}

Result<std::string> parse_checksum(ChecksumKind kind, std::string_view base64,
                                   std::string_view header) {
  auto raw = from_base64(base64);
  if (raw && raw->size() == checksum_size(kind)) return raw;
  return invalid(std::string(header),
                 fmt::format("{}: '{}' is not the base64 form of a {} value ({} bytes)", header,
                             printable(base64), checksum_name(kind), checksum_size(kind)));
}

}  // namespace strata::wire::aws
