#include "wire/aws/checksum.hpp"

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

// Any bytes cut in two: pieces give the checksum of the whole, and so do two CRCs combined. The
// same bytes as the text of a checksum header.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire::aws;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] % (text.size() + 1);
  for (const auto kind : kChecksumKinds) {
    const std::string whole = checksum_of(kind, text);
    if (whole.size() != checksum_size(kind)) __builtin_trap();
    Checksum pieces(kind);
    pieces.update(text.substr(0, cut));
    pieces.update(text.substr(cut));
    if (pieces.finish() != whole) __builtin_trap();
    if (is_crc(kind)) {
      const auto joined = combine_crc(kind, checksum_of(kind, text.substr(0, cut)),
                                      checksum_of(kind, text.substr(cut)), text.size() - cut);
      if (joined != whole) __builtin_trap();
    }
    const auto header = checksum_header(kind);
    if (parse_checksum(kind, strata::to_base64(whole), header).value() != whole) __builtin_trap();
    const auto raw = parse_checksum(kind, text, header);
    if (raw && raw->size() != checksum_size(kind)) __builtin_trap();
  }
  static_cast<void>(checksum_by_name(text));
  static_cast<void>(checksum_by_header(text));
  return 0;
}
