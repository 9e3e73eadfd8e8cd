#include "doors/http/server.hpp"

#include <mutex>
#include <semaphore>
#include <thread>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <openssl/x509v3.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "doors/http/connection.hpp"
#include "runtime/scope.hpp"

namespace strata::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

namespace {

struct Live {
  Transport* transport = nullptr;
  Loop* loop = nullptr;
  LiveConnection state;
};

Result<tcp::endpoint> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : to_int(std::string_view(text).substr(colon + 1));
  std::string host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ErrorCode code;
  const auto address = asio::ip::make_address(host, code);
  if (!port || *port < 0 || *port > 65535 || code) {
    return invalid(
        "address",
        fmt::format("'{}' is not an address to listen on; write for example 127.0.0.1:7700", text));
  }
  return tcp::endpoint(address, static_cast<std::uint16_t>(*port));
}

}  // namespace

struct Server::Impl {
  LoopGroup& loops;
  Pipeline& pipeline;
  ServerOptions options;
  std::atomic<bool> stopping{false};
  ConnectionContext context;
  metrics::Gauge& open_connections;
  std::optional<asio::ssl::context> tls;
  std::unique_ptr<tcp::acceptor> acceptor;
  std::mutex mutex;
  std::unordered_map<Live*, std::unique_ptr<Live>> live;
  TaskScope scope;

  Impl(LoopGroup& l, BlockingPool& pool, Pipeline& p, const Clock& clock,
       metrics::Registry& metrics, ServerOptions o)
      : loops(l),
        pipeline(p),
        options(std::move(o)),
        context{p,
                pool,
                clock,
                stopping,
                options.head_deadline,
                options.idle_deadline,
                options.io_deadline,
                "",
                false,
                options.http2},
        open_connections(metrics.gauge("strata_http_connections", "Open connections.",
                                       {{"address", options.address}})) {}

  Status prepare_tls();
  void accept();
  void admit(tcp::socket socket, Loop& loop);
  Task<void> serve(std::unique_ptr<Transport> transport, std::string peer, Live* entry);
  void cut(bool only_idle);
};

namespace {

// Why OpenSSL did not take a file as a certificate or a key, and what to do.
Error tls_file_error(std::string field, const std::string& path, std::string_view content,
                     std::string_view certificate, const ErrorCode& code) {
  if (::access(path.c_str(), R_OK) != 0) {
    return invalid(std::move(field),
                   fmt::format("'{}' cannot be read: {}", path, std::strerror(errno)));
  }
  if (ERR_GET_REASON(static_cast<unsigned long>(code.value())) == X509_R_KEY_VALUES_MISMATCH) {
    return invalid(std::move(field),
                   fmt::format("'{}' is not the key of the certificate '{}'", path, certificate));
  }
  return invalid(std::move(field),
                 fmt::format("'{}' holds no {} in PEM form; are certificate and key swapped? ({})",
                             path, content, code.message()));
}

// HTTP/2 for who offers it, else HTTP/1.1 (RFC 7301).
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length,
                    const unsigned char* offered, unsigned int offered_length, void*) {
  constexpr std::string_view kOurs = "\x02h2\x08http/1.1";
  unsigned char* found = nullptr;
  const int agreed =
      SSL_select_next_proto(&found, length, reinterpret_cast<const unsigned char*>(kOurs.data()),
                            static_cast<unsigned int>(kOurs.size()), offered, offered_length);
  *chosen = found;
  return agreed == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

Status Server::Impl::prepare_tls() {
  if (options.certificate.empty()) return {};
  tls.emplace(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  ErrorCode code;
  tls->use_certificate_chain_file(options.certificate, code);
  if (code) return tls_file_error("tls.certificate", options.certificate, "certificate", "", code);
  tls->use_private_key_file(options.private_key, asio::ssl::context::pem, code);
  if (code) {
    return tls_file_error("tls.private_key", options.private_key, "private key",
                          options.certificate, code);
  }
  if (options.http2 != nullptr)
    SSL_CTX_set_alpn_select_cb(tls->native_handle(), &choose_protocol, nullptr);
  context.secure = true;
  return {};
}

Task<void> Server::Impl::serve(std::unique_ptr<Transport> transport, std::string peer,
                               Live* entry) {
  open_connections.add(1);
  co_await serve_connection(*transport, std::move(peer), context, entry->state);
  open_connections.add(-1);
  const std::lock_guard lock(mutex);
  live.erase(entry);
}

void Server::Impl::admit(tcp::socket socket, Loop& loop) {
  ErrorCode code;
  const auto remote = socket.remote_endpoint(code);
  const std::string peer = code ? "" : remote.address().to_string();
  auto transport = tls ? tls_transport(std::move(socket), *tls, context.clock)
                       : plain_transport(std::move(socket), context.clock);
  auto entry = std::make_unique<Live>();
  entry->transport = transport.get();
  entry->loop = &loop;
  Live* raw = entry.get();
  {
    const std::lock_guard lock(mutex);
    if (stopping.load() || live.size() >= options.max_connections) return;  // closes the socket
    live.emplace(raw, std::move(entry));
  }
  scope.spawn(loop, serve(std::move(transport), peer, raw));
}

// Each connection belongs to the loop whose context made its socket.
void Server::Impl::accept() {
  Loop& loop = loops.next();
  acceptor->async_accept(loop.context(), [this, &loop](const ErrorCode& code, tcp::socket socket) {
    if (code == asio::error::operation_aborted || stopping.load()) return;
    if (!code) {
      admit(std::move(socket), loop);
      accept();
      return;
    }
    // Out of descriptors, most likely: a pause lets some connections end.
    log::warn("http.accept", Json::object({{"error", code.message()}}));
    loops.at(0).call_after(std::chrono::milliseconds(100), [this] { accept(); });
  });
}

void Server::Impl::cut(bool only_idle) {
  const std::lock_guard lock(mutex);
  for (auto& [raw, entry] : live) {
    Loop* loop = entry->loop;
    loop->post([this, raw, only_idle] {
      const std::lock_guard again(mutex);
      if (!live.contains(raw)) return;
      if (only_idle && raw->state.drain) {
        raw->state.drain();
      } else if (!only_idle || raw->state.idle.load()) {
        raw->transport->abort();
      }
    });
  }
}

Server::Server(LoopGroup& loops, BlockingPool& pool, Pipeline& pipeline, const Clock& clock,
               metrics::Registry& metrics, ServerOptions options)
    : impl_(std::make_unique<Impl>(loops, pool, pipeline, clock, metrics, std::move(options))) {}

Server::~Server() {
  stop(std::chrono::milliseconds(0));
}

Status Server::start() {
  const auto endpoint = parse_address(impl_->options.address);
  if (!endpoint) return endpoint.error();
  STRATA_TRY(impl_->prepare_tls());
  const bool loopback = endpoint->address().is_loopback();
  if (!loopback && !impl_->tls) {
    return invalid("address",
                   fmt::format("{} can be reached from other machines: give --tls-certificate and "
                               "--tls-private-key, or listen on 127.0.0.1",
                               impl_->options.address));
  }
  if (loopback) impl_->context.loopback_port = std::to_string(endpoint->port());
  impl_->acceptor = std::make_unique<tcp::acceptor>(impl_->loops.at(0).context());
  ErrorCode code;
  impl_->acceptor->open(endpoint->protocol(), code);
  if (!code) impl_->acceptor->set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) impl_->acceptor->bind(*endpoint, code);
  if (!code) impl_->acceptor->listen(1024, code);
  if (code) {
    const std::string_view hint =
        code == boost::system::errc::address_in_use
            ? "; another program has it, perhaps another Strata: stop that, or name another port "
              "(port 0 takes a free one)"
            : "";
    return Error(Code::kUnavailable, fmt::format("cannot listen on {}: {}{}",
                                                 impl_->options.address, code.message(), hint));
  }
  impl_->loops.at(0).post([impl = impl_.get()] { impl->accept(); });
  return {};
}

void Server::stop(std::chrono::milliseconds grace) {
  if (impl_->stopping.exchange(true) || !impl_->acceptor) return;
  // Waited for, since loops that end at once would leave it open beyond the end of its reactor.
  std::binary_semaphore closed(0);
  impl_->loops.at(0).post([impl = impl_.get(), &closed] {
    ErrorCode ignored;
    impl->acceptor->close(ignored);
    closed.release();
  });
  closed.acquire();
  impl_->cut(true);
  if (!impl_->scope.wait_for(grace)) impl_->cut(false);
  impl_->scope.join();
}

std::string Server::address() const {
  ErrorCode code;
  const auto local = impl_->acceptor->local_endpoint(code);
  const std::string host = local.address().is_v6() ? "[" + local.address().to_string() + "]"
                                                   : local.address().to_string();
  return fmt::format("{}:{}", host, local.port());
}

bool Server::secure() const {
  return impl_->tls.has_value();
}

std::string Server::certified_name() const {
  X509* const certificate =
      impl_->tls ? SSL_CTX_get0_certificate(impl_->tls->native_handle()) : nullptr;
  if (certificate == nullptr) return {};
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  std::string ip;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const auto* const text = name->d.dNSName;
      std::string host(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                       static_cast<std::size_t>(ASN1_STRING_length(text)));
      if (!host.starts_with("*")) return host;
    } else if (name->type == GEN_IPADD && ip.empty() &&
               ASN1_STRING_length(name->d.iPAddress) == 4) {
      asio::ip::address_v4::bytes_type bytes;
      std::copy_n(ASN1_STRING_get0_data(name->d.iPAddress), bytes.size(), bytes.begin());
      ip = asio::ip::address_v4(bytes).to_string();
    }
  }
  return ip;
}

}  // namespace strata::http
