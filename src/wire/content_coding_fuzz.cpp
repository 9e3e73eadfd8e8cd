#include "wire/content_coding.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace {

using namespace strata::wire;

constexpr std::uint64_t kLimit = 1U << 18U;

// What a body unpacks to when it comes in pieces of `step` bytes; nothing when it is refused.
std::optional<std::string> unpacked(ContentCoding coding, std::string_view body, std::size_t step) {
  Inflater inflater(coding, kLimit);
  std::string all;
  const auto take = [&](std::string_view run) {
    all += run;
    return strata::Status();
  };
  while (!body.empty()) {
    const auto piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    const bool fits = inflater.unpack(piece, take).ok();
    if (all.size() > kLimit) __builtin_trap();
    if (!fits) return std::nullopt;
  }
  if (!inflater.finish()) return std::nullopt;
  return all;
}

}  // namespace

// Any body as either coding: never more than the limit, the same however it is cut, and packed
// again it unpacks to the same. The same bytes as header fields.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto coding = (data[0] & 1U) != 0 ? ContentCoding::kDeflate : ContentCoding::kGzip;
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = unpacked(coding, body, body.size());
  if (unpacked(coding, body, 1 + data[1] % 64U) != whole) __builtin_trap();
  if (whole) {
    const std::string again = Deflater(coding).pack(*whole, true);
    if (unpacked(coding, again, 1000) != whole) __builtin_trap();
  }
  static_cast<void>(parse_content_encoding(body).ok());
  static_cast<void>(accepted_coding(body));
  return 0;
}
