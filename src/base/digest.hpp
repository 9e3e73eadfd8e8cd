#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace strata {

enum class DigestKind : std::uint8_t { kMd5, kSha1, kSha256 };

// A running cryptographic hash (FIPS 180-4, RFC 1321 by OpenSSL). One owner, one thread at a time.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void update(std::string_view bytes);
  // The raw digest (16, 20 or 32 bytes). The object must not be used afterwards.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Raw digests of one whole text.
std::string sha256(std::string_view bytes);
std::string md5(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
std::string hmac_sha1(std::string_view key, std::string_view bytes);

// "sha256:" + 64 hex digits: how content is named everywhere in Strata.
std::string content_digest(std::string_view bytes);

}  // namespace strata
