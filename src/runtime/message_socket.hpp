#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "runtime/task.hpp"

namespace strata {

// Whether the other side of a connected socket, of whatever kind, has ended it: it closed, shut
// down its sending side or broke off. Bytes that still wait to be read do not hide that. Never
// blocks.
bool peer_has_gone(int descriptor);

// One message between two processes of this program: a kind and its payload. A descriptor may
// travel along.
struct Message {
  char kind = 0;
  std::string payload;
  int descriptor = -1;  // the receiver owns it; -1 when there was none
};

// One end of a local stream of messages (length, kind, payload over a Unix socket). The kernel's
// socket buffer is the only queue: a sender waits for a slow receiver. Sending is thread-safe;
// receiving is for one thread or coroutine at a time.
class MessageSocket {
 public:
  static constexpr std::size_t kMaxPayload = 64U << 20U;

  // Takes the descriptor over.
  explicit MessageSocket(int descriptor);
  MessageSocket(MessageSocket&&) noexcept;
  MessageSocket& operator=(MessageSocket&&) noexcept;
  ~MessageSocket();

  static Result<std::pair<MessageSocket, MessageSocket>> pair();

  // Blocks until the message is in the socket. `descriptor` is duplicated into the other process;
  // ours stays open. Errors: kUnavailable when the other end is gone, kTooLarge.
  Status send(char kind, std::string_view payload, int descriptor = -1);

  // Blocks for the next message. Errors: kUnavailable when the other end is gone; its effect is
  // kNone when the other end closed before it had read all that was sent to it, else kMaybe.
  Result<Message> receive();
  // A message if all of it is there, without blocking. Errors: those of receive().
  Result<std::optional<Message>> try_receive();
  // receive() without blocking the loop that awaits; on a thread without a loop it blocks.
  Task<Result<Message>> next();

  // Whether something can be received (or the other end is gone) within `limit_ms`; -1 waits for
  // ever.
  bool readable(int limit_ms);
  // Both directions end; a receiver on either side wakes up. Thread-safe.
  void shutdown();
  int descriptor() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata
