#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "doors/http/http.hpp"
#include "kernel/identity/identity.hpp"
#include "wire/content_coding.hpp"

namespace strata::doors::grpc {

// What a call's head says of it.
struct Terms {
  std::optional<wire::ContentCoding> coding;   // of its messages that are packed
  std::optional<wire::ContentCoding> answers;  // of ours
  std::optional<std::chrono::steady_clock::time_point> deadline;
};
// Errors: kInvalidArgument, kUnsupported, naming the field.
Result<Terms> read_terms(const http::Request& request, std::chrono::steady_clock::time_point now);

// A message that has come in, with the memory that it takes.
struct Message {
  std::shared_ptr<const std::string> bytes;
  http::BodyHold held;
};

// The messages of one call, read as they are asked for: what nobody asks for is not taken from the
// peer, which then has to wait. At most the route's limit of bytes each, packed and unpacked.
class Messages {
 public:
  Messages(const http::Authorized& call, std::optional<wire::ContentCoding> coding)
      : body_(call.body()),
        hold_(call.hold()),
        limit_(call.body_limit()),
        coding_(coding) {}

  // From now on looks, at each message, whether `caller` still may what needs `permission`, and
  // brings it up to date. All outlive this.
  void watch(const kernel::Identity& identity, kernel::Caller& caller,
             kernel::Permission permission) {
    identity_ = &identity;
    caller_ = &caller;
    permission_ = permission;
  }

  // The next one; nothing when the caller has said all. Errors: kMalformed, kTooLarge,
  // kResourceExhausted, kDeadlineExceeded, kUnauthenticated and its kin.
  Task<Result<std::optional<Message>>> next();

 private:
  Task<Result<bool>> take(std::string& out, std::size_t size, http::BodyHold& held);
  Status check_caller();

  ByteSource& body_;
  const http::BodyHold hold_;
  const std::uint64_t limit_;
  const std::optional<wire::ContentCoding> coding_;
  std::string_view rest_;  // of the body's last piece
  const kernel::Identity* identity_ = nullptr;
  kernel::Caller* caller_ = nullptr;
  kernel::Permission permission_ = kernel::Permission::kPublic;
};

}  // namespace strata::doors::grpc
