#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "doors/http/connection.hpp"

namespace strata::http {

// Sends its pieces, each after a pause; silent for ever after the last one, or closed.
class ScriptedTransport final : public Transport {
 public:
  struct Piece {
    std::chrono::milliseconds pause{0};
    std::string bytes;
  };
  ScriptedTransport(ManualClock& clock, std::vector<Piece> pieces, bool closes = false)
      : clock_(clock),
        pieces_(std::move(pieces)),
        closes_(closes) {}

  Task<Result<std::size_t>> read_some(std::span<char> out,
                                      std::chrono::milliseconds limit) override {
    if (next_ == pieces_.size() && closes_) co_return std::size_t{0};
    if (next_ == pieces_.size() || pieces_[next_].pause > limit) {
      clock_.advance(limit);
      if (next_ < pieces_.size()) pieces_[next_].pause -= limit;
      co_return Error(Code::kDeadlineExceeded, "the peer was too slow");
    }
    Piece& piece = pieces_[next_];
    clock_.advance(std::exchange(piece.pause, std::chrono::milliseconds(0)));
    const std::size_t count = std::min(out.size(), piece.bytes.size());
    std::copy_n(piece.bytes.begin(), count, out.begin());
    piece.bytes.erase(0, count);
    if (piece.bytes.empty()) ++next_;
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
  void abort() override {}

  std::string answer;

 private:
  ManualClock& clock_;
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
  bool closes_;
};

// Answers with the size of the body that it read.
class SizeDoor final : public Door {
 public:
  std::string_view protocol() const override { return "sizes"; }
  Response error(const Error& error, const Request&) const override {
    return Response::text(status_of(error.code), error.message);
  }
  std::vector<Route> routes() override {
    std::vector<Route> routes;
    const auto handler = [this](const Authorized& call) -> Task<Response> {
      const auto body = co_await call.read_body();
      if (!body) co_return error(body.error(), call.request());
      co_return Response::text(200, std::to_string(body->size()));
    };
    const Limits limits{.body = 1000, .deadline = std::chrono::seconds(60)};
    routes.emplace_back(Method::kPost, "/size", kernel::Permission::kPublic, limits, handler);
    return routes;
  }
};

}  // namespace strata::http
