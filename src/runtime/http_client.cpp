#include "runtime/http_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <poll.h>
#include <sys/socket.h>

namespace strata {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Parser = beast::http::response_parser<beast::http::buffer_body>;

namespace {

struct Url {
  bool secure = false;
  std::string host;
  std::string port;
  std::string target;
};

Result<Url> parse_url(const std::string& text) {
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.secure = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return invalid("url", "'" + text + "' must begin with http:// or https://");
  }
  const std::size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  url.target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  const std::size_t colon = authority.rfind(':');
  url.host = std::string(authority.substr(0, colon));
  url.port = colon == std::string_view::npos ? (url.secure ? "443" : "80")
                                             : std::string(authority.substr(colon + 1));
  if (url.host.empty()) return invalid("url", "'" + text + "' names no host");
  return url;
}

Error failure(const Url& url, const ErrorCode& code) {
  const std::string peer = url.host + ":" + url.port;
  if (code == asio::error::timed_out)
    return Error(Code::kDeadlineExceeded, "no answer from " + peer + " within the time limit");
  std::string hint;
  if (code.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(code.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    hint =
        "; if an authority of your own signed the server's certificate, name that one's "
        "certificate by the variable SSL_CERT_FILE";
  }
  return Error(Code::kUnavailable, "no answer from " + peer + ": " + code.message() + hint);
}

using SteadyTime = std::chrono::steady_clock::time_point;

// A socket whose steps wait for the request's time limits at most, and go on after a signal:
// Asio's own would wait for ever, and end with the signal, in the middle of a TLS record too.
class PatientSocket {
 public:
  using executor_type = tcp::socket::executor_type;
  using lowest_layer_type = tcp::socket::lowest_layer_type;

  PatientSocket(asio::io_context& context, const ClientRequest& request, SteadyTime end)
      : socket_(context),
        limit_(request.timeout),
        end_(end),
        stop_(request.stop) {}

  executor_type get_executor() { return socket_.get_executor(); }
  lowest_layer_type& lowest_layer() { return socket_.lowest_layer(); }
  const lowest_layer_type& lowest_layer() const { return socket_.lowest_layer(); }

  // To the first of `peers` that answers.
  void connect(const tcp::resolver::results_type& peers, ErrorCode& code) {
    code = asio::error::host_not_found;
    for (const auto& peer : peers) {
      socket_ = tcp::socket(socket_.get_executor());
      socket_.open(peer.endpoint().protocol(), code);
      if (!code) socket_.native_non_blocking(true, code);
      if (code) continue;
      // Asio's connect() would wait without a limit.
      if (::connect(socket_.native_handle(), peer.endpoint().data(),
                    static_cast<socklen_t>(peer.endpoint().size())) != 0 &&
          errno != EINPROGRESS && errno != EINTR) {
        code = ErrorCode(errno, boost::system::system_category());
        continue;
      }
      if (!wait(POLLOUT, std::chrono::steady_clock::now() + limit_, code)) continue;
      int failure = 0;
      socklen_t size = sizeof failure;
      ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &failure, &size);
      code = ErrorCode(failure, boost::system::system_category());
      if (!code) socket_.non_blocking(true, code);
      if (!code) return;
    }
  }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, ErrorCode& code) {
    return patiently(POLLIN, code, [&] { return socket_.read_some(buffers, code); });
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, ErrorCode& code) {
    return patiently(POLLOUT, code, [&] { return socket_.write_some(buffers, code); });
  }

 private:
  template <class Move>
  std::size_t patiently(short event, ErrorCode& code, const Move& move) {
    const auto end = std::chrono::steady_clock::now() + limit_;
    while (true) {
      // A peer that sends a byte now and then makes progress, but not for ever.
      if (stop_.stop_requested() || std::chrono::steady_clock::now() >= end_) {
        code = stop_.stop_requested() ? asio::error::operation_aborted : asio::error::timed_out;
        return 0;
      }
      const std::size_t moved = move();
      if (code == asio::error::interrupted) continue;
      if (code != asio::error::would_block && code != asio::error::try_again) return moved;
      if (!wait(event, end, code)) return 0;
    }
  }

  // Until the socket is ready; false with `code` when it was not in time.
  bool wait(short event, SteadyTime until, ErrorCode& code) {
    const SteadyTime end = std::min(until, end_);
    while (true) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (stop_.stop_requested() || left.count() <= 0) {
        code = stop_.stop_requested() ? asio::error::operation_aborted : asio::error::timed_out;
        return false;
      }
      const long long most = stop_.stop_possible() ? kLookForStop.count() : INT_MAX;
      pollfd ready{socket_.native_handle(), event, 0};
      const int got = ::poll(&ready, 1, static_cast<int>(std::min<long long>(left.count(), most)));
      if (got > 0) {
        code = {};
        return true;
      }
      if (got < 0 && errno != EINTR) {
        code = ErrorCode(errno, boost::system::system_category());
        return false;
      }
    }
  }

  static constexpr std::chrono::milliseconds kLookForStop{100};

  tcp::socket socket_;
  std::chrono::milliseconds limit_;
  SteadyTime end_;
  std::stop_token stop_;
};

std::string head_of(const ClientRequest& request, const Url& url) {
  std::string head = request.method + " " + url.target + " HTTP/1.1\r\nHost: " + url.host + ":" +
                     url.port + "\r\n";
  for (const auto& [name, value] : request.headers)
    head += name + ": " + value + "\r\n";
  const std::uint64_t length = request.next_piece ? request.body_length : request.body.size();
  head += "Content-Length: " + std::to_string(length) + "\r\nConnection: close\r\n\r\n";
  return head;
}

void take_head(const Parser& parser, ClientAnswer& answer) {
  answer.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
}

// The server has closed the connection: the end of an answer without a length, or a failure.
Status end_of(Parser& parser, const Url& url) {
  const std::string peer = url.host + ":" + url.port;
  if (!parser.got_some())  // which Beast's put_eof() takes for granted
    return Error(Code::kUnavailable, peer + " closed the connection without an answer");
  ErrorCode code;
  parser.put_eof(code);
  if (code) return Error(Code::kUnavailable, peer + " closed the connection in mid-answer");
  return {};
}

// Sends the pieces of a body. A server that refuses the request early closes its side while they
// are on the way: then `code` says so, and its answer is still to be read.
template <class Stream>
Status send_pieces(Stream& stream, const ClientRequest& request, ErrorCode& code) {
  std::uint64_t sent = 0;
  while (!code) {
    const auto piece = request.next_piece();
    if (!piece) return piece.error();
    if (piece->empty()) break;
    sent += piece->size();
    if (sent > request.body_length) break;
    asio::write(stream, asio::buffer(*piece), code);
  }
  if (code || sent == request.body_length) return {};
  return Error(Code::kConflict, "the body changed its size while it was sent");
}

template <class Stream>
Result<ClientAnswer> exchange(
    Stream& stream, const ClientRequest& request, const Url& url,
    const std::function<bool(const ClientAnswer&, std::string_view)>& on_body) {
  const std::string head = head_of(request, url);
  ErrorCode code;
  asio::write(stream,
              std::array<asio::const_buffer, 2>{asio::buffer(head), asio::buffer(request.body)},
              code);
  if (code) return failure(url, code);
  ErrorCode cut;
  if (request.next_piece) STRATA_TRY(send_pieces(stream, request, cut));
  Parser parser;
  parser.body_limit(boost::none);
  parser.eager(true);
  std::string in;
  std::array<char, 65536> piece{};
  std::array<char, 65536> out{};
  ClientAnswer answer;
  bool head_taken = false;
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = out.data();
    body.size = out.size();
    const std::size_t used = parser.put(asio::buffer(in), code);
    in.erase(0, used);
    const std::size_t produced = out.size() - body.size;
    if (parser.is_header_done() && !head_taken) {
      take_head(parser, answer);
      head_taken = true;
    }
    if (produced > 0 && !on_body(answer, std::string_view(out.data(), produced))) return answer;
    const bool more =
        code == beast::http::error::need_more || (!code && used == 0 && produced == 0);
    if (code && code != beast::http::error::need_more && code != beast::http::error::need_buffer)
      return failure(url, code);
    if (parser.is_done() || (!more && !in.empty())) continue;
    const std::size_t got = stream.read_some(asio::buffer(piece), code);
    if (code == asio::error::eof || code == asio::ssl::error::stream_truncated) {
      STRATA_TRY(end_of(parser, url));
      break;
    }
    if (code) return failure(url, cut ? cut : code);
    in.append(piece.data(), got);
  }
  return answer;
}

}  // namespace

Result<ClientAnswer> http_exchange(
    const ClientRequest& request,
    const std::function<bool(const ClientAnswer&, std::string_view)>& on_body) {
  const auto url = parse_url(request.url);
  if (!url) return url.error();
  const auto end = request.total.count() > 0 ? std::chrono::steady_clock::now() + request.total
                                             : SteadyTime::max();
  asio::io_context context(1);
  tcp::resolver resolver(context);
  ErrorCode code;
  const auto found = resolver.resolve(url->host, url->port, code);
  if (code) return failure(*url, code);
  PatientSocket patient(context, request, end);
  patient.connect(found, code);
  if (code) return failure(*url, code);
  if (!url->secure) return exchange(patient, request, *url, on_body);
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_default_verify_paths(code);
  asio::ssl::stream<PatientSocket&> stream(patient, tls);
  stream.set_verify_mode(asio::ssl::verify_peer, code);
  stream.set_verify_callback(asio::ssl::host_name_verification(url->host), code);
  stream.handshake(asio::ssl::stream_base::client, code);
  if (code) return failure(*url, code);
  return exchange(stream, request, *url, on_body);
}

}  // namespace strata
