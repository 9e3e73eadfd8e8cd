#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "wire/aws/sigv4.hpp"

namespace strata::wire::aws {

// What the chunks of a signed body are checked against: the request's own signature seeds the
// chain.
struct ChunkSigning {
  std::string key;  // of signing_key()
  CredentialScope scope;
  std::string time_text;
  std::string seed_signature;
};

struct ChunkFraming {
  std::optional<ChunkSigning> signing = {};          // none for STREAMING-UNSIGNED-PAYLOAD-TRAILER
  bool trailer = false;                              // the -TRAILER forms
  std::optional<std::uint64_t> decoded_length = {};  // x-amz-decoded-content-length
};

// Takes the aws-chunked framing off a body (Content-Encoding: aws-chunked; S3 API, "Signature
// calculations: transfer payload in multiple chunks"). Pure: bytes in, views of the payload inside
// them out.
//
// A chunk's signature is checked when the chunk is complete, so payload is handed out before it is
// proved: whoever reads must drop all of it when a later call fails.
class ChunkDecoder {
 public:
  explicit ChunkDecoder(ChunkFraming framing);

  // Consumes from the front of `input` and gives the next run of payload, a view into it; empty
  // when `input` is used up or the body is complete. Errors: kMalformed (framing, or not the
  // declared length), kSignatureMismatch, kTooLarge.
  Result<std::string_view> next(std::string_view& input);
  // Call at the end of the input. Errors: kMalformed when the body broke off.
  Status finish() const;
  bool done() const { return state_ == State::kDone; }

  // Names in lower case; complete once done().
  const Pairs& trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t { kHeader, kData, kDataEnd, kTrailers, kDone };

  // One CRLF-ended line when it is complete. Errors: kTooLarge.
  Result<std::optional<std::string>> take_line(std::string_view& input, std::size_t limit);
  Status start_chunk(std::string_view line);
  Status end_chunk();
  Status take_trailer(std::string_view line);
  Status end_trailers();

  ChunkFraming framing_;
  State state_ = State::kHeader;
  std::string line_;
  std::uint64_t left_ = 0;
  std::uint64_t total_ = 0;
  bool last_ = false;
  std::optional<Digest> chunk_hash_;
  std::string chunk_signature_;
  std::string previous_signature_;
  std::string trailer_signature_;
  std::size_t trailer_bytes_ = 0;
  Pairs trailers_;
};

}  // namespace strata::wire::aws
