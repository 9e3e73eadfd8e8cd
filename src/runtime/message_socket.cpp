#include "runtime/message_socket.hpp"

#include <array>
#include <cerrno>
#include <coroutine>
#include <cstdint>
#include <cstring>
#include <mutex>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/loop.hpp"

namespace strata {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kHeader = 5;  // length of the payload (32 bits, this machine's order), kind
constexpr std::size_t kReadSize = 256U << 10U;

Error gone() {
  Error error(Code::kUnavailable, "the other process closed the connection");
  error.retry = true;
  return error;
}

// It had read all that it was sent, and may have acted upon it.
Error gone_after_reading() {
  Error error = gone();
  error.effect = Effect::kMaybe;
  return error;
}

}  // namespace

struct MessageSocket::Impl {
  explicit Impl(int number) : fd(number) {}
  ~Impl() {
    watch.reset();
    if (fd >= 0) ::close(fd);
    if (passed >= 0) ::close(passed);
  }

  int fd;
  std::mutex sending;
  std::string buffer;     // received, not yet handed out
  std::size_t start = 0;  // where the unread part of it begins
  int passed = -1;
  // A duplicate registered with the loop that awaits; it owns its own descriptor number.
  std::optional<asio::posix::stream_descriptor> watch;
  Loop* watching = nullptr;

  std::size_t unread() const { return buffer.size() - start; }

  Result<std::optional<Message>> take() {
    if (unread() < kHeader) return std::optional<Message>();
    std::uint32_t length = 0;
    std::memcpy(&length, buffer.data() + start, sizeof(length));
    if (length > kMaxPayload)
      return Error(Code::kMalformed, "a message announces an impossible length");
    if (unread() < kHeader + length) return std::optional<Message>();
    Message message{buffer[start + 4], buffer.substr(start + kHeader, length),
                    std::exchange(passed, -1)};
    start += kHeader + length;
    if (start == buffer.size()) {
      buffer.clear();
      start = 0;
    } else if (start > kReadSize) {
      buffer.erase(0, start);
      start = 0;
    }
    return std::optional<Message>(std::move(message));
  }

  // Reads what is there. False when nothing was and `flags` said not to wait.
  Result<bool> fill(int flags) {
    const std::size_t before = buffer.size();
    buffer.resize(before + kReadSize);
    iovec part{buffer.data() + before, kReadSize};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t got = 0;
    do {
      got = ::recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    const int number = errno;
    buffer.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got == 0) return gone_after_reading();
    if (got < 0) {
      if (number == EAGAIN || number == EWOULDBLOCK) return false;
      if (number == ECONNRESET) return gone();  // and left something of what it was sent unread
      return from_errno(number, "recvmsg", "message socket");
    }
    for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr;
         entry = CMSG_NXTHDR(&header, entry)) {
      if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
      if (passed >= 0) ::close(passed);
      std::memcpy(&passed, CMSG_DATA(entry), sizeof(passed));
    }
    return true;
  }

  void watch_on(Loop& loop) {
    if (watching == &loop) return;
    watch.emplace(loop.context(), ::dup(fd));
    watching = &loop;
  }
};

MessageSocket::MessageSocket(int descriptor) : impl_(std::make_unique<Impl>(descriptor)) {}
MessageSocket::MessageSocket(MessageSocket&&) noexcept = default;
MessageSocket& MessageSocket::operator=(MessageSocket&&) noexcept = default;
MessageSocket::~MessageSocket() = default;

Result<std::pair<MessageSocket, MessageSocket>> MessageSocket::pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return from_errno(errno, "socketpair", "message socket");
  }
  return std::pair(MessageSocket(ends[0]), MessageSocket(ends[1]));
}

Status MessageSocket::send(char kind, std::string_view payload, int descriptor) {
  if (payload.size() > kMaxPayload)
    return Error(Code::kTooLarge, "the message is larger than 64 MiB");
  std::array<char, kHeader> head{};
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::memcpy(head.data(), &length, sizeof(length));
  head[4] = kind;
  const std::lock_guard lock(impl_->sending);
  std::size_t sent = 0;
  const std::size_t whole = kHeader + payload.size();
  while (sent < whole) {
    std::array<iovec, 2> parts{};
    std::size_t count = 0;
    if (sent < kHeader) parts[count++] = {head.data() + sent, kHeader - sent};
    const std::size_t offset = sent > kHeader ? sent - kHeader : 0;
    parts[count++] = {const_cast<char*>(payload.data()) + offset, payload.size() - offset};
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = count;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (descriptor >= 0 && sent == 0) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* entry = CMSG_FIRSTHDR(&header);
      entry->cmsg_level = SOL_SOCKET;
      entry->cmsg_type = SCM_RIGHTS;
      entry->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(entry), &descriptor, sizeof(descriptor));
    }
    const ssize_t put = ::sendmsg(impl_->fd, &header, MSG_NOSIGNAL);
    if (put < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) return gone();
      return from_errno(errno, "sendmsg", "message socket");
    }
    sent += static_cast<std::size_t>(put);
  }
  return {};
}

Result<Message> MessageSocket::receive() {
  while (true) {
    auto message = impl_->take();
    if (!message) return std::move(message).error();
    if (*message) return std::move(**message);
    auto filled = impl_->fill(0);
    if (!filled) return std::move(filled).error();
  }
}

Result<std::optional<Message>> MessageSocket::try_receive() {
  while (true) {
    auto message = impl_->take();
    if (!message || *message) return message;
    auto filled = impl_->fill(MSG_DONTWAIT);
    if (!filled) return std::move(filled).error();
    if (!*filled) return std::optional<Message>();
  }
}

Task<Result<Message>> MessageSocket::next() {
  Loop* loop = Loop::current();
  if (loop == nullptr) co_return receive();
  while (true) {
    auto message = impl_->take();
    if (!message) co_return std::move(message).error();
    if (*message) co_return std::move(**message);
    auto filled = impl_->fill(MSG_DONTWAIT);
    if (!filled) co_return std::move(filled).error();
    if (*filled) continue;
    impl_->watch_on(*loop);
    struct Awaiter {
      asio::posix::stream_descriptor* watch;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        // A fault shows again, with its reason, when the socket is read.
        watch->async_wait(asio::posix::stream_descriptor::wait_read,
                          [handle](const boost::system::error_code&) { handle.resume(); });
      }
      void await_resume() const noexcept {}
    };
    Awaiter awaiter{&*impl_->watch};
    co_await awaiter;
  }
}

bool MessageSocket::readable(int limit_ms) {
  if (impl_->unread() > 0) return true;
  pollfd watch{impl_->fd, POLLIN, 0};
  return ::poll(&watch, 1, limit_ms) > 0;
}

void MessageSocket::shutdown() {
  ::shutdown(impl_->fd, SHUT_RDWR);
}
int MessageSocket::descriptor() const {
  return impl_->fd;
}

bool peer_has_gone(int descriptor) {
  pollfd look{descriptor, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace strata
