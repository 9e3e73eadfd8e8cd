#include "doors/http/transport.hpp"

#include <algorithm>
#include <array>
#include <coroutine>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include "runtime/message_socket.hpp"

namespace strata::http {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

namespace {

// Suspends until an Asio operation calls back. `start` begins the operation with the handler it is
// given.
template <class Start>
struct Await {
  Start start;
  ErrorCode code{};
  std::size_t count = 0;
  std::coroutine_handle<> waiting{};

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiting = handle;
    start([this](const ErrorCode& outcome, std::size_t n = 0) {
      code = outcome;
      count = n;
      waiting.resume();
    });
  }
  std::size_t await_resume() const noexcept { return count; }
};
template <class Start>
Await(Start) -> Await<Start>;

// Cancels an operation that takes too long; the socket stays open, so that a last answer can say
// so. Re-armed for every operation without a new timer.
class Watchdog {
 public:
  Watchdog(asio::ip::tcp::socket& socket, const Clock& clock)
      : state_(std::make_shared<State>(
            State{asio::steady_timer(socket.get_executor()), &socket, &clock})) {}
  ~Watchdog() {
    state_->socket = nullptr;
    state_->timer.cancel();
  }
  Watchdog(const Watchdog&) = delete;

  // Reads and writes have a deadline each, as both may be in progress.
  enum class Side : std::uint8_t { kRead, kWrite };

  void arm(Side side, std::chrono::milliseconds limit) {
    state_->deadline[at(side)] = state_->clock->steady() + limit;
    state_->fired[at(side)] = false;
    if (!state_->waiting) wait(state_);
  }
  void disarm(Side side) { state_->deadline[at(side)] = kNever; }
  bool fired(Side side) const { return state_->fired[at(side)]; }
  void watch_peer(std::move_only_function<void()> gone) {
    state_->gone = std::move(gone);
    if (state_->gone && !state_->waiting) wait(state_);
  }

 private:
  static constexpr auto kNever = std::chrono::steady_clock::time_point::max();
  static constexpr std::size_t at(Side side) { return static_cast<std::size_t>(side); }
  struct State {
    asio::steady_timer timer;
    asio::ip::tcp::socket* socket;
    const Clock* clock;
    std::array<std::chrono::steady_clock::time_point, 2> deadline{kNever, kNever};
    std::array<bool, 2> fired{};
    std::move_only_function<void()> gone{};  // told when the peer has gone, if anybody asked
    bool waiting = false;
  };
  // Looks once a second at most: cheaper than moving a timer for every read and write.
  static void wait(const std::shared_ptr<State>& state) {
    state->waiting = true;
    state->timer.expires_after(std::chrono::seconds(1));
    state->timer.async_wait([state](const ErrorCode& code) {
      state->waiting = false;
      if (code || state->socket == nullptr) return;
      const auto now = state->clock->steady();
      if (now >= std::ranges::min(state->deadline)) {
        for (const Side side : {Side::kRead, Side::kWrite})
          state->fired[at(side)] = now >= state->deadline[at(side)];
        ErrorCode ignored;
        state->socket->cancel(ignored);
        return;
      }
      if (state->gone && peer_has_gone(state->socket->native_handle())) {
        auto tell = std::exchange(state->gone, {});
        tell();
      }
      wait(state);
    });
  }
  std::shared_ptr<State> state_;
};

template <class Stream>
class StreamTransport final : public Transport {
 public:
  template <class... Args>
  explicit StreamTransport(const Clock& clock, Args&&... args)
      : clock_(clock),
        stream_(std::forward<Args>(args)...),
        watchdog_(socket(), clock) {
    ErrorCode ignored;
    socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  }

  Task<Result<std::size_t>> read_some(std::span<char> out,
                                      std::chrono::milliseconds limit) override {
    watchdog_.arm(Side::kRead, limit);
    Await operation{[&](auto handler) {
      stream_.async_read_some(asio::buffer(out.data(), out.size()), std::move(handler));
    }};
    const std::size_t count = co_await operation;
    watchdog_.disarm(Side::kRead);
    if (!operation.code) co_return count;
    if (operation.code == asio::error::eof ||
        operation.code == asio::ssl::error::stream_truncated) {
      co_return std::size_t{0};
    }
    co_return failure(Side::kRead, operation.code);
  }

  Task<Status> write(std::vector<std::string_view> pieces,
                     std::chrono::milliseconds limit) override {
    std::size_t first = 0;
    while (first < pieces.size()) {
      if (pieces[first].empty()) {
        ++first;
        continue;
      }
      std::array<asio::const_buffer, 4> buffers{};
      for (std::size_t i = 0; i < buffers.size() && first + i < pieces.size(); ++i) {
        buffers[i] = asio::const_buffer(pieces[first + i].data(), pieces[first + i].size());
      }
      watchdog_.arm(Side::kWrite, limit);
      Await operation{[&](auto handler) {
        stream_.async_write_some(buffers, std::move(handler));
      }};
      std::size_t count = co_await operation;
      watchdog_.disarm(Side::kWrite);
      if (operation.code) co_return failure(Side::kWrite, operation.code);
      while (first < pieces.size() && count >= pieces[first].size())
        count -= pieces[first++].size();
      if (first < pieces.size()) pieces[first].remove_prefix(count);
    }
    co_return Status();
  }

  Task<Status> open(std::chrono::milliseconds limit) override {
    if constexpr (kSecure) {
      watchdog_.arm(Side::kRead, limit);
      Await operation{[&](auto handler) {
        stream_.async_handshake(asio::ssl::stream_base::server, std::move(handler));
      }};
      co_await operation;
      watchdog_.disarm(Side::kRead);
      if (operation.code) co_return failure(Side::kRead, operation.code);
    }
    co_return Status();
  }

  bool chose_http2() override {
    if constexpr (kSecure) {
      const unsigned char* name = nullptr;
      unsigned int length = 0;
      SSL_get0_alpn_selected(stream_.native_handle(), &name, &length);
      return std::string_view(reinterpret_cast<const char*>(name), length) == "h2";
    } else {
      return false;
    }
  }

  void watch_peer(std::move_only_function<void()> gone) override {
    watchdog_.watch_peer(std::move(gone));
  }

  Task<void> close() override {
    if constexpr (kSecure) {
      watchdog_.arm(Side::kRead, std::chrono::seconds(2));
      Await operation{[&](auto handler) {
        stream_.async_shutdown(std::move(handler));
      }};
      co_await operation;
      watchdog_.disarm(Side::kRead);
    }
    ErrorCode ignored;
    socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket().close(ignored);
  }

  Task<void> linger() override {
    ErrorCode ignored;
    socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    std::array<char, 4096> rest{};
    const auto end = clock_.steady() + kLingerTime;
    for (int i = 0; i < kLingerReads; ++i) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(end - clock_.steady());
      if (left <= std::chrono::milliseconds::zero()) co_return;
      const auto got = co_await read_some(rest, left);
      if (!got || *got == 0) co_return;
    }
  }

  void abort() override {
    ErrorCode ignored;
    socket().close(ignored);
  }

 private:
  using Side = Watchdog::Side;
  static constexpr int kLingerReads = 256;
  static constexpr std::chrono::milliseconds kLingerTime{1000};
  static constexpr bool kSecure = !std::is_same_v<Stream, asio::ip::tcp::socket>;

  asio::ip::tcp::socket& socket() {
    if constexpr (kSecure) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }
  Error failure(Side side, const ErrorCode& code) const {
    if (watchdog_.fired(side)) return Error(Code::kDeadlineExceeded, "the peer was too slow");
    return Error(Code::kUnavailable, "the connection broke: " + code.message());
  }

  const Clock& clock_;
  Stream stream_;
  Watchdog watchdog_;
};

}  // namespace

std::unique_ptr<Transport> plain_transport(asio::ip::tcp::socket socket, const Clock& clock) {
  return std::make_unique<StreamTransport<asio::ip::tcp::socket>>(clock, std::move(socket));
}

std::unique_ptr<Transport> tls_transport(asio::ip::tcp::socket socket, asio::ssl::context& context,
                                         const Clock& clock) {
  return std::make_unique<StreamTransport<asio::ssl::stream<asio::ip::tcp::socket>>>(
      clock, std::move(socket), context);
}

}  // namespace strata::http
