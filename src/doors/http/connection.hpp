#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "doors/http/pipeline.hpp"
#include "doors/http/transport.hpp"
#include "runtime/pool.hpp"

namespace strata::http {

struct ConnectionContext;

// What a stopping server knows of a connection.
struct LiveConnection {
  std::atomic<bool> idle{true};  // no request is in work, so it may be cut
  // Set where the protocol can say goodbye: lets what was begun finish, then ends the connection.
  // Only on the connection's loop.
  std::function<void()> drain;
};

// Serves HTTP/2 on a connection from its first byte on; `begun` is what was read of it.
using Http2 = Task<void> (*)(Transport& transport, std::string peer,
                             const ConnectionContext& context, std::string begun,
                             LiveConnection& live);

struct ConnectionContext {
  Pipeline& pipeline;
  BlockingPool& pool;
  const Clock& clock;
  const std::atomic<bool>& stopping;  // no new requests once set
  std::chrono::milliseconds head_deadline;
  std::chrono::milliseconds idle_deadline;
  std::chrono::milliseconds io_deadline;
  std::string loopback_port;  // set when only names of this machine are accepted as Host
  bool secure = false;
  Http2 http2 = nullptr;  // without it such connections are refused
};

// Serves requests on one connection until either side ends it: HTTP/2 when TLS agreed on it or the
// peer begins with its preface, else HTTP/1.1, one after the other. Never fails.
Task<void> serve_connection(Transport& transport, std::string peer,
                            const ConnectionContext& context, LiveConnection& live);

// Takes the request's target apart.
void set_target(Request& request, std::string target);
// What is checked of every request before it is routed, whatever its framing; fills its query.
// Errors: kMalformed, kPermissionDenied.
Status admit_request(Request& request, const ConnectionContext& context);
// How long the answer's body is, where that is known beforehand.
std::optional<std::uint64_t> length_of(const Response& response);

}  // namespace strata::http
