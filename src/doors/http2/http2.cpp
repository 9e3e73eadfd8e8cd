#include "doors/http2/http2.hpp"

#include "doors/http2/session.hpp"

namespace strata::doors::http2 {

Task<void> serve(http::Transport& transport, std::string peer,
                 const http::ConnectionContext& context, std::string begun,
                 http::LiveConnection& live) {
  live.idle.store(false);
  Session session(transport, std::move(peer), context);
  live.drain = [&session] {
    session.drain();
  };
  co_await session.run(std::move(begun));
  live.drain = {};
}

}  // namespace strata::doors::http2
