#include "doors/http/pipeline.hpp"

#include <exception>

#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::http {

namespace {

// W3C trace context: the caller's trace id, or a new one.
std::string trace_of(const Headers& headers, Random& random) {
  const auto field = headers.find("traceparent");
  const bool sized = field && field->size() >= 55 && (*field)[2] == '-' && (*field)[35] == '-';
  if (sized) {
    const std::string_view id = field->substr(3, 32);
    const bool hex = id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (hex && id.find_first_not_of('0') != std::string_view::npos) return std::string(id);
  }
  return random.hex(16);
}

}  // namespace

Pipeline::Pipeline(const Router& router, const kernel::Identity& identity, const Clock& clock,
                   Random& random, metrics::Registry& metrics, std::string port_name)
    : router_(router),
      identity_(identity),
      clock_(clock),
      random_(random),
      port_name_(std::move(port_name)),
      metrics_(metrics),
      latency_(metrics.histogram("strata_http_request_seconds",
                                 "Time from a request's head to its answer's first byte.",
                                 {{"port", port_name_}})) {}

Response Pipeline::refuse(const Error& error, const Request& request) const {
  return router_.door_for(request.path).error(error, request);
}

Task<Response> Pipeline::run(Request& request, const Door*& door, std::string& operation,
                             std::string& user) {
  router_.rewrite(request);
  auto matched = router_.match(request);
  if (!matched) {
    Response response = refuse(matched.error(), request);
    if (matched.error().code == Code::kMethodNotAllowed)
      response.headers.set("Allow", matched.error().field);
    co_return response;
  }
  const BoundRoute& bound = *matched->bound;
  door = bound.door;
  operation = bound.route.doc.operation.empty() ? bound.route.pattern
                                                : std::string(bound.route.doc.operation);
  request.params = std::move(matched->params);
  request.body_deadline = clock_.steady() + bound.route.limits.deadline;
  kernel::Caller caller;
  if (bound.route.permission != kernel::Permission::kPublic) {
    auto known = co_await bound.door->authenticate(request, identity_);
    if (!known) co_return bound.door->error(known.error(), request);
    caller = *std::move(known);
    user = caller.user_name;
    if (!caller.may(bound.route.permission)) {
      const Error denied(
          Code::kPermissionDenied,
          fmt::format("'{}' lacks the permission '{}' that this needs", caller.user_name,
                      kernel::permission_name(bound.route.permission)));
      co_return bound.door->error(denied, request);
    }
  }
  const Json* schema = bound.request_schema ? &*bound.request_schema : nullptr;
  const Authorized authorized(&request, std::move(caller), bound.route.limits.body, schema);
  const auto length = request.body->length();
  if (length && *length > bound.route.limits.body) {
    const Error large(Code::kTooLarge,
                      fmt::format("a body of {} bytes is larger than the {} allowed here", *length,
                                  bound.route.limits.body));
    co_return bound.door->error(large, request);
  }
  co_return co_await bound.route.handler(authorized);
}

Task<Response> Pipeline::handle(Request& request) {
  const auto began = clock_.steady();
  request.request_id = random_.hex(8);
  request.trace_id = trace_of(request.headers, random_);
  const Door* door = nullptr;
  std::string operation = "none";
  std::string user;
  Response response;
  try {
    response = co_await run(request, door, operation, user);
  } catch (const std::exception& fault) {
    log::error("http.exception",
               Json::object({{"request", request.request_id}, {"what", fault.what()}}));
    const Error error =
        internal("the server failed on this request; its log names request " + request.request_id);
    response = door != nullptr ? door->error(error, request) : refuse(error, request);
  }
  response.headers.set("X-Request-Id", request.request_id);
  response.headers.set("Traceparent",
                       fmt::format("00-{}-{}-01", request.trace_id, request.request_id));
  account(request, response, operation, user, began);
  co_return response;
}

void Pipeline::account(const Request& request, const Response& response,
                       const std::string& operation, const std::string& user,
                       std::chrono::steady_clock::time_point began) {
  const double seconds = std::chrono::duration<double>(clock_.steady() - began).count();
  latency_.observe(seconds);
  metrics_
      .counter("strata_http_requests_total", "Answered requests.",
               {{"port", port_name_},
                {"operation", operation},
                {"status", std::to_string(response.status)}})
      .add();
  log::info("http.request", Json::object({{"time", to_rfc3339(request.time)},
                                          {"port", port_name_},
                                          {"method", method_name(request.method)},
                                          {"path", request.path},
                                          {"operation", operation},
                                          {"status", response.status},
                                          {"user", user},
                                          {"peer", request.peer},
                                          {"ms", seconds * 1000},
                                          {"request", request.request_id},
                                          {"trace", request.trace_id}}));
}

}  // namespace strata::http
