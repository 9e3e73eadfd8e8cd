#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::resources::orchestrator {

// JSON values, one a line, over a connected non-blocking stream socket. One thread.
class LineChannel {
 public:
  static constexpr std::size_t kMaxLine = 8 << 20;

  explicit LineChannel(int fd) : fd_(fd) {}
  LineChannel(LineChannel&& other) noexcept;
  LineChannel& operator=(LineChannel&& other) noexcept;
  ~LineChannel();

  int fd() const { return fd_; }
  // Queues a message; flush() sends.
  void put(const Json& message);
  bool wants_write() const { return sent_ < out_.size(); }
  // Sends what the socket takes now. Errors: kUnavailable when the other side has gone.
  Status flush();
  // Reads what has come. Errors: kUnavailable at the end of the stream, kTooLarge.
  Status fill();
  // The next whole message that fill() brought. Errors: kMalformed.
  Result<std::optional<Json>> take();

 private:
  int fd_ = -1;
  std::string in_, out_;
  std::size_t taken_ = 0, sent_ = 0;
};

// The agent's socket in a data directory. Also for paths longer than a socket address.
Result<int> listen_at(const std::string& data);
// Errors: kUnavailable when nobody listens there.
Result<LineChannel> connect_to(const std::string& data);
// Whether the process at the other end runs as the same user.
bool is_same_user(int fd);

}  // namespace strata::resources::orchestrator
