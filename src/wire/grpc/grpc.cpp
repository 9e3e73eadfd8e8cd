#include "wire/grpc/grpc.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire::grpc {

namespace {

// Below it packing costs more than it saves.
constexpr std::size_t kWorthPacking = 1024;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

}  // namespace

Status status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kMalformed:
    case Code::kChecksumMismatch:
    case Code::kUnsupportedMediaType:
      return Status::kInvalidArgument;
    case Code::kUnauthenticated:
    case Code::kExpired:
      return Status::kUnauthenticated;
    case Code::kPermissionDenied:
    case Code::kSignatureMismatch:
    case Code::kClockSkew:
      return Status::kPermissionDenied;
    case Code::kNotFound:
      return Status::kNotFound;
    case Code::kAlreadyExists:
      return Status::kAlreadyExists;
    case Code::kConflict:
      return Status::kAborted;
    case Code::kPreconditionFailed:
    case Code::kNotModified:
      return Status::kFailedPrecondition;
    case Code::kTooLarge:
    case Code::kQuotaExceeded:
    case Code::kResourceExhausted:
    case Code::kNoSpace:
      return Status::kResourceExhausted;
    case Code::kOutOfRange:
      return Status::kOutOfRange;
    case Code::kDeadlineExceeded:
      return Status::kDeadlineExceeded;
    case Code::kCancelled:
      return Status::kCancelled;
    case Code::kUnavailable:
      return Status::kUnavailable;
    case Code::kUnsupported:
    case Code::kMethodNotAllowed:
      return Status::kUnimplemented;
    case Code::kDataLoss:
      return Status::kDataLoss;
    case Code::kInternal:
      return Status::kInternal;
  }
  return Status::kUnknown;
}

std::string encode_message(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string decode_message(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high && low) {
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

Result<std::chrono::nanoseconds> parse_timeout(std::string_view field) {
  constexpr std::size_t kMostDigits = 8;
  constexpr std::array<std::pair<char, std::int64_t>, 6> kUnits = {{{'n', 1},
                                                                    {'u', 1'000},
                                                                    {'m', 1'000'000},
                                                                    {'S', 1'000'000'000},
                                                                    {'M', 60'000'000'000},
                                                                    {'H', 3'600'000'000'000}}};
  const auto wrong = [&] {
    return invalid("grpc-timeout",
                   fmt::format("grpc-timeout: '{}' is no timeout; write one to eight digits and a "
                               "unit (H, M, S, m, u or n), for example 500m",
                               printable(field, 40)));
  };
  if (field.size() < 2 || field.size() > kMostDigits + 1) return wrong();
  std::int64_t number = 0;
  for (const char c : field.substr(0, field.size() - 1)) {
    if (c < '0' || c > '9') return wrong();
    number = number * 10 + (c - '0');
  }
  for (const auto& [unit, nanoseconds] : kUnits) {
    if (field.back() != unit) continue;
    // 99,999,999 hours do not fit; nobody waits so long either.
    constexpr std::int64_t kMost = std::int64_t{1} << 62U;
    return std::chrono::nanoseconds(number > kMost / nanoseconds ? kMost : number * nanoseconds);
  }
  return wrong();
}

Result<std::optional<ContentCoding>> parse_encoding(std::string_view field) {
  if (field.empty() || field == "identity") return std::optional<ContentCoding>();
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    if (field == coding_name(coding)) return std::optional(coding);
  }
  return Error(Code::kUnsupported,
               fmt::format("grpc-encoding: '{}' is not offered; use one of {}",
                           printable(field, 40), kAcceptedEncodings),
               "grpc-encoding");
}

bool is_grpc(std::string_view content_type) {
  const auto type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  return type == "application/grpc" || type == "application/grpc+proto";
}

Result<FrameHead> parse_frame_head(std::string_view bytes) {
  const auto at = [&](std::size_t i) {
    return std::uint32_t{static_cast<std::uint8_t>(bytes[i])};
  };
  if (at(0) > 1) {
    return Error(Code::kMalformed,
                 fmt::format("a gRPC message must begin with 0 or 1, not {}", at(0)));
  }
  return FrameHead{at(0) == 1, at(1) << 24U | at(2) << 16U | at(3) << 8U | at(4)};
}

Result<std::string> unpack(const FrameHead& head, std::string message,
                           std::optional<ContentCoding> coding, std::uint64_t limit) {
  if (!head.packed) return message;
  if (!coding) {
    return invalid("grpc-encoding",
                   "grpc-encoding: a message is marked as compressed, and no encoding is named");
  }
  Inflater inflater(*coding, limit);
  std::string out;
  STRATA_TRY(inflater.unpack(message, [&](std::string_view piece) {
    out += piece;
    return strata::Status();
  }));
  STRATA_TRY(inflater.finish());
  return out;
}

std::string to_frame(std::string_view message, std::optional<ContentCoding> coding) {
  std::string out;
  out.reserve(kFrameHead + message.size());
  out.append(kFrameHead, '\0');
  out += message;
  return frame_in_room(std::move(out), coding);
}

std::string frame_in_room(std::string message, std::optional<ContentCoding> coding) {
  const bool pack = coding && message.size() - kFrameHead >= kWorthPacking;
  if (pack) {
    auto packed = Deflater(*coding).pack(std::string_view(message).substr(kFrameHead), true);
    message.replace(kFrameHead, std::string::npos, packed);
  }
  const auto length = static_cast<std::uint32_t>(message.size() - kFrameHead);
  message[0] = static_cast<char>(pack ? 1 : 0);
  for (std::size_t i = 1; i < kFrameHead; ++i)
    message[i] = static_cast<char>(length >> 8 * (kFrameHead - 1 - i) & 0xFFU);
  return message;
}

}  // namespace strata::wire::grpc
