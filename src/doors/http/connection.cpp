#include "doors/http/connection.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/uri.hpp"

namespace strata::http {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::buffer_body>;
using beast::http::error;

namespace {

constexpr std::size_t kMaxHead = 32 * 1024;
constexpr std::size_t kPiece = 128 * 1024;
constexpr std::uint64_t kMaxDrain = 1 << 20;
constexpr std::chrono::milliseconds kDrainTime{2000};

std::optional<Method> method_of(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::kGet;
    case beast::http::verb::head:
      return Method::kHead;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    case beast::http::verb::options:
      return Method::kOptions;
    default:
      return std::nullopt;
  }
}

std::string_view reason(int status) {
  const auto text = beast::http::obsolete_reason(static_cast<beast::http::status>(status));
  return text.empty() ? std::string_view("Status") : std::string_view(text.data(), text.size());
}

// Reads from the transport into the connection's buffer. Bounded by what the callers ask for.
Task<Result<std::size_t>> fill(Transport& transport, beast::flat_buffer& buffer, std::size_t most,
                               std::chrono::milliseconds limit) {
  const auto room = buffer.prepare(most);
  const std::span<char> out(static_cast<char*>(room.data()), room.size());
  auto got = co_await transport.read_some(out, limit);
  if (got) buffer.commit(*got);
  co_return got;
}

// The body of the request in hand, straight from the connection: nothing is read before it is asked
// for.
class BodyReader final : public ByteSource {
 public:
  BodyReader(Transport& transport, beast::flat_buffer& buffer, Parser& parser, Request& request,
             const ConnectionContext& context)
      : transport_(transport),
        buffer_(buffer),
        parser_(parser),
        request_(request),
        context_(context) {
    expects_ = equal_ignoring_case(parser.get()[beast::http::field::expect], "100-continue");
  }

  std::optional<std::uint64_t> length() const override {
    const auto known = parser_.content_length();
    if (known) return *known;
    return parser_.chunked() ? std::nullopt : std::optional<std::uint64_t>(0);
  }

  Task<Result<std::string_view>> next() override {
    if (broken_)
      co_return Error(Code::kUnavailable, "the connection broke before the body was complete");
    if (expects_ && !parser_.is_done()) {
      expects_ = false;
      auto told =
          co_await transport_.write({"HTTP/1.1 100 Continue\r\n\r\n"}, context_.io_deadline);
      if (!told) co_return fail(std::move(told).error());
    }
    if (!out_) {
      // No larger than what is left: a piece of the full size would be mapped and cleared by the
      // kernel for every small request.
      const auto left = parser_.content_length_remaining();
      size_ = static_cast<std::size_t>(std::min<std::uint64_t>(left ? *left : kPiece, kPiece));
      out_ = std::make_unique_for_overwrite<char[]>(size_);
    }
    while (!parser_.is_done()) {
      auto& body = parser_.get().body();
      body.data = out_.get();
      body.size = size_;
      beast::error_code code;
      const std::size_t used = parser_.put(buffer_.data(), code);
      buffer_.consume(used);
      const std::size_t produced = size_ - body.size;
      const bool more = code == error::need_more || (!code && used == 0 && produced == 0);
      if (code == error::need_buffer || code == error::need_more) code = {};
      if (code)
        co_return fail(Error(Code::kMalformed, "the body's framing is broken: " + code.message()));
      if (produced > 0) {
        total_ += produced;
        co_return std::string_view(out_.get(), produced);
      }
      if (!more) continue;
      // What the parser keeps waiting for here is the end of a chunk's extensions or of the
      // trailers.
      if (buffer_.size() > kMaxHead)
        co_return fail(Error(Code::kTooLarge,
                             "the extensions of a chunk or the trailers are larger than 32 KiB"));
      const auto limit = patience();
      if (limit <= std::chrono::milliseconds::zero())
        co_return fail(Error(Code::kDeadlineExceeded, "the body took longer than is allowed here"));
      auto got = co_await fill(transport_, buffer_, kPiece, limit);
      if (!got) co_return fail(std::move(got).error());
      if (*got == 0)
        co_return fail(
            Error(Code::kMalformed, "the connection ended before the body was complete"));
    }
    co_return std::string_view();
  }

  // Reads what the handler left, so that the next request can follow. False when that is more than
  // it is worth.
  Task<bool> drain() {
    if (broken_ || (expects_ && !parser_.is_done())) co_return false;
    const std::uint64_t start = total_;
    const auto left = parser_.content_length_remaining();
    if (left && *left > kMaxDrain) co_return false;
    request_.body_deadline = context_.clock.steady() + kDrainTime;
    while (!parser_.is_done()) {
      const auto piece = co_await next();
      if (!piece || total_ - start > kMaxDrain) co_return false;
    }
    co_return true;
  }

 private:
  // Some bytes must come within the deadline of any read, and all of them within the body's: a peer
  // that sends one now and then gains nothing.
  std::chrono::milliseconds patience() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        request_.body_deadline - context_.clock.steady());
    return std::min(left, context_.io_deadline);
  }
  Error fail(Error error_seen) {
    broken_ = true;
    return error_seen;
  }

  Transport& transport_;
  beast::flat_buffer& buffer_;
  Parser& parser_;
  Request& request_;
  const ConnectionContext& context_;
  std::unique_ptr<char[]> out_;
  std::size_t size_ = 0;
  std::uint64_t total_ = 0;
  bool expects_ = false;
  bool broken_ = false;
};

Result<Request> to_request(const Parser& parser, const std::string& peer,
                           const ConnectionContext& context) {
  const auto& message = parser.get();
  Request request;
  request.peer = peer;
  request.secure = context.secure;
  request.time = context.clock.now();
  for (const auto& field : message) {
    request.headers.add({field.name_string().data(), field.name_string().size()},
                        std::string(field.value().data(), field.value().size()));
  }
  const auto target = message.target();
  set_target(request, std::string(target.data(), target.size()));
  return request;
}

// Of two fields, one program in front may believe the first and we the last (RFC 9112 section 3.2).
Status check_single(const Request& request) {
  for (const std::string_view name : {"Host", "Authorization", "Transfer-Encoding"}) {
    const auto is_named = [&](const auto& field) {
      return equal_ignoring_case(field.first, name);
    };
    if (std::ranges::count_if(request.headers.all(), is_named) > 1)
      return Error(Code::kMalformed, fmt::format("the {} header stands there twice", name));
  }
  return {};
}

// A coding that we do not know, and take for none, hides a second request in the body (RFC 9112
// section 6.1).
Status check_framing(const Request& request) {
  const auto coding = request.headers.find("Transfer-Encoding");
  if (!coding || equal_ignoring_case(*coding, "chunked")) return {};
  return Error(Code::kMalformed,
               fmt::format("Transfer-Encoding '{}' is not understood; only chunked is",
                           printable(*coding, 40)));
}

// A page elsewhere can make a browser call this machine by a name of its own; such a Host is
// refused (DNS rebinding).
Status check_host(const Request& request, const ConnectionContext& context) {
  const auto host = request.headers.find("Host");
  if (!host) return Error(Code::kMalformed, "the Host header is missing");
  if (context.loopback_port.empty()) return {};
  std::string_view name = *host;
  if (const std::size_t colon = name.rfind(':');
      colon != std::string_view::npos && name.back() != ']') {
    name = name.substr(0, colon);
  }
  const std::string lower = to_lower(name);
  const bool own = lower == "localhost" || lower.ends_with(".localhost") || lower == "127.0.0.1" ||
                   lower == "[::1]";
  if (own) return {};
  return Error(Code::kPermissionDenied,
               "this server answers to localhost only; the Host header names another");
}

Status complete(Request& request, const Parser& parser, const ConnectionContext& context) {
  const auto method = method_of(parser.get().method());
  if (!method) return Error(Code::kUnsupported, "the method is not supported");
  request.method = *method;
  STRATA_TRY(check_framing(request));
  return admit_request(request, context);
}

class PeerWatch {
 public:
  PeerWatch(Transport& transport, ByteSource& source) : transport_(transport) {
    transport.watch_peer([&source] { source.cancel(); });
  }
  ~PeerWatch() { transport_.watch_peer({}); }
  PeerWatch(const PeerWatch&) = delete;

 private:
  Transport& transport_;
};

class Reply {
 public:
  Reply(Transport& transport, const ConnectionContext& context)
      : transport_(transport),
        context_(context) {}

  // Sends the whole answer. False when the connection cannot go on.
  Task<bool> send(const Request& request, Response& response, bool keep_alive) {
    const bool head_only = request.method == Method::kHead;
    const bool bodyless = response.status == 204 || response.status == 304 || response.status < 200;
    const auto length = length_of(response, bodyless);
    std::string head = head_of(response, length, keep_alive, bodyless);
    if (head_only || bodyless)
      co_return (co_await transport_.write({head}, context_.io_deadline)).ok();
    if (auto* text = std::get_if<std::string>(&response.body)) {
      co_return (co_await transport_.write({head, *text}, context_.io_deadline)).ok();
    }
    if (auto* slice = std::get_if<FileSlice>(&response.body))
      co_return co_await send_file(head, *slice);
    if (!(co_await transport_.write({head}, context_.io_deadline)).ok()) co_return false;
    co_return co_await send_stream(*std::get<std::unique_ptr<ByteSource>>(response.body), length);
  }

 private:
  static std::optional<std::uint64_t> length_of(const Response& response, bool bodyless) {
    const bool streamed = std::holds_alternative<std::unique_ptr<ByteSource>>(response.body);
    return bodyless && streamed ? std::optional<std::uint64_t>(0) : http::length_of(response);
  }

  std::string head_of(const Response& response, std::optional<std::uint64_t> length,
                      bool keep_alive, bool bodyless) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    bool own_length = false;
    for (const auto& [name, value] : response.headers.all()) {
      own_length = own_length || equal_ignoring_case(name, "Content-Length");
      head += name;
      head += ": ";
      for (const char c : value)
        head += c == '\r' || c == '\n' ? ' ' : c;
      head += "\r\n";
    }
    head += fmt::format("Date: {}\r\n", to_http_date(context_.clock.now()));
    if (!own_length && length && !(bodyless && response.status != 200)) {
      head += fmt::format("Content-Length: {}\r\n", *length);
    }
    if (!length) head += "Transfer-Encoding: chunked\r\n";
    head += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
    return head;
  }

  // The head goes out with the file's first piece: a small file is one write.
  Task<bool> send_file(std::string_view head, FileSlice& slice) {
    std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(slice.length, 4 * kPiece)),
                      '\0');
    do {
      const std::span<char> out(piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(
                                                  slice.length, piece.size())));
      auto read = [&] {
        return slice.file->read_at(out, slice.offset);
      };
      const auto got =
          out.empty() ? Result<std::size_t>(std::size_t{0}) : co_await context_.pool.run(read);
      if (!got || (*got == 0 && slice.length > 0)) co_return false;
      const std::vector<std::string_view> pieces = {head, std::string_view(piece.data(), *got)};
      if (!(co_await transport_.write(pieces, context_.io_deadline)).ok()) co_return false;
      head = {};
      slice.offset += *got;
      slice.length -= *got;
    } while (slice.length > 0);
    co_return true;
  }

  // A source that fails half-way ends the connection: the peer sees a short or unfinished body,
  // never a wrong one.
  // A source may be silent for long: while it is, the peer is watched, and its end cancels the
  // source.
  Task<bool> send_stream(ByteSource& source, std::optional<std::uint64_t> length) {
    const PeerWatch watch(transport_, source);
    while (true) {
      const auto piece = co_await source.next();
      if (!piece) co_return false;
      if (piece->empty()) break;
      if (length) {
        if (!(co_await transport_.write({*piece}, context_.io_deadline)).ok()) co_return false;
        continue;
      }
      const std::string lead = fmt::format("{:x}\r\n", piece->size());
      if (!(co_await transport_.write({lead, *piece, "\r\n"}, context_.io_deadline)).ok())
        co_return false;
    }
    if (length) co_return true;
    co_return (co_await transport_.write({"0\r\n\r\n"}, context_.io_deadline)).ok();
  }

  Transport& transport_;
  const ConnectionContext& context_;
};

// How a client of HTTP/2 begins (RFC 9113 section 3.4).
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string_view text_of(const beast::flat_buffer& buffer) {
  const auto data = buffer.data();
  return {static_cast<const char*>(data.data()), data.size()};
}
bool begins_preface(const beast::flat_buffer& buffer) {
  const auto text = text_of(buffer);
  return kPreface.substr(0, text.size()) == text.substr(0, kPreface.size());
}

// Waits for the next head. False when the peer is gone, too slow or the server stops; `bad` holds a
// framing error. `may_be_http2` is still true when it was the preface of HTTP/2 that came.
Task<bool> read_head(Transport& transport, beast::flat_buffer& buffer, Parser& parser,
                     const ConnectionContext& context, std::atomic<bool>& idle, bool& may_be_http2,
                     std::optional<Error>& bad) {
  idle.store(buffer.size() == 0);
  auto limit = buffer.size() == 0 ? context.idle_deadline : context.head_deadline;
  std::chrono::steady_clock::time_point began{};
  const auto late = [&] {
    return Error(Code::kDeadlineExceeded, fmt::format("the request's head took longer than {}",
                                                      show_duration(context.head_deadline)));
  };
  while (!parser.is_header_done()) {
    const bool whole = may_be_http2 && buffer.size() >= kPreface.size();
    may_be_http2 = may_be_http2 && begins_preface(buffer);
    if (may_be_http2 && whole) co_return true;
    if (buffer.size() > 0 && !may_be_http2) {
      beast::error_code code;
      buffer.consume(parser.put(buffer.data(), code));
      if (code && code != error::need_more && code != error::need_buffer) {
        bad = code == error::header_limit
                  ? Error(Code::kTooLarge, "the request's head is larger than 32 KiB")
                  : Error(Code::kMalformed, "this is no HTTP/1.1 request: " + code.message());
        co_return false;
      }
      if (parser.is_header_done()) break;
    }
    if (idle.load() && context.stopping.load()) co_return false;
    const auto got = co_await fill(transport, buffer, 16 * 1024, limit);
    if (!got && got.error().code == Code::kDeadlineExceeded && !idle.load()) bad = late();
    if (!got || *got == 0) co_return false;
    idle.store(false);
    // One deadline for the whole head: a peer that sends a byte now and then gains nothing.
    if (began == std::chrono::steady_clock::time_point{}) began = context.clock.steady();
    const auto spent =
        std::chrono::duration_cast<std::chrono::milliseconds>(context.clock.steady() - began);
    if (spent >= context.head_deadline) {
      bad = late();
      co_return false;
    }
    limit = context.head_deadline - spent;
  }
  co_return true;
}

}  // namespace

void set_target(Request& request, std::string target) {
  request.target = std::move(target);
  const std::size_t mark = request.target.find('?');
  request.path = request.target.substr(0, mark);
  if (mark != std::string::npos) request.raw_query = request.target.substr(mark + 1);
  // An absolute target (RFC 9112 3.2.2) names the host again; only its path matters here.
  if (request.path.starts_with("http://") || request.path.starts_with("https://")) {
    const std::size_t slash = request.path.find('/', request.path.find("//") + 2);
    request.path = slash == std::string::npos ? "/" : request.path.substr(slash);
  }
}

Status admit_request(Request& request, const ConnectionContext& context) {
  STRATA_TRY(check_single(request));
  STRATA_TRY(check_host(request, context));
  if (!request.path.starts_with('/'))
    return Error(Code::kMalformed, "the request target must be a path");
  auto query = wire::parse_query(request.raw_query);
  if (!query) return std::move(query).error();
  for (const auto& [name, value] : *query) {
    if (name.contains('\0') || value.contains('\0'))
      return Error(Code::kMalformed, "the query holds a NUL byte");
  }
  request.query = *std::move(query);
  return {};
}

std::optional<std::uint64_t> length_of(const Response& response) {
  if (const auto* text = std::get_if<std::string>(&response.body)) return text->size();
  if (const auto* slice = std::get_if<FileSlice>(&response.body)) return slice->length;
  return std::get<std::unique_ptr<ByteSource>>(response.body)->length();
}

Task<void> serve_connection(Transport& transport, std::string peer,
                            const ConnectionContext& context, LiveConnection& live) {
  auto& idle = live.idle;
  if (!(co_await transport.open(context.head_deadline)).ok()) co_return;
  beast::flat_buffer buffer;
  bool may_be_http2 = context.http2 != nullptr;
  if (may_be_http2 && transport.chose_http2()) {
    co_await context.http2(transport, std::move(peer), context, "", live);
    co_return co_await transport.close();
  }
  Reply reply(transport, context);
  bool keep_alive = true;
  while (keep_alive) {
    Parser parser;
    parser.header_limit(kMaxHead);
    parser.body_limit(boost::none);
    std::optional<Error> bad;
    if (!co_await read_head(transport, buffer, parser, context, idle, may_be_http2, bad)) {
      if (bad) {
        Request nothing;
        nothing.path = "/";
        Response response = context.pipeline.refuse(*bad, nothing);
        if (co_await reply.send(nothing, response, false)) co_await transport.linger();
      }
      break;
    }
    if (std::exchange(may_be_http2, false)) {
      co_await context.http2(transport, std::move(peer), context, std::string(text_of(buffer)),
                             live);
      break;
    }
    parser.eager(true);
    auto request = to_request(parser, peer, context);
    BodyReader body(transport, buffer, parser, *request, context);
    request->body = &body;
    keep_alive = parser.get().keep_alive() && !context.stopping.load();
    const auto sound = complete(*request, parser, context);
    Response response;
    if (sound) {
      request->watch_peer = [&transport](std::move_only_function<void()> gone) {
        transport.watch_peer(std::move(gone));
      };
      auto handled = context.pipeline.handle(*request);
      response = co_await std::move(handled);
      // The rest of a body that found no room is not worth reading.
      keep_alive = keep_alive && !request->held.refused();
      transport.watch_peer({});
    } else {
      response = context.pipeline.refuse(sound.error(), *request);
      keep_alive = false;
    }
    if (!co_await reply.send(*request, response, keep_alive)) break;
    request->held.release();  // before the peer is waited for
    const bool drained = co_await body.drain();
    if (!drained) co_await transport.linger();
    keep_alive = keep_alive && drained;
  }
  co_await transport.close();
}

}  // namespace strata::http
