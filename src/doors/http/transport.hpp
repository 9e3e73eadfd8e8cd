#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "base/result.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace strata::http {

// The bytes of one connection, plain or TLS. All calls on the connection's loop; one read and one
// write at a time, which may go on beside each other.
class Transport {
 public:
  virtual ~Transport() = default;
  // Reads at least one byte; 0 when the peer closed. Errors: kDeadlineExceeded, kUnavailable.
  virtual Task<Result<std::size_t>> read_some(std::span<char> out,
                                              std::chrono::milliseconds limit) = 0;
  // Writes all pieces. The deadline starts anew whenever some bytes went out.
  virtual Task<Status> write(std::vector<std::string_view> pieces,
                             std::chrono::milliseconds limit) = 0;
  // From now on looks about once a second whether the peer has gone, and calls `gone` once when it
  // has; an empty function ends that. For the time in which nothing is read or written.
  virtual void watch_peer(std::move_only_function<void()> gone) = 0;
  // The TLS handshake; nothing on a plain connection.
  virtual Task<Status> open(std::chrono::milliseconds limit) = 0;
  // Whether the handshake agreed on HTTP/2 (ALPN, RFC 7301).
  virtual bool chose_http2() { return false; }
  // Ends the connection in order, with TLS's closing word; never fails.
  virtual Task<void> close() = 0;
  // Says that nothing more will be written and reads what still comes for a moment, so that a peer
  // that is still sending gets to read the last answer instead of a reset.
  virtual Task<void> linger() = 0;
  // Breaks any call in progress, at once. Only on the connection's loop.
  virtual void abort() = 0;
};

std::unique_ptr<Transport> plain_transport(boost::asio::ip::tcp::socket socket, const Clock& clock);
std::unique_ptr<Transport> tls_transport(boost::asio::ip::tcp::socket socket,
                                         boost::asio::ssl::context& context, const Clock& clock);

}  // namespace strata::http
