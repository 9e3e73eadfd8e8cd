#include "doors/grpc/grpc.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/grpc/reflection.hpp"
#include "wire/grpc/grpc.hpp"

namespace strata::doors::grpc {

using http::Authorized;
using http::Headers;
using http::Response;
using http::Route;

namespace {

// Clients take heads of 8 KiB by default.
constexpr std::size_t kLongestMessage = 4096;

bool speaks_grpc(const http::Request& request) {
  return request.http2 && wire::grpc::is_grpc(request.headers.get("Content-Type"));
}

int counted_status(Code code) {
  // The model or its queue was too slow, where a slow body is the client's fault.
  return code == Code::kDeadlineExceeded ? 504 : http::status_of(code);
}

Headers trailers_of(const std::optional<Error>& error) {
  Headers trailers;
  const auto status = error ? wire::grpc::status_of(error->code) : wire::grpc::Status::kOk;
  trailers.add("grpc-status", std::to_string(static_cast<int>(status)));
  if (!error) return trailers;
  std::string text = wire::grpc::encode_message(error->to_string());
  if (text.size() > kLongestMessage) {
    text.resize(kLongestMessage);
    // No part of an escape stays behind.
    if (const auto cut = text.rfind('%'); cut != std::string::npos && cut + 3 > text.size())
      text.resize(cut);
  }
  trailers.add("grpc-message", std::move(text));
  return trailers;
}

Response answer_of(std::string frames, const Terms& terms) {
  Response response = Response::text(200, std::move(frames), "application/grpc");
  if (terms.answers)
    response.headers.set("grpc-encoding", std::string(wire::coding_name(*terms.answers)));
  response.headers.set("grpc-accept-encoding", std::string(wire::grpc::kAcceptedEncodings));
  response.trailers = [] {
    return trailers_of(std::nullopt);
  };
  return response;
}

Response failed(const Error& error) {
  Response response = answer_of({}, Terms());
  response.counted_as = counted_status(error.code);
  response.trailers = [error] {
    return trailers_of(error);
  };
  return response;
}

// For who does not speak gRPC.
Response plain(const Error& error) {
  Response response =
      Response::json(Json::object({{"error", error.to_string()}}), http::status_of(error.code));
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  return response;
}

std::string entity_of(const Authorized& call) {
  return std::string(call.request().headers.get(http::kEntity));
}

// The body of an answer with many messages. What became of the call outlives it: the trailers are
// asked for it.
class StreamBody final : public ByteSource {
 public:
  StreamBody(const Authorized& authorized, const kernel::Identity& identity, const Method& method,
             const Terms& terms)
      : caller_(authorized.caller()),
        call_{caller_, terms.deadline, gone_.get_token(), entity_of(authorized)},
        messages_(authorized, terms.coding),
        answers_(terms.answers) {
    if (method.permission != kernel::Permission::kPublic)
      messages_.watch(identity, caller_, method.permission);
    replies_ = method.streamed(call_, messages_);
  }

  std::shared_ptr<const std::optional<Error>> outcome() const { return outcome_; }

  Task<Result<std::string_view>> next() override {
    if (ended_) co_return std::string_view();
    auto reply = co_await replies_->next();
    if (!reply) *outcome_ = reply.error();
    ended_ = !reply || !*reply;
    if (ended_) co_return std::string_view();
    frame_ = wire::grpc::frame_in_room(**std::move(reply), answers_);
    co_return std::string_view(frame_);
  }

  void cancel() override {
    gone_.request_stop();
    replies_->cancel();
  }

 private:
  kernel::Caller caller_;
  std::stop_source gone_;
  const Call call_;
  Messages messages_;
  const std::optional<wire::ContentCoding> answers_;
  std::unique_ptr<Replies> replies_;
  std::shared_ptr<std::optional<Error>> outcome_ = std::make_shared<std::optional<Error>>();
  std::string frame_;
  bool ended_ = false;
};

}  // namespace

GrpcDoor::GrpcDoor(const Clock& clock, const kernel::Identity& identity)
    : clock_(clock),
      identity_(identity) {}

Response GrpcDoor::error(const Error& error, const http::Request& request) const {
  return speaks_grpc(request) ? failed(error) : plain(error);
}

std::vector<Route> GrpcDoor::routes() {
  add(health_service(health_));
  std::vector<std::string> names;
  for (const auto& service : services_)
    names.emplace_back(service.name);
  health_.know(names);
  for (auto& service : reflection_services(std::move(names)))
    add(std::move(service));
  std::vector<Route> routes;
  for (const auto& service : services_) {
    for (const auto& method : service.methods) {
      routes.emplace_back(http::Method::kPost, fmt::format("/{}/{}", service.name, method.name),
                          method.permission, method.limits,
                          [this, &method](const Authorized& call) { return serve(call, method); });
    }
    const auto refuse = [this, name = service.name](const Authorized& call) -> Task<Response> {
      const Error unknown(Code::kUnsupported,
                          fmt::format("{} does not offer the method '{}'; reflection lists those "
                                      "that it knows",
                                      name, printable(call.param("method"), 80)));
      co_return error(unknown, call.request());
    };
    routes.emplace_back(http::Method::kPost, fmt::format("/{}/{{method}}", service.name),
                        kernel::Permission::kPublic, kSmallCall, refuse);
  }
  return routes;
}

Task<Response> GrpcDoor::serve(const Authorized& call, const Method& method) const {
  if (!speaks_grpc(call.request())) {
    co_return plain(Error(Code::kUnsupportedMediaType,
                          "this is a method of gRPC: call it over HTTP/2 with Content-Type "
                          "application/grpc"));
  }
  const auto terms = read_terms(call.request(), clock_.steady());
  if (!terms) co_return failed(terms.error());
  if (terms->deadline) call.body_until(*terms->deadline);
  if (method.streamed) co_return serve_stream(call, method, *terms);
  co_return co_await serve_unary(call, method, *terms);
}

Task<Response> GrpcDoor::serve_unary(const Authorized& call, const Method& method,
                                     const Terms& terms) const {
  Messages messages(call, terms.coding);
  auto message = co_await messages.next();
  if (!message) co_return failed(message.error());
  if (!*message) co_return failed(Error(Code::kMalformed, "the call carries no message"));
  const auto more = co_await messages.next();
  if (!more) co_return failed(more.error());
  if (*more) co_return failed(Error(Code::kMalformed, "the call carries more than one message"));
  std::stop_source gone;
  call.when_peer_goes([gone]() mutable { gone.request_stop(); });
  const Call inner{call.caller(), terms.deadline, gone.get_token(), entity_of(call)};
  auto reply = co_await method.unary(inner, (*message)->bytes);
  if (!reply) co_return failed(reply.error());
  co_return answer_of(wire::grpc::frame_in_room(*std::move(reply), terms.answers), terms);
}

Response GrpcDoor::serve_stream(const Authorized& call, const Method& method,
                                const Terms& terms) const {
  auto body = std::make_unique<StreamBody>(call, identity_, method, terms);
  Response response = answer_of({}, terms);
  response.trailers = [outcome = body->outcome()] {
    return trailers_of(*outcome);
  };
  response.body = std::move(body);
  return response;
}

}  // namespace strata::doors::grpc
