#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "doors/http/connection.hpp"
#include "runtime/loop.hpp"

namespace strata::doors::http2 {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  std::string out;
  const auto put = [&](std::size_t value, unsigned bytes) {
    for (unsigned i = bytes; i > 0; --i)
      out += static_cast<char>(value >> 8 * (i - 1) & 0xFFU);
  };
  put(payload.size(), 3);
  put(type, 1);
  put(flags, 1);
  put(stream, 4);
  return out.append(payload);
}

// The frames of an answer; `whole` says whether nothing is left over.
inline std::vector<Frame> frames_in(std::string_view bytes, bool& whole) {
  std::vector<Frame> all;
  const auto number = [&](std::size_t at, std::size_t count) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8U | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
  };
  constexpr std::size_t kHead = 9;
  while (bytes.size() >= kHead && bytes.size() - kHead >= number(0, 3)) {
    const std::size_t size = number(0, 3);
    all.push_back({static_cast<std::uint8_t>(bytes[3]), static_cast<std::uint8_t>(bytes[4]),
                   static_cast<std::uint32_t>(number(5, 4)),
                   std::string(bytes.substr(kHead, size))});
    bytes.remove_prefix(kHead + size);
  }
  whole = bytes.empty();
  return all;
}

// A peer that sends its pieces, each after a pause, and takes what it is sent. A second of the
// clock passes in a few milliseconds, so that the session's own timer sees it.
class PacedTransport final : public http::Transport {
 public:
  struct Piece {
    std::chrono::seconds pause{0};
    std::string bytes;
  };
  PacedTransport(ManualClock& clock, std::vector<Piece> pieces, bool closes)
      : clock_(clock),
        pieces_(std::move(pieces)),
        closes_(closes) {}

  Task<Result<std::size_t>> read_some(std::span<char> out, std::chrono::milliseconds) override {
    constexpr int kTurns = 8;  // for the handlers to get on
    for (int turn = 0; turn < kTurns; ++turn)
      co_await Loop::current()->sleep(std::chrono::microseconds(0));
    while (!aborted_ && (next_ == pieces_.size() ? !closes_ : pieces_[next_].pause.count() > 0)) {
      if (next_ < pieces_.size()) pieces_[next_].pause -= std::chrono::seconds(1);
      clock_.advance(std::chrono::seconds(1));
      co_await Loop::current()->sleep(std::chrono::milliseconds(10));
    }
    if (aborted_) co_return Error(Code::kUnavailable, "the connection was broken");
    if (next_ == pieces_.size()) co_return std::size_t{0};
    auto& bytes = pieces_[next_].bytes;
    const std::size_t count = std::min(out.size(), bytes.size());
    std::copy_n(bytes.begin(), count, out.begin());
    bytes.erase(0, count);
    if (bytes.empty()) ++next_;
    co_return count;
  }
  Task<Status> write(std::vector<std::string_view> pieces, std::chrono::milliseconds) override {
    for (const auto piece : pieces)
      answer += piece;
    co_return Status();
  }
  void watch_peer(std::move_only_function<void()>) override {}
  Task<Status> open(std::chrono::milliseconds) override { co_return Status(); }
  Task<void> close() override { co_return; }
  Task<void> linger() override { co_return; }
  void abort() override { aborted_ = true; }

  std::string answer;

 private:
  ManualClock& clock_;
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
  const bool closes_;
  bool aborted_ = false;
};

}  // namespace strata::doors::http2
