#include "doors/grpc/messages.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/grpc/grpc.hpp"

namespace strata::doors::grpc {

Result<Terms> read_terms(const http::Request& request, std::chrono::steady_clock::time_point now) {
  Terms terms;
  auto coding = wire::grpc::parse_encoding(request.headers.get("grpc-encoding"));
  if (!coding) return std::move(coding).error();
  terms.coding = *coding;
  const auto accepted = request.headers.get("grpc-accept-encoding");
  if (terms.coding && wire::accepts_coding(accepted, wire::coding_name(*terms.coding)))
    terms.answers = terms.coding;
  if (const auto field = request.headers.find("grpc-timeout")) {
    const auto timeout = wire::grpc::parse_timeout(*field);
    if (!timeout) return timeout.error();
    constexpr std::chrono::hours kNobodyWaitsLonger(24 * 365);
    terms.deadline = now + std::min<std::chrono::nanoseconds>(*timeout, kNobodyWaitsLonger);
  }
  return terms;
}

// Fills `out` up to `size`. False when the body ends before the first byte.
Task<Result<bool>> Messages::take(std::string& out, std::size_t size, http::BodyHold& held) {
  while (out.size() < size) {
    if (rest_.empty()) {
      const auto piece = co_await body_.next();
      if (!piece) co_return piece.error();
      if (piece->empty() && out.empty()) co_return false;
      if (piece->empty())
        co_return Error(Code::kMalformed, "the call ends in the middle of a message");
      rest_ = *piece;
    }
    const auto part = rest_.substr(0, size - out.size());
    STRATA_CO_TRY(held.grow(part.size()));
    out += part;
    rest_.remove_prefix(part.size());
  }
  co_return true;
}

Task<Result<std::optional<Message>>> Messages::next() {
  // What is believed of a length before its bytes are here.
  constexpr std::size_t kBelieved = 1U << 20U;
  Message message{nullptr, hold_.beside()};
  std::string text;
  const auto begun = co_await take(text, wire::grpc::kFrameHead, message.held);
  if (!begun) co_return begun.error();
  if (!*begun) co_return std::optional<Message>();
  const auto head = wire::grpc::parse_frame_head(text);
  if (!head) co_return head.error();
  if (head->length > limit_) {
    co_return Error(Code::kTooLarge, fmt::format("a message of {} bytes is larger than the {} "
                                                 "allowed here; send less at a time",
                                                 head->length, limit_));
  }
  text.clear();
  text.reserve(std::min<std::size_t>(head->length, kBelieved));
  const auto whole = co_await take(text, head->length, message.held);
  if (!whole) co_return whole.error();
  if (!*whole) co_return Error(Code::kMalformed, "the call ends in the middle of a message");
  STRATA_CO_TRY(check_caller());
  auto plain = wire::grpc::unpack(*head, std::move(text), coding_, limit_);
  if (!plain) co_return std::move(plain).error();
  if (head->packed) STRATA_CO_TRY(message.held.grow(plain->size()));
  message.bytes = std::make_shared<const std::string>(*std::move(plain));
  co_return std::optional<Message>(std::move(message));
}

Status Messages::check_caller() {
  if (caller_ == nullptr) return {};
  auto now = identity_->renewed(*caller_);
  if (!now) return std::move(now).error();
  *caller_ = *std::move(now);
  if (!caller_->may(permission_)) return kernel::lacks_permission(*caller_, permission_);
  return {};
}

}  // namespace strata::doors::grpc
