#include "resources/orchestrator/line_channel.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace strata::resources::orchestrator {
namespace {

constexpr std::string_view kSocket = "agent.sock";

// A socket address holds 108 bytes: the folder is named by its descriptor instead.
class Address {
 public:
  explicit Address(const std::string& data)
      : folder_(open((data + "/run").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", folder_, kSocket);
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~Address() {
    if (folder_ >= 0) close(folder_);
  }
  Address(const Address&) = delete;

  bool ok() const { return folder_ >= 0; }
  int folder() const { return folder_; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);

 private:
  int folder_;
  sockaddr_un address_{};
};

Error gone() {
  return Error(Code::kUnavailable, "the other side closed the connection");
}

}  // namespace

LineChannel::LineChannel(LineChannel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      taken_(other.taken_),
      sent_(other.sent_) {}

LineChannel& LineChannel::operator=(LineChannel&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  std::swap(taken_, other.taken_);
  std::swap(sent_, other.sent_);
  return *this;
}

LineChannel::~LineChannel() {
  if (fd_ >= 0) close(fd_);
}

void LineChannel::put(const Json& message) {
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  }
  message.dump_to(out_);
  out_ += '\n';
}

Status LineChannel::flush() {
  while (wants_write()) {
    const ssize_t count = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count < 0) return gone();
    sent_ += static_cast<std::size_t>(count);
  }
  return {};
}

Status LineChannel::fill() {
  char buffer[16384];
  while (true) {
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count <= 0) return gone();
    in_.append(buffer, static_cast<std::size_t>(count));
    if (in_.size() - taken_ > kMaxLine) {
      return Error(Code::kTooLarge, fmt::format("a message has more than {} bytes", kMaxLine));
    }
  }
}

Result<std::optional<Json>> LineChannel::take() {
  const auto end = in_.find('\n', taken_);
  if (end == std::string::npos) {
    in_.erase(0, std::exchange(taken_, 0));
    return std::optional<Json>();
  }
  auto json = parse_json(std::string_view(in_).substr(taken_, end - taken_));
  taken_ = end + 1;
  if (!json) return json.error();
  return std::optional<Json>(std::move(*json));
}

Result<int> listen_at(const std::string& data) {
  const Address address(data);
  if (!address.ok()) return from_errno(errno, "open", data + "/run");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return from_errno(errno, "socket", std::string(kSocket));
  unlinkat(address.folder(), kSocket.data(), 0);
  const mode_t before = umask(0177);
  const bool bound = bind(fd, address.get(), Address::kSize) == 0;
  umask(before);
  if (!bound || listen(fd, 16) != 0) {
    const int number = errno;
    close(fd);
    return from_errno(number, "bind", data + "/run/agent.sock");
  }
  return fd;
}

Result<LineChannel> connect_to(const std::string& data) {
  const Address address(data);
  if (!address.ok()) return Error(Code::kUnavailable, "no folder " + data + "/run");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return from_errno(errno, "socket", std::string(kSocket));
  LineChannel channel(fd);
  if (connect(fd, address.get(), Address::kSize) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return Error(Code::kUnavailable, "no node agent listens at " + data + "/run/agent.sock");
    }
    return from_errno(errno, "connect", data + "/run/agent.sock");
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return channel;
}

bool is_same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

}  // namespace strata::resources::orchestrator
