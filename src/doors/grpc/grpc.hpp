#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "doors/grpc/health.hpp"
#include "doors/grpc/messages.hpp"
#include "doors/http/http.hpp"
#include "kernel/identity/identity.hpp"
#include "runtime/clock.hpp"

namespace strata::doors::grpc {

// What a method knows of its call beside its messages.
struct Call {
  const kernel::Caller& caller;  // nobody in particular for methods that anybody may call
  std::optional<std::chrono::steady_clock::time_point> deadline;  // by grpc-timeout
  std::stop_token gone;  // stopped when the caller has given up
  std::string entity{};  // whom or what the call is about, by `strata-entity`
};

// A message to send, behind wire::grpc::room(); an Error becomes the call's status.
using Reply = Result<std::string>;

// One message in, one out. `call` and the message live until the reply is there.
using Unary =
    std::function<Task<Reply>(const Call& call, std::shared_ptr<const std::string> message)>;

// What goes out of a call with many messages, one by one and in order: the next is asked for when
// the peer has taken the last.
class Replies {
 public:
  virtual ~Replies() = default;
  // Nothing is the end. An error ends the call with its status.
  virtual Task<Result<std::optional<std::string>>> next() = 0;
  // The caller has gone: a next() in progress ends soon. Called on the reader's loop.
  virtual void cancel() {}
};
// `call` and `messages` live as long as the replies.
using Streamed = std::function<std::unique_ptr<Replies>(const Call& call, Messages& messages)>;

struct Method {
  std::string_view name;
  kernel::Permission permission;
  http::Limits limits;  // `body` bounds one message
  Unary unary;          // one of the two is there
  Streamed streamed;
};

struct Service {
  std::string_view name;  // with its package
  std::vector<Method> methods;
};

// What a call may take that has one small message.
constexpr http::Limits kSmallCall{.body = 64U << 10U, .deadline = std::chrono::seconds(10)};
// A call with many: it lasts while its peer answers pings, and may be silent for an hour.
constexpr http::Limits open_call(std::uint64_t message_bytes) {
  return {.body = message_bytes,
          .deadline = std::chrono::hours(24 * 365),
          .silence = std::chrono::hours(1)};
}

// gRPC over HTTP/2 for the services that are added to it, and health and reflection of its own.
// Calls go through the pipeline as any request: credentials in `authorization`, one permission a
// method, one line in the log, counted by the HTTP status that fits theirs. A message may come
// packed as gzip or deflate, and is then answered so; of a call with many, each message is checked
// against what its caller may do by then. Spec: grpc/doc/PROTOCOL-HTTP2.md.
class GrpcDoor final : public http::Door {
 public:
  GrpcDoor(const Clock& clock, const kernel::Identity& identity);

  // Before the door's routes are taken.
  void add(Service service) { services_.push_back(std::move(service)); }
  // The server begins to stop: it is no longer healthy, and those who watch that are told.
  void drain() { health_.drain(); }

  std::string_view protocol() const override { return "gRPC"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  std::vector<http::Route> routes() override;

 private:
  Task<http::Response> serve(const http::Authorized& call, const Method& method) const;
  Task<http::Response> serve_unary(const http::Authorized& call, const Method& method,
                                   const Terms& terms) const;
  http::Response serve_stream(const http::Authorized& call, const Method& method,
                              const Terms& terms) const;

  const Clock& clock_;
  const kernel::Identity& identity_;
  Health health_;
  std::vector<Service> services_;
};

}  // namespace strata::doors::grpc
