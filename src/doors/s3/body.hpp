#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "doors/http/http.hpp"
#include "wire/aws/aws_chunked.hpp"

// Bodies that are checked as they are read. Private to the door.
namespace strata::doors::s3 {

// Passes a body on and fails at its end unless it hashes to what x-amz-content-sha256 says.
class DigestedBody final : public ByteSource {
 public:
  DigestedBody(ByteSource& inner, std::string sha256_hex)
      : inner_(inner),
        wanted_(std::move(sha256_hex)) {}
  Task<Result<std::string_view>> next() override;
  std::optional<std::uint64_t> length() const override { return inner_.length(); }

 private:
  ByteSource& inner_;
  std::string wanted_;
  Digest digest_{DigestKind::kSha256};
  bool ended_ = false;
};

// Takes the aws-chunked framing off. At the end the checksum trailers join the request's headers.
class ChunkedBody final : public ByteSource {
 public:
  ChunkedBody(ByteSource& inner, wire::aws::ChunkFraming framing, http::Headers& headers)
      : inner_(inner),
        length_(framing.decoded_length),
        decoder_(std::move(framing)),
        headers_(headers) {}
  Task<Result<std::string_view>> next() override;
  std::optional<std::uint64_t> length() const override { return length_; }

 private:
  ByteSource& inner_;
  std::optional<std::uint64_t> length_;
  wire::aws::ChunkDecoder decoder_;
  http::Headers& headers_;
  std::string_view pending_;
  bool ended_ = false;
};

}  // namespace strata::doors::s3
