#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/content_coding.hpp"

// What gRPC puts around its messages on HTTP/2. Spec: grpc/doc/PROTOCOL-HTTP2.md, statuscodes.md
// and compression.md of the gRPC project.
namespace strata::wire::grpc {

enum class Status : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16
};

// What a code of ours is called there.
Status status_of(Code code);

// grpc-message: what is not printable ASCII, and '%', stands as %XX.
std::string encode_message(std::string_view text);
// The reverse; what is no escape stays as it is, as the specification wants.
std::string decode_message(std::string_view text);

// grpc-timeout: up to eight digits and a unit (H, M, S, m, u, n). Errors: kInvalidArgument.
Result<std::chrono::nanoseconds> parse_timeout(std::string_view field);

// What grpc-encoding says; nothing for messages as they are. Errors: kUnsupported naming those that
// are taken.
Result<std::optional<ContentCoding>> parse_encoding(std::string_view field);
// What we say of it in grpc-accept-encoding.
constexpr std::string_view kAcceptedEncodings = "identity, deflate, gzip";

// Whether a content type is gRPC's, with messages in protobuf.
bool is_grpc(std::string_view content_type);

constexpr std::size_t kFrameHead = 5;

struct FrameHead {
  bool packed = false;
  std::uint32_t length = 0;  // of the message behind it
};
// The five bytes before each message; `bytes` has at least so many. Errors: kMalformed.
Result<FrameHead> parse_frame_head(std::string_view bytes);

// The message of a frame, unpacked when the frame says so; `coding` is what grpc-encoding says.
// Errors: kMalformed, kTooLarge beyond `limit` bytes, kInvalidArgument for a packed message without
// a coding.
Result<std::string> unpack(const FrameHead& head, std::string message,
                           std::optional<ContentCoding> coding, std::uint64_t limit);

// A frame around a message, packed with `coding` if there is one and it is worth it.
std::string to_frame(std::string_view message, std::optional<ContentCoding> coding);
// The same for a message behind kFrameHead bytes of room, which is not copied if it is not packed.
std::string frame_in_room(std::string message, std::optional<ContentCoding> coding);
// What such a message begins with.
inline std::string room() {
  return std::string(kFrameHead, '\0');
}

}  // namespace strata::wire::grpc
