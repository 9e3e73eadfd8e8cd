#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "doors/http/body_memory.hpp"
#include "kernel/identity/identity.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/files.hpp"
#include "runtime/task.hpp"

namespace strata::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };
constexpr std::size_t kMethods = 7;
std::string_view method_name(Method method);

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a prediction is about (a customer, a flight): while a release runs, all requests of one
// entity are answered by the same version.
inline constexpr std::string_view kEntity = "Strata-Entity";

// Header fields in their order; names compare without case (RFC 9110).
class Headers {
 public:
  // The first field of that name, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  std::string get(std::string_view name, std::string_view fallback = "") const;
  void set(std::string_view name, std::string value);  // replaces
  void add(std::string_view name, std::string value);
  const Pairs& all() const { return fields_; }

 private:
  Pairs fields_;
};

// One request as it came over the wire; nothing in it is trusted yet.
struct Request {
  Method method = Method::kGet;
  std::string target;     // exactly as sent, for signatures
  std::string path;       // the part of `target` before '?', still encoded
  std::string raw_query;  // the part behind '?'
  Pairs query;            // decoded once
  Headers headers;
  Pairs params;      // what the route's pattern matched, decoded once
  std::string peer;  // address of the other side
  std::string request_id;
  std::string trace_id;  // W3C trace context
  bool secure = false;   // came over TLS
  bool http2 = false;
  Instant time;  // when its head was complete
  // Until when its body must be here; the pipeline sets it once the route is known.
  std::chrono::steady_clock::time_point body_deadline =
      std::chrono::steady_clock::time_point::max();
  // How long its body may be silent, where the route says so (HTTP/2); else what the port allows.
  std::chrono::milliseconds body_silence{0};
  ByteSource* body = nullptr;
  BodyHold held;  // what of its body was read into memory; see read_whole
  // Has `gone` called once when the peer has gone before it got an answer; see
  // Authorized::when_peer_goes.
  std::function<void(std::move_only_function<void()> gone)> watch_peer;
  std::shared_ptr<ByteSource>
      decoded_body;  // owns `body` once authentication put a checking one in its place

  std::string param(std::string_view name) const;
  std::optional<std::string_view> query_value(std::string_view name) const;
  bool has_query(std::string_view name) const { return query_value(name).has_value(); }
};

// The rest of the body as it came, at most `limit` bytes, counted in the memory of all bodies until
// the request ends. Errors: kTooLarge, kResourceExhausted when that memory is full, and whatever
// the source reports.
Task<Result<std::string>> read_whole(Request& request, std::uint64_t limit);

// The integer value of a query parameter. Errors: kInvalidArgument when it is no integer or out of
// range.
Result<std::int64_t> query_integer(const Request& request, std::string_view name,
                                   std::int64_t fallback, std::int64_t low, std::int64_t high);

// A part of an open file, sent without reading it into memory at once.
struct FileSlice {
  std::shared_ptr<File> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct Response {
  int status = 200;
  Headers headers;
  std::variant<std::string, FileSlice, std::unique_ptr<ByteSource>> body;
  // What follows the body over HTTP/2 (RFC 9113 section 8.1), asked once when all of it was taken.
  std::function<Headers()> trailers;
  // The status in log and metrics where `status` does not tell what became of the request, as it
  // stands in the trailers; 0 where it does.
  int counted_as = 0;

  static Response text(int status, std::string body,
                       std::string_view type = "text/plain; charset=utf-8");
  static Response json(const Json& body, int status = 200);
  static Response empty(int status);
  static Response file(FileSlice slice, std::string_view type);
  static Response stream(std::unique_ptr<ByteSource> source, std::string_view type);
};

// A request whose caller is known and may use the route. Only the pipeline can make one, so no
// handler runs unchecked.
class Authorized {
 public:
  const Request& request() const { return *request_; }
  const kernel::Caller& caller() const { return caller_; }
  std::string param(std::string_view name) const { return request_->param(name); }
  ByteSource& body() const { return *request_->body; }
  std::uint64_t body_limit() const { return body_limit_; }
  // For who keeps parts of a body that has no end: takes from the memory of all bodies.
  BodyHold hold() const { return request_->held.beside(); }
  // The body must be here by then, if that is before what the route says.
  void body_until(std::chrono::steady_clock::time_point then) const {
    request_->body_deadline = std::min(request_->body_deadline, then);
  }
  // For work that is in vain without somebody to tell: `gone` is called on this connection's loop,
  // at most once, within about a second of the peer's end, until the answer begins. Call it after
  // the body was read.
  void when_peer_goes(std::move_only_function<void()> gone) const {
    if (request_->watch_peer) request_->watch_peer(std::move(gone));
  }

  // Errors: kUnsupportedMediaType when the body came compressed, for whom takes it as it is.
  Status check_plain() const;
  // The whole body, within the route's limit. Errors: kTooLarge, kChecksumMismatch,
  // kDeadlineExceeded, kResourceExhausted.
  Task<Result<std::string>> read_body() const;
  // The same with a limit of the caller's own, and whatever its Content-Encoding says.
  Task<Result<std::string>> read_body_as_sent(std::uint64_t limit) const;
  // The whole body, unpacked when it came as gzip or deflate; the route's limit is on what it
  // unpacks to. Errors: also kUnsupportedMediaType for other codings, kMalformed.
  Task<Result<std::string>> read_unpacked_body() const;
  // The body as JSON, checked against the route's request schema when it has one. An empty body is
  // an empty object. Errors: kMalformed, kInvalidArgument naming the field.
  Task<Result<Json>> read_json() const;

 private:
  friend class Pipeline;
  Authorized(Request* request, kernel::Caller caller, std::uint64_t body_limit, const Json* schema)
      : request_(request),
        caller_(std::move(caller)),
        body_limit_(body_limit),
        schema_(schema) {}

  Request* request_;
  kernel::Caller caller_;
  std::uint64_t body_limit_;
  const Json* schema_;
};

// How a door shows an error, for routes that another door adds.
using ErrorForm = std::function<Response(const Error&, const Request&)>;

// A handler's parameter must be taken by reference: it lives in the pipeline until the answer is
// complete.
using Handler = std::function<Task<Response>(const Authorized&)>;

struct Limits {
  std::uint64_t body = 1 << 20;                // bytes of the decoded request body
  std::chrono::milliseconds deadline{30'000};  // from the complete head to the end of the body
  // For bodies that speak now and then, over HTTP/2: how long they may be silent.
  std::chrono::milliseconds silence{0};
};

// What the OpenAPI document says of a route. Schemas are JSON Schema texts; the request schema is
// also enforced.
struct Doc {
  std::string_view operation =
      {};  // unique, lowerCamelCase; without one the document has the route by its path alone
  std::string_view summary = {};
  std::string_view tag = {};
  std::string_view request_schema = {};
  std::string_view response_schema = {};
  std::string_view query_parameters =
      {};  // "name:type:description;..." with type string, integer or boolean
  std::string_view response_type = {};  // media type of an answer that is not JSON
};

// One row of a door's table. There is no default permission: a route that names none does not
// compile.
struct Route {
  Route(Method route_method, std::string route_pattern, kernel::Permission route_permission,
        Limits route_limits, Handler route_handler, Doc route_doc = {})
      : method(route_method),
        pattern(std::move(route_pattern)),
        permission(route_permission),
        limits(route_limits),
        handler(std::move(route_handler)),
        doc(route_doc) {}

  Method method;
  std::string
      pattern;  // "/v2/models/{name}/infer"; "{key+}" at the end takes the rest, slashes included
  kernel::Permission permission;
  Limits limits;
  Handler handler;
  Doc doc;
  std::string when_query;   // only for requests with this query parameter ("uploads")
  std::string when_header;  // only for requests with this header ("x-amz-copy-source")

  Route&& on_query(std::string name) && {
    when_query = std::move(name);
    return std::move(*this);
  }
  Route&& on_header(std::string name) && {
    when_header = std::move(name);
    return std::move(*this);
  }
};

// A protocol: how its callers prove who they are and how its errors look. Its routes are data.
class Door {
 public:
  virtual ~Door() = default;
  // The protocol's name: the tag of its routes in the OpenAPI document that have no words of
  // their own there, because its own specification describes them.
  virtual std::string_view protocol() const = 0;
  // An error in the protocol's own form.
  virtual Response error(const Error& error, const Request& request) const = 0;
  // Whether it is there for browsers, and has a page for one that went where nothing is.
  virtual bool for_browsers() const { return false; }
  // Who sends this request. May wrap request.body (signed chunks). The default reads
  // `Authorization: Bearer TOKEN` or `Basic` with the token as password. Errors: kUnauthenticated
  // and its kin.
  virtual Task<Result<kernel::Caller>> authenticate(Request& request,
                                                    const kernel::Identity& identity);
  virtual std::vector<Route> routes() = 0;
  // Before routing: may move what the protocol says elsewhere, such as a bucket in the host name,
  // into `request.path`.
  virtual void rewrite(Request& request) const { static_cast<void>(request); }
};

// Packs an answer with a body of some size the way the request accepts it (gzip, deflate), piece by
// piece as it is sent.
void pack_answer(const Request& request, Response& response);

// Whether a browser asks for a page to show, and not a program for data.
bool wants_page(const Request& request);

// The HTTP status that fits a code where a protocol says nothing else.
int status_of(Code code);

}  // namespace strata::http
