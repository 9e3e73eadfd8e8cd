#include "doors/http/pipeline.hpp"

#include <algorithm>
#include <exception>

#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::http {

namespace {

// The trace id of a traceparent; nothing when it is malformed. A later version may add fields
// behind those of 00, but for ff, which is none. Spec: W3C Trace Context, section 3.2.
std::optional<std::string> trace_id_in(std::string_view field) {
  constexpr std::size_t kLength = 55;
  if (field.size() < kLength || field[2] != '-' || field[35] != '-' || field[52] != '-') return {};
  const std::string_view version = field.substr(0, 2);
  const std::string_view id = field.substr(3, 32);
  const std::string_view parent = field.substr(36, 16);
  for (const std::string_view part : {version, id, parent, field.substr(53, 2)}) {
    if (part.find_first_not_of("0123456789abcdef") != std::string_view::npos) return {};
  }
  const bool longer = field.size() > kLength;
  if (version == "ff" || (longer && (version == "00" || field[kLength] != '-'))) return {};
  for (const std::string_view part : {id, parent}) {
    if (part.find_first_not_of('0') == std::string_view::npos) return {};
  }
  return std::string(id);
}

// The caller's trace id; a new one without any, and when several disagree on which it is.
std::string trace_of(const Headers& headers, Random& random) {
  std::optional<std::string> given;
  int fields = 0;
  for (const auto& [name, value] : headers.all()) {
    if (!equal_ignoring_case(name, "traceparent")) continue;
    given = trace_id_in(value);
    ++fields;
  }
  return given && fields == 1 ? *given : random.hex(16);
}

// The place of a status among a route's counters; those that no handler gives share no place.
std::optional<std::size_t> place_of(int status) {
  constexpr std::array<int, 31> kKnown = {200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 400,
                                          401, 403, 404, 405, 408, 409, 412, 413, 415, 416, 422,
                                          424, 429, 499, 500, 501, 502, 503, 504, 507};
  const auto at = std::ranges::lower_bound(kKnown, status);
  if (at == kKnown.end() || *at != status) return std::nullopt;
  return static_cast<std::size_t>(at - kKnown.begin());
}

}  // namespace

Pipeline::Pipeline(const Router& router, const kernel::Identity& identity, BodyMemory& bodies,
                   const Clock& clock, Random& random, metrics::Registry& metrics,
                   std::string port_name)
    : router_(router),
      identity_(identity),
      bodies_(bodies),
      clock_(clock),
      random_(random),
      port_name_(std::move(port_name)),
      metrics_(metrics),
      latency_(metrics.histogram("strata_http_request_seconds",
                                 "Time from a request's head to its answer's first byte.",
                                 {{"port", port_name_}})) {
  for (const auto& bound : router.routes()) {
    const Route& route = bound->route;
    meters_.emplace_back().operation =
        route.doc.operation.empty() ? route.pattern : std::string(route.doc.operation);
  }
  meters_.emplace_back().operation = "none";
}

Response Pipeline::refuse(const Error& error, const Request& request) const {
  return router_.door_for(request).error(error, request);
}

Task<Response> Pipeline::run(Request& request, Outcome& outcome) {
  router_.rewrite(request);
  auto matched = router_.match(request);
  if (!matched) {
    Response response = refuse(matched.error(), request);
    if (matched.error().code == Code::kMethodNotAllowed)
      response.headers.set("Allow", matched.error().field);
    co_return response;
  }
  const BoundRoute& bound = *matched->bound;
  outcome.bound = &bound;
  request.params = std::move(matched->params);
  request.body_deadline = clock_.steady() + bound.route.limits.deadline;
  request.body_silence = bound.route.limits.silence;
  kernel::Caller caller;
  if (bound.route.permission != kernel::Permission::kPublic) {
    auto known = co_await bound.door->authenticate(request, identity_);
    if (!known) co_return bound.door->error(known.error(), request);
    caller = *std::move(known);
    outcome.user = caller.user_name;
    if (!caller.may(bound.route.permission)) {
      const Error denied = kernel::lacks_permission(caller, bound.route.permission);
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
  request.held = BodyHold(bodies_);
  Outcome outcome;
  Response response;
  try {
    response = co_await run(request, outcome);
  } catch (const std::exception& fault) {
    log::error("http.exception",
               Json::object({{"request", request.request_id}, {"what", fault.what()}}));
    const Error error =
        internal("the server failed on this request; its log names request " + request.request_id);
    response = outcome.bound != nullptr ? outcome.bound->door->error(error, request)
                                        : refuse(error, request);
  }
  if (request.held.refused()) response.headers.set("Retry-After", "1");
  if (strays_) {
    if (auto other = strays_(request, response)) response = *std::move(other);
  }
  response.headers.set("X-Request-Id", request.request_id);
  response.headers.set("Traceparent",
                       fmt::format("00-{}-{}-01", request.trace_id, request.request_id));
  account(request, response, outcome, began);
  co_return response;
}

metrics::Counter& Pipeline::counter(Meter& meter, int status) {
  const auto place = place_of(status);
  auto* known = place ? meter.answered[*place].load(std::memory_order_acquire) : nullptr;
  if (known != nullptr) return *known;
  auto& found = metrics_.counter(
      "strata_http_requests_total", "Answered requests.",
      {{"port", port_name_}, {"operation", meter.operation}, {"status", std::to_string(status)}});
  if (place) meter.answered[*place].store(&found, std::memory_order_release);
  return found;
}

void Pipeline::account(const Request& request, const Response& response, const Outcome& outcome,
                       std::chrono::steady_clock::time_point began) {
  const double seconds = std::chrono::duration<double>(clock_.steady() - began).count();
  Meter& meter = outcome.bound != nullptr ? meters_[outcome.bound->index] : meters_.back();
  const int status = response.counted_as != 0 ? response.counted_as : response.status;
  latency_.observe(seconds);
  counter(meter, status).add();
  if (!log::enabled(log::Level::kInfo)) return;
  log::Line(log::Level::kInfo, "http.request")
      .text("time", to_rfc3339(request.time))
      .text("port", port_name_)
      .text("method", method_name(request.method))
      .text("path", request.path)
      .text("operation", meter.operation)
      .number("status", static_cast<std::int64_t>(status))
      .text("user", outcome.user)
      .text("peer", request.peer)
      .number("ms", seconds * 1000)
      .text("request", request.request_id)
      .text("trace", request.trace_id)
      .write();
}

}  // namespace strata::http
