#include "doors/http2/stream.hpp"

#include "base/text.hpp"

namespace strata::doors::http2 {

std::optional<std::uint64_t> Stream::length() const {
  if (ended_ && inbox_.empty() && handed_.empty()) return 0;
  const auto field = request.headers.find("Content-Length");
  const auto length = field ? to_int(*field) : std::nullopt;
  if (!length || *length < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*length);
}

Task<void> Stream::drain() {
  constexpr std::uint64_t kMostDrained = 1 << 20;
  constexpr std::chrono::milliseconds kDrainTime{2000};
  if (length().value_or(0) > kMostDrained) co_return;
  request.body_deadline = clock_.steady() + kDrainTime;
  for (std::uint64_t total = 0; total <= kMostDrained;) {
    const auto got = co_await next();
    if (!got || got->empty()) co_return;
    total += got->size();
  }
}

Task<Result<std::string_view>> Stream::next() {
  if (!handed_.empty()) consume_(id, std::exchange(handed_, {}).size());
  while (inbox_.empty()) {
    if (ended_) co_return std::string_view();
    if (closed)
      co_return Error(Code::kUnavailable, "the connection broke before the body was complete");
    if (stops_) {
      Error stops(Code::kUnavailable, "the server is stopping");
      stops.retry = true;
      co_return stops;
    }
    const auto now = clock_.steady();
    if (late_ || now >= request.body_deadline)
      co_return Error(Code::kDeadlineExceeded, "the body took longer than is allowed here");
    const auto patience = request.body_silence.count() > 0 ? request.body_silence : io_deadline_;
    patience_ends_ = std::min(request.body_deadline, now + patience);
    co_await arrived_.wait();
    patience_ends_.reset();
  }
  handed_ = std::exchange(inbox_, {});
  co_return std::string_view(handed_);
}

}  // namespace strata::doors::http2
