// strata_load: one thread that keeps N keep-alive HTTP/1.1 connections busy with requests that were
// made beforehand, and says how long each answer took. The same program, with the same requests,
// drives both sides of a comparison, so its own cost is the same on both.
//
//   strata_load --port P --requests FILE [--connections N] [--seconds S] [--count N] [--least N]
//   [--first N]
//
// FILE holds requests one after the other: a length (uint32, little endian), then the whole request
// as it goes over the wire. They are sent in their order, each connection taking the next; after
// the last comes the first again; --first begins with a later one. Ends after S seconds, though not
// before the least number of answers (and in any case after five minutes), or after N answers.
// Prints one JSON object.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::uint16_t port = 0;
  std::string requests;
  std::size_t connections = 8;
  double seconds = 5;
  std::size_t count = SIZE_MAX;
  std::size_t least = 1;
  std::size_t first = 0;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

double number(std::string_view text) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || value < 0) fail(fmt::format("'{}' is no number", text));
  return value;
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--port") {
      options.port = static_cast<std::uint16_t>(number(value));
    } else if (name == "--requests") {
      options.requests = value;
    } else if (name == "--connections") {
      options.connections = static_cast<std::size_t>(number(value));
    } else if (name == "--seconds") {
      options.seconds = number(value);
    } else if (name == "--count") {
      options.count = static_cast<std::size_t>(number(value));
    } else if (name == "--first") {
      options.first = static_cast<std::size_t>(number(value));
    } else if (name == "--least") {
      options.least = static_cast<std::size_t>(number(value));
    } else {
      fail(fmt::format("'{}' is no option", name));
    }
  }
  if (options.port == 0 || options.requests.empty() || options.connections == 0 ||
      options.connections > 4096) {
    fail("--port and --requests are needed, and 1 to 4096 connections");
  }
  return options;
}

std::vector<std::string> read_requests(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> requests;
  std::size_t at = 0;
  while (at + 4 <= all.size()) {
    std::uint32_t length = 0;
    std::memcpy(&length, all.data() + at, 4);
    at += 4;
    if (length > all.size() - at) fail(path + " ends inside of a request");
    requests.push_back(all.substr(at, length));
    at += length;
  }
  if (requests.empty()) fail(path + " holds no request");
  return requests;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return (x | 0x20) == (y | 0x20);
         });
}

// Finds the end of one answer in bytes that arrive piece by piece.
class Answer {
 public:
  int status = 0;
  bool closes = false;

  // True once `bytes`, all that arrived since the request, hold the whole answer.
  bool complete(std::string_view bytes) {
    if (body_ == 0 && !read_head(bytes)) return false;
    if (!chunked_) return bytes.size() >= body_ + length_;
    while (!last_) {
      const std::size_t line = bytes.find("\r\n", next_);
      if (line == std::string_view::npos) return false;
      std::size_t size = 0;
      std::from_chars(bytes.data() + next_, bytes.data() + line, size, 16);
      if (bytes.size() < line + 2 + size + 2) return false;
      next_ = line + 2 + size + 2;
      last_ = size == 0;  // no trailers: nothing here sends any
    }
    return true;
  }

 private:
  bool read_head(std::string_view bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return false;
    body_ = next_ = end + 4;
    if (!bytes.starts_with("HTTP/1.1 ")) fail("this is no HTTP/1.1 answer");
    std::from_chars(bytes.data() + 9, bytes.data() + 12, status);
    std::size_t at = bytes.find("\r\n") + 2;
    while (at < end) {
      const std::size_t line = bytes.find("\r\n", at);
      const std::string_view field = bytes.substr(at, line - at);
      const std::size_t colon = std::min(field.find(':'), field.size() - 1);
      std::string_view value = field.substr(colon + 1);
      value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
      const std::string_view name = field.substr(0, colon);
      if (same_name(name, "content-length"))
        std::from_chars(value.data(), value.data() + value.size(), length_);
      if (same_name(name, "transfer-encoding")) chunked_ = same_name(value, "chunked");
      if (same_name(name, "connection")) closes = same_name(value, "close");
      at = line + 2;
    }
    return true;
  }

  std::size_t body_ = 0, next_ = 0, length_ = 0;
  bool chunked_ = false, last_ = false;
};

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)),
        requests_(read_requests(options_.requests)),
        connections_(options_.connections),
        epoll_(::epoll_create1(0)),
        next_(options_.first) {}
  ~Load() {
    for (const auto& connection : connections_)
      ::close(connection.socket);
    ::close(epoll_);
  }
  Load(const Load&) = delete;

  void run() {
    latencies_.reserve(1 << 20);
    began_ = Clock::now();
    const auto end = began_ + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(options_.seconds));
    const auto last = std::max(end, began_ + std::chrono::minutes(5));
    for (auto& connection : connections_) {
      open(connection);
      send_next(connection);
    }
    std::vector<epoll_event> events(256);
    const auto goes_on = [&] {
      const auto now = Clock::now();
      return latencies_.size() < options_.count &&
             (now < end || (latencies_.size() < options_.least && now < last));
    };
    while (goes_on()) {
      const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        serve(*static_cast<Connection*>(event.data.ptr), event.events);
      }
    }
    ended_ = Clock::now();
  }

  std::string report() {
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [&](double share) {
      if (latencies_.empty()) return 0U;
      return latencies_[static_cast<std::size_t>(share *
                                                 static_cast<double>(latencies_.size() - 1))];
    };
    std::string statuses;
    for (const auto& [status, count] : statuses_)
      statuses += fmt::format("{}\"{}\": {}", statuses.empty() ? "" : ", ", status, count);
    return fmt::format(
        "{{\"answers\": {}, \"seconds\": {:.6f}, \"p50_us\": {}, \"p90_us\": {}, \"p99_us\": {}, "
        "\"max_us\": {}, \"bytes_in\": {}, \"reconnects\": {}, \"broken\": {}, \"statuses\": "
        "{{{}}}}}",
        latencies_.size(), std::chrono::duration<double>(ended_ - began_).count(), at(0.5), at(0.9),
        at(0.99), at(1), bytes_in_, reconnects_, broken_, statuses);
  }

 private:
  static constexpr std::size_t kMostBroken = 100;
  struct Connection {
    int socket = -1;
    const std::string* request = nullptr;
    std::size_t sent = 0;
    std::string in;
    Answer answer;
    Clock::time_point began;
  };

  void open(Connection& connection) {
    connection.socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
        0) {
      fail(fmt::format("cannot connect to port {}: {}", options_.port, std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{EPOLLIN, {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
  }

  void want(Connection& connection, std::uint32_t events) const {
    epoll_event event{events, {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
  }

  void send_next(Connection& connection) {
    connection.request = &requests_[next_++ % requests_.size()];
    connection.sent = 0;
    connection.in.clear();
    connection.answer = {};
    connection.began = Clock::now();
    send_some(connection);
  }

  void send_some(Connection& connection) {
    const bool resumed = connection.sent > 0;
    const std::string& request = *connection.request;
    while (connection.sent < request.size()) {
      const ssize_t sent = ::send(connection.socket, request.data() + connection.sent,
                                  request.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        want(connection, EPOLLIN | EPOLLOUT);
        return;
      }
      if (sent < 0) return reopen_broken(connection);
      connection.sent += static_cast<std::size_t>(sent);
    }
    if (resumed) want(connection, EPOLLIN);
  }

  // A server that drops a request is counted and asked the next one.
  void reopen_broken(Connection& connection) {
    if (++broken_ > kMostBroken) fail("the server breaks its connections");
    ::close(connection.socket);
    open(connection);
    send_next(connection);
  }

  void serve(Connection& connection, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) send_some(connection);
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
    const ssize_t got = ::recv(connection.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return reopen_broken(connection);
    bytes_in_ += static_cast<std::uint64_t>(got);
    connection.in.append(buffer_.data(), static_cast<std::size_t>(got));
    if (!connection.answer.complete(connection.in)) return;
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.began);
    latencies_.push_back(static_cast<std::uint32_t>(took.count()));
    ++statuses_[connection.answer.status];
    if (connection.answer.closes) {
      ::close(connection.socket);
      open(connection);
      ++reconnects_;
    }
    send_next(connection);
  }

  Options options_;
  std::vector<std::string> requests_;
  std::vector<Connection> connections_;
  int epoll_;
  std::size_t next_;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
  std::vector<std::uint32_t> latencies_;
  std::map<int, std::size_t> statuses_;
  std::uint64_t bytes_in_ = 0;
  std::size_t reconnects_ = 0;
  std::size_t broken_ = 0;
  Clock::time_point began_, ended_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Load load(read_options(argc, argv));
    load.run();
    fmt::print("{}\n", load.report());
    return 0;
  } catch (const std::exception& fault) {
    fmt::print(stderr, "strata_load: {}\n", fault.what());
    return 1;
  }
}
