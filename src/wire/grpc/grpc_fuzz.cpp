#include "wire/grpc/grpc.hpp"

#include <cstddef>
#include <cstdint>

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

// A message is never larger than the limit, what is packed comes out again, and any text survives
// grpc-message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  constexpr std::uint64_t kLimit = 1U << 16U;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  require(grpc::decode_message(grpc::encode_message(all)) == all);
  static_cast<void>(grpc::parse_timeout(all).ok());
  static_cast<void>(grpc::parse_encoding(all).ok());
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const auto frame = grpc::to_frame(all, coding);
    const auto own = grpc::parse_frame_head(frame);
    require(own && own->length + grpc::kFrameHead == frame.size());
    if (size <= kLimit)
      require(*grpc::unpack(*own, frame.substr(grpc::kFrameHead), coding, kLimit) == all);
    if (size < grpc::kFrameHead) continue;
    const auto head = grpc::parse_frame_head(all);
    if (!head) continue;
    const auto message =
        grpc::unpack(*head, std::string(all.substr(grpc::kFrameHead)), coding, kLimit);
    require(!message || !head->packed || message->size() <= kLimit);
  }
  return 0;
}
