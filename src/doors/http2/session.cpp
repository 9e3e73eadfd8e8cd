#include "doors/http2/session.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::doors::http2 {

using http::Response;

namespace {

constexpr std::size_t kReadPiece = 64 * 1024;
constexpr std::size_t kWriteBatch = 256 * 1024;
constexpr std::size_t kFilePiece = 512 * 1024;
constexpr double kCheapFrames = 1000;        // at once
constexpr double kCheapFramesASecond = 100;  // in the long run
constexpr std::chrono::milliseconds kTick{250};
constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::chrono::milliseconds kNotice{500};
// The reads have no deadline of their own: tick() knows what is late.
constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365);

std::string_view view(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// nghttp2 copies both; its type is older than const.
nghttp2_nv field_of(std::string& name, std::string& value) {
  return {reinterpret_cast<std::uint8_t*>(name.data()),
          reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// Fields that speak of a connection have no place here (RFC 9113 section 8.2.2).
bool is_of_connection(std::string_view name) {
  return name == "connection" || name == "keep-alive" || name == "transfer-encoding" ||
         name == "upgrade" || name == "proxy-connection";
}

}  // namespace

struct Session::Callbacks {
  static Session& of(void* user) { return *static_cast<Session*>(user); }
  static Stream* find(void* user, std::int32_t id) {
    auto& streams = of(user).streams_;
    const auto found = streams.find(id);
    return found == streams.end() ? nullptr : found->second.get();
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Session& self = of(user);
    self.head_began_ = self.context_.clock.steady();
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const auto id = frame->hd.stream_id;
    if (self.handled_ >= kMaxHandled) {
      return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    }
    auto consume = [&self](std::int32_t stream, std::size_t bytes) {
      if (bytes == 0) return;
      nghttp2_session_consume(self.session_, stream, bytes);
      self.work_.open();
    };
    self.streams_.emplace(
        id, std::make_shared<Stream>(id, self.context_.clock, self.context_.io_deadline, consume));
    ++self.handled_;
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
    Stream* stream = find(user, frame->hd.stream_id);
    if (stream == nullptr || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    stream->head_bytes += name_size + value_size + 32;
    if (stream->head_bytes > kMaxHead) return 0;
    const auto field = view(name, name_size);
    std::string text(view(value, value_size));
    auto& request = stream->request;
    if (field == ":method") {
      stream->method = std::move(text);
    } else if (field == ":path") {
      http::set_target(request, std::move(text));
    } else if (field == ":authority") {
      request.headers.add("Host", std::move(text));
    } else if (field == "host" && request.headers.find("Host") == text) {
      return 0;  // said twice, and the same
    } else if (field == "cookie" && request.headers.find("Cookie")) {
      // Its parts come one by one (RFC 9113 section 8.2.3).
      request.headers.set("Cookie", request.headers.get("Cookie") + "; " + text);
    } else if (!field.starts_with(':')) {
      request.headers.add(field, std::move(text));
    }
    return 0;
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Session& self = of(user);
    const auto type = frame->hd.type;
    const bool acknowledges = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (type == NGHTTP2_HEADERS) self.head_began_ = {};
    if (type == NGHTTP2_PING && acknowledges && self.drains_) self.say_last_word();
    const bool empty = type == NGHTTP2_DATA && frame->hd.length == 0;
    const bool told = type == NGHTTP2_PING || type == NGHTTP2_SETTINGS;
    if ((told && !acknowledges) || empty || type == NGHTTP2_RST_STREAM || type == NGHTTP2_PRIORITY)
      self.count_cheap_frame();
    const auto found = self.streams_.find(frame->hd.stream_id);
    if (found == self.streams_.end()) return 0;
    const auto stream = found->second;
    const bool carries = type == NGHTTP2_HEADERS || type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->end_body();
    if (type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      stream->has_handler = true;
      self.scope_.spawn(self.loop_, self.handle(stream));
    }
    return 0;
  }

  static int data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                  const std::uint8_t* bytes, std::size_t size, void* user) {
    if (Stream* stream = find(user, id)) {
      stream->receive(view(bytes, size));
      return 0;
    }
    return nghttp2_session_consume(session, id, size);
  }

  static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    Session& self = of(user);
    const auto found = self.streams_.find(id);
    if (found == self.streams_.end()) return 0;
    const auto stream = found->second;
    self.streams_.erase(found);
    // Whose head was never complete has no handler.
    if (!stream->has_handler) --self.handled_;
    stream->close();
    return 0;
  }

  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t size,
                      std::uint32_t* flags, nghttp2_data_source* source, void* user) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const std::size_t count = std::min(size, stream.piece.size());
    if (count > 0) std::memcpy(out, stream.piece.data(), count);
    stream.piece.remove_prefix(count);
    stream.sent_at = of(user).context_.clock.steady();
    if (!stream.piece.empty()) return static_cast<ssize_t>(count);
    if (stream.last_piece) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (stream.trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        of(user).submit_trailers(stream);
      }
      stream.all_sent = true;
    }
    stream.sent.open();
    if (count == 0 && !stream.last_piece) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(count);
  }
};

Session::Session(http::Transport& transport, std::string peer,
                 const http::ConnectionContext& context)
    : transport_(transport),
      peer_(std::move(peer)),
      context_(context),
      loop_(*Loop::current()),
      active_at_(context.clock.steady()),
      heard_at_(active_at_),
      cheap_left_(kCheapFrames),
      cheap_at_(active_at_) {
  nghttp2_session_callbacks* calls = nullptr;
  nghttp2_option* options = nullptr;
  if (nghttp2_session_callbacks_new(&calls) != 0 || nghttp2_option_new(&options) != 0)
    throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(calls, &Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(calls, &Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(calls, &Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, &Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(calls, &Callbacks::stream_closed);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  const int made = nghttp2_session_server_new2(&session_, calls, this, options);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(calls);
  if (made != 0) throw std::bad_alloc();
  const std::array<nghttp2_settings_entry, 3> settings = {
      {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHead}}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Session::~Session() {
  nghttp2_session_del(session_);
}

void Session::count_cheap_frame() {
  const auto now = context_.clock.steady();
  const double seconds = std::chrono::duration<double>(now - cheap_at_).count();
  cheap_left_ = std::min(kCheapFrames, cheap_left_ + seconds * kCheapFramesASecond) - 1;
  cheap_at_ = now;
  if (cheap_left_ < 0) nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

void Session::feed(std::string_view bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (nghttp2_session_mem_recv(session_, data, bytes.size()) < 0) dead_ = true;
  work_.open();
}

Task<void> Session::run(std::string begun) {
  writes_ = true;
  scope_.spawn(loop_, write_all());
  timer_ = loop_.call_after(kTick, [this] { tick(); });
  feed(begun);
  const auto room = std::make_unique_for_overwrite<char[]>(kReadPiece);
  const std::span<char> buffer(room.get(), kReadPiece);
  while (!dead_) {
    const auto got = co_await transport_.read_some(buffer, kForever);
    if (!got || *got == 0) break;
    heard_at_ = context_.clock.steady();
    asked_ = false;
    if (!finished_) feed({buffer.data(), *got});
  }
  dead_ = true;
  Loop::cancel(timer_);
  for (const auto& [id, stream] : streams_) {
    if (!stream->has_handler) --handled_;
    stream->close();
  }
  streams_.clear();
  if (writes_) transport_.abort();  // what it writes has no reader
  work_.open();
  while (handled_ > 0 || writes_)
    co_await ended_.wait();
}

Task<void> Session::write_all() {
  std::string out;
  while (true) {
    out.clear();
    const std::uint8_t* data = nullptr;
    ssize_t size = 0;
    while (out.size() < kWriteBatch && (size = nghttp2_session_mem_send(session_, &data)) > 0)
      out += view(data, static_cast<std::size_t>(size));
    if (!out.empty()) {
      const std::vector<std::string_view> pieces = {out};
      if (!(co_await transport_.write(pieces, context_.io_deadline)).ok()) dead_ = true;
      if (!dead_) continue;
    }
    if (size < 0) dead_ = true;
    if (dead_) break;
    if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0)
      break;
    co_await work_.wait();
  }
  finished_ = true;
  finished_at_ = context_.clock.steady();
  if (dead_) transport_.abort();
  writes_ = false;
  ended_.open();
}

void Session::drain() {
  if (drains_ || dead_) return;
  drains_ = true;
  drains_since_ = context_.clock.steady();
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  work_.open();
}

// Once the peer knows that nothing new is wanted, what it had begun by then is all there is.
void Session::say_last_word() {
  if (std::exchange(last_word_, true)) return;
  for (const auto& [id, stream] : streams_)
    stream->stop_listening();
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  work_.open();
}

void Session::tick() {
  const auto now = context_.clock.steady();
  if (handled_ > 0) active_at_ = now;
  for (const auto& [id, stream] : streams_) {
    stream->look_at(now);
    if (!stream->piece.empty() && now - stream->sent_at > context_.io_deadline)
      reset(*stream, NGHTTP2_CANCEL);
  }
  const bool slow_head = head_began_ != SteadyTime{} && now - head_began_ > context_.head_deadline;
  if (slow_head) nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  if (now - active_at_ > context_.idle_deadline)
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
  look_for_peer(now);
  if (drains_ && now - drains_since_ > kNotice) say_last_word();
  if (finished_ && now - finished_at_ > kLinger) transport_.abort();
  work_.open();
  timer_ = loop_.call_after(kTick, [this] { tick(); });
}

// An open stream may be silent for long; that its peer is there shows in the answer to a ping,
// which RFC 9113 section 6.7 wants at once.
void Session::look_for_peer(SteadyTime now) {
  const auto silent = now - heard_at_;
  if (handled_ == 0 || silent <= context_.idle_deadline) return;
  if (!std::exchange(asked_, true)) nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  if (silent > context_.idle_deadline + context_.io_deadline) transport_.abort();
}

void Session::reset(const Stream& stream, std::uint32_t code) {
  if (stream.closed) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  work_.open();
}

Status Session::complete(Stream& stream) const {
  if (stream.head_bytes > kMaxHead)
    return Error(Code::kTooLarge, "the request's head is larger than 32 KiB");
  for (std::size_t i = 0; i < http::kMethods; ++i) {
    const auto method = static_cast<http::Method>(i);
    if (stream.method != http::method_name(method)) continue;
    stream.request.method = method;
    return http::admit_request(stream.request, context_);
  }
  return Error(Code::kUnsupported, "the method is not supported");
}

Task<void> Session::handle(std::shared_ptr<Stream> stream) {
  auto& request = stream->request;
  request.peer = peer_;
  request.secure = context_.secure;
  request.http2 = true;
  request.time = context_.clock.now();
  request.body = stream.get();
  const auto sound = complete(*stream);
  Response response;
  if (!sound) {
    if (request.path.empty()) request.path = "/";
    response = context_.pipeline.refuse(sound.error(), request);
  } else if (!stream->closed) {
    request.watch_peer = [raw = stream.get()](std::move_only_function<void()> gone) {
      auto held = std::make_shared<std::move_only_function<void()>>(std::move(gone));
      raw->gone = [held] {
        if (*held) (*held)();
      };
      if (raw->closed) raw->close();
    };
    auto handled = context_.pipeline.handle(request);
    response = co_await std::move(handled);
    request.watch_peer = {};
    stream->gone = {};
  }
  if (!stream->closed) co_await answer(*stream, response);
  request.held.release();
  stream->gone = {};
  if (!stream->body_ended()) co_await stream->drain();
  stream->discard();
  // The rest of a body that nobody wants need not be sent (RFC 9113 section 8.1).
  if (!stream->body_ended()) reset(*stream, NGHTTP2_NO_ERROR);
  --handled_;
  ended_.open();
}

bool Session::submit(Stream& stream, const Response& response, bool with_body) {
  std::vector<std::pair<std::string, std::string>> fields;
  fields.emplace_back(":status", std::to_string(response.status));
  bool own_length = false;
  for (const auto& [name, value] : response.headers.all()) {
    std::string field = to_lower(name);
    if (is_of_connection(field)) continue;
    own_length = own_length || field == "content-length";
    std::string text = value;
    std::ranges::replace_if(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    fields.emplace_back(std::move(field), std::string(trim(text)));
  }
  fields.emplace_back("date", to_http_date(context_.clock.now()));
  const auto length = http::length_of(response);
  const bool bodyless = response.status == 204 || response.status == 304;
  if (!own_length && length && !bodyless && !response.trailers)
    fields.emplace_back("content-length", std::to_string(*length));
  std::vector<nghttp2_nv> raw;
  raw.reserve(fields.size());
  for (auto& [name, value] : fields)
    raw.push_back(field_of(name, value));
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = &Callbacks::read;
  stream.sent_at = context_.clock.steady();
  const int done = nghttp2_submit_response(session_, stream.id, raw.data(), raw.size(),
                                           with_body ? &provider : nullptr);
  work_.open();
  return done == 0;
}

// Called while the last piece is being framed, so the trailers follow it.
void Session::submit_trailers(Stream& stream) {
  std::vector<std::pair<std::string, std::string>> fields;
  const auto trailers = stream.trailers();
  for (const auto& [name, value] : trailers.all())
    fields.emplace_back(to_lower(name), std::string(trim(value)));
  std::vector<nghttp2_nv> raw;
  raw.reserve(fields.size());
  for (auto& [name, value] : fields)
    raw.push_back(field_of(name, value));
  nghttp2_submit_trailer(session_, stream.id, raw.data(), raw.size());
}

// The answer's parts are copied into frames as the peer has room for them, so they live until then.
Task<void> Session::send_piece(Stream& stream, std::string_view piece, bool last) {
  stream.piece = piece;
  stream.last_piece = last;
  stream.sent_at = context_.clock.steady();
  nghttp2_session_resume_data(session_, stream.id);
  work_.open();
  while (!stream.closed && (last ? !stream.all_sent : !stream.piece.empty()))
    co_await stream.sent.wait();
}

Task<void> Session::answer(Stream& stream, Response& response) {
  const bool bodyless = stream.request.method == http::Method::kHead || response.status == 204 ||
                        response.status == 304 || response.status < 200;
  if (!submit(stream, response, !bodyless)) {
    reset(stream, NGHTTP2_INTERNAL_ERROR);
    co_return;
  }
  if (bodyless) co_return;
  stream.trailers = std::move(response.trailers);
  if (const auto* text = std::get_if<std::string>(&response.body)) {
    co_await send_piece(stream, *text, true);
  } else if (auto* slice = std::get_if<http::FileSlice>(&response.body)) {
    co_await send_file(stream, *slice);
  } else {
    auto& source = *std::get<std::unique_ptr<ByteSource>>(response.body);
    co_await send_source(stream, source);
    stream.gone = {};
  }
}

Task<void> Session::send_file(Stream& stream, http::FileSlice& slice) {
  std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(slice.length, kFilePiece)),
                    '\0');
  while (slice.length > 0 && !stream.closed) {
    const std::span<char> out(piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(
                                                slice.length, piece.size())));
    auto read = [&] {
      return slice.file->read_at(out, slice.offset);
    };
    const auto got = co_await context_.pool.run(read);
    if (!got || *got == 0) {
      reset(stream, NGHTTP2_INTERNAL_ERROR);
      co_return;
    }
    slice.offset += *got;
    slice.length -= *got;
    const std::string_view ready(piece.data(), *got);
    co_await send_piece(stream, ready, slice.length == 0);
  }
  if (!stream.all_sent && !stream.closed) co_await send_piece(stream, {}, true);
}

// A source that fails half-way ends the stream: the peer never takes a part for the whole.
Task<void> Session::send_source(Stream& stream, ByteSource& source) {
  stream.gone = [&source] {
    source.cancel();
  };
  while (!stream.closed) {
    const auto piece = co_await source.next();
    if (!piece) {
      reset(stream, NGHTTP2_INTERNAL_ERROR);
      co_return;
    }
    co_await send_piece(stream, *piece, piece->empty());
    if (piece->empty()) co_return;
  }
}

}  // namespace strata::doors::http2
