#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct z_stream_s;

namespace strata::wire {

// The content codings of HTTP (RFC 9110 section 8.4.1) that bodies are packed with: gzip (RFC 1952)
// and deflate, which is the zlib format (RFC 1950).
enum class ContentCoding : std::uint8_t { kGzip, kDeflate };
std::string_view coding_name(ContentCoding coding);

// What Content-Encoding says of a body; nothing for one that is as it is. Errors:
// kUnsupportedMediaType for any other coding, and for more than one.
Result<std::optional<ContentCoding>> parse_content_encoding(std::string_view field);

// Whether Accept-Encoding names `coding` without a weight of zero (RFC 9110 section 12.5.3).
bool accepts_coding(std::string_view field, std::string_view coding);
// The coding to answer in; nothing where Accept-Encoding names none of ours.
std::optional<ContentCoding> accepted_coding(std::string_view field);

// Unpacks a body piece by piece: bytes in, views of its own buffer out. Whatever comes in, it takes
// a fixed amount of memory and neither reads nor gives more than `limit` bytes.
class Inflater {
 public:
  Inflater(ContentCoding coding, std::uint64_t limit);
  ~Inflater();
  Inflater(const Inflater&) = delete;

  // Consumes from the front of `input` and gives the next bytes, valid until the next call; empty
  // when `input` is used up. Errors: kMalformed, kTooLarge.
  Result<std::string_view> next(std::string_view& input);
  // Hands all that `input` unpacks to over, piece by piece. Errors: as of next(), and those of
  // `take`, which end it.
  Status unpack(std::string_view input, const std::function<Status(std::string_view)>& take);
  // Call at the end of the input. Errors: kMalformed when the body broke off.
  Status finish() const;

 private:
  Error broken(std::string_view what) const;

  ContentCoding coding_;
  std::uint64_t limit_;
  std::uint64_t read_ = 0;
  std::uint64_t given_ = 0;
  bool complete_ = false;
  bool full_ = false;  // the buffer was filled, so more may come without input
  std::unique_ptr<z_stream_s> stream_;
  std::string buffer_;
};

// Packs a body piece by piece, at the speed of a fast connection rather than to the smallest size.
class Deflater {
 public:
  explicit Deflater(ContentCoding coding);
  ~Deflater();
  Deflater(const Deflater&) = delete;

  // What `input` adds to the packed bytes, perhaps nothing yet; with `last`, all that is left.
  std::string pack(std::string_view input, bool last);

 private:
  std::unique_ptr<z_stream_s> stream_;
};

}  // namespace strata::wire
