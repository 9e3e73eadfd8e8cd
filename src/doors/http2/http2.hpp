#pragma once

#include <string>

#include "doors/http/connection.hpp"

namespace strata::doors::http2 {

// Serves HTTP/2 (RFC 9113) on one connection until either side ends it; `begun` is what was read of
// it already. Every stream is one request through the pipeline of its port. Never fails.
//
// Bounds: 128 streams, counted until their handlers have ended; 32 KiB of head for each; 256 KiB of
// body buffered for a stream and 1 MiB for the connection, beyond which the peer has to wait until
// somebody reads. Who resets, pings, or sends settings and empty frames without end is told to calm
// down and dropped. A server that stops says so (GOAWAY) and answers what was begun.
Task<void> serve(http::Transport& transport, std::string peer,
                 const http::ConnectionContext& context, std::string begun,
                 http::LiveConnection& live);

}  // namespace strata::doors::http2
