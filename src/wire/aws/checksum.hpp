#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace strata::wire::aws {

// The additional checksums of the S3 API. CRC-32 (ISO 3309), CRC-32C (RFC 3720), CRC-64/NVME (NVM
// Express 2.0), FIPS 180-4.
enum class ChecksumKind : std::uint8_t { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };

inline constexpr ChecksumKind kChecksumKinds[] = {ChecksumKind::kCrc32, ChecksumKind::kCrc32c,
                                                  ChecksumKind::kCrc64Nvme, ChecksumKind::kSha1,
                                                  ChecksumKind::kSha256};

// "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256".
std::string_view checksum_name(ChecksumKind kind);
// "x-amz-checksum-crc32" and so on.
std::string_view checksum_header(ChecksumKind kind);
std::optional<ChecksumKind> checksum_by_name(std::string_view name);      // ignores case
std::optional<ChecksumKind> checksum_by_header(std::string_view header);  // ignores case
// Bytes of the raw value.
std::size_t checksum_size(ChecksumKind kind);
bool is_crc(ChecksumKind kind);

// A running checksum of one of the kinds. One owner, one thread at a time.
class Checksum {
 public:
  explicit Checksum(ChecksumKind kind);
  void update(std::string_view bytes);
  // The raw value in network byte order. The object must not be used afterwards.
  std::string finish();
  ChecksumKind kind() const { return kind_; }

 private:
  ChecksumKind kind_;
  std::uint64_t crc_ = 0;
  std::optional<Digest> digest_;
};

std::string checksum_of(ChecksumKind kind, std::string_view bytes);

// The CRC of `a` followed by `b` from both CRCs and the length of `b` in bytes, without their
// content. Raw values in and out; `kind` must be a CRC.
std::string combine_crc(ChecksumKind kind, std::string_view a, std::string_view b,
                        std::uint64_t b_length);

// The raw value behind a base64 header. Errors: kInvalidArgument naming `header` when it has not
// the kind's length.
Result<std::string> parse_checksum(ChecksumKind kind, std::string_view base64,
                                   std::string_view header);

}  // namespace strata::wire::aws
