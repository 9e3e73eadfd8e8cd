#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/metrics.hpp"
#include "doors/http/connection.hpp"
#include "doors/http/pipeline.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"

namespace strata::http {

struct ServerOptions {
  std::string address;      // "127.0.0.1:7700"; port 0 takes a free one
  std::string certificate;  // PEM files; both empty for plain HTTP
  std::string private_key;
  std::size_t max_connections = 8192;
  std::chrono::milliseconds head_deadline{
      10'000};  // from a request's first byte to the end of its head
  std::chrono::milliseconds idle_deadline{75'000};  // between two requests
  std::chrono::milliseconds io_deadline{
      30'000};            // for any single read or write that makes no progress
  Http2 http2 = nullptr;  // who speaks HTTP/2 on this port, if anybody
};

// HTTP/1.1 (RFC 9112) on one port, and HTTP/2 beside it where the options say so: keep-alive,
// pipelining in order, chunked and streamed bodies both ways, TLS 1.2+.
//
// Promises: bounded memory per connection whatever the peer sends; a framing error closes the
// connection; stop() lets every request that was begun finish. One coroutine per connection, on one
// loop for its whole life.
class Server {
 public:
  Server(LoopGroup& loops, BlockingPool& pool, Pipeline& pipeline, const Clock& clock,
         metrics::Registry& metrics, ServerOptions options);
  ~Server();

  // Binds and begins to accept. Errors: kUnavailable when the address is taken, kInvalidArgument
  // for a bad address or key, and for an address off this machine without TLS.
  Status start();
  // Stops accepting, lets requests finish for at most `grace`, then closes what is left. Blocks.
  void stop(std::chrono::milliseconds grace);
  // "127.0.0.1:41233", with the real port.
  std::string address() const;
  bool secure() const;
  // The first DNS name or else IP address that the certificate holds (RFC 6125: its subject
  // alternative names), no wildcard; empty without one. After start().
  std::string certified_name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::http
