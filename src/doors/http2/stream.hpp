#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "doors/http/http.hpp"
#include "runtime/loop.hpp"

namespace strata::doors::http2 {

using SteadyTime = std::chrono::steady_clock::time_point;

// What one coroutine of a connection waits for and another one of the same loop says. Once open,
// the next wait goes through and closes it again; who waited looks at the state anew.
class Gate {
 public:
  void open() {
    open_ = true;
    if (waiting_) Loop::current()->resume(std::exchange(waiting_, {}));
  }
  auto wait() {
    struct Awaiter {
      Gate* gate;
      bool await_ready() const noexcept { return gate->open_; }
      void await_suspend(std::coroutine_handle<> handle) noexcept { gate->waiting_ = handle; }
      void await_resume() const noexcept { gate->open_ = false; }
    };
    return Awaiter{this};
  }

 private:
  std::coroutine_handle<> waiting_;
  bool open_ = false;
};

// One request and its answer. It is the source of its own body: what has arrived is handed out
// piece by piece, and only what was taken lets the peer send more.
class Stream final : public ByteSource {
 public:
  using Consume = std::function<void(std::int32_t id, std::size_t bytes)>;
  Stream(std::int32_t stream_id, const Clock& clock, std::chrono::milliseconds io_deadline,
         Consume consume)
      : id(stream_id),
        clock_(clock),
        io_deadline_(io_deadline),
        consume_(std::move(consume)) {}

  const std::int32_t id;
  http::Request request;
  std::string method;
  std::size_t head_bytes = 0;
  bool has_handler = false;  // its head was complete, so a coroutine serves it
  bool closed = false;       // nothing can be sent to it any more

  // What goes out: `piece` until it is empty, then more unless it was the last one.
  std::string_view piece;
  bool last_piece = false;
  bool all_sent = false;
  std::function<http::Headers()> trailers;  // of the answer, if it has any
  SteadyTime sent_at{};                     // when something of the piece went out last
  Gate sent;
  std::function<void()> gone;  // called once when the peer ends the stream

  void receive(std::string_view bytes) {
    if (discards_) return consume_(id, bytes.size());
    inbox_ += bytes;
    arrived_.open();
  }
  void end_body() {
    ended_ = true;
    arrived_.open();
  }
  bool body_ended() const { return ended_; }
  // Nobody reads the rest.
  void discard() {
    discards_ = true;
    consume_(id, std::exchange(inbox_, {}).size() + std::exchange(handed_, {}).size());
  }
  void close() {
    closed = true;
    arrived_.open();
    sent.open();
    if (auto tell = std::exchange(gone, {})) tell();
  }
  // The server stops: a body that speaks now and then says nothing more.
  void stop_listening() {
    if (request.body_silence.count() == 0) return;
    stops_ = true;
    arrived_.open();
  }
  // Ends a wait for the body that has lasted too long.
  void look_at(SteadyTime now) {
    if (!patience_ends_ || now < *patience_ends_) return;
    late_ = true;
    arrived_.open();
  }

  // Takes in what the handler left of the body, for a moment and while it is not much: some clients
  // send it all before they look at an answer.
  Task<void> drain();

  std::optional<std::uint64_t> length() const override;
  Task<Result<std::string_view>> next() override;

 private:
  const Clock& clock_;
  const std::chrono::milliseconds io_deadline_;
  const Consume consume_;
  std::string inbox_;   // has arrived
  std::string handed_;  // is being read
  Gate arrived_;
  std::optional<SteadyTime> patience_ends_;
  bool ended_ = false;
  bool late_ = false;
  bool stops_ = false;
  bool discards_ = false;
};

}  // namespace strata::doors::http2
