#include "wire/aws/aws_chunked.hpp"

#include <cstddef>
#include <cstdint>

// Any body, cut anywhere, with and without signatures: no crash, no growth, and no more payload
// than was declared.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire::aws;
  if (size < 2) return 0;
  constexpr std::uint64_t kDeclared = 4096;
  ChunkFraming framing{.signing = {}, .trailer = (data[0] & 1U) != 0, .decoded_length = kDeclared};
  if ((data[0] & 2U) != 0)
    framing.signing = ChunkSigning{"key", {"id", "20260101", "r", "s3"}, "t", "seed"};
  const std::size_t step = 1 + data[1] % 64U;
  std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  ChunkDecoder decoder(std::move(framing));
  std::uint64_t total = 0;
  while (!body.empty() && !decoder.done()) {
    auto piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    while (!piece.empty() && !decoder.done()) {
      const auto run = decoder.next(piece);
      if (!run) return 0;
      total += run->size();
      if (total > kDeclared) __builtin_trap();
    }
  }
  static_cast<void>(decoder.finish().ok());
  return 0;
}
