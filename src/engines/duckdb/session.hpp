#pragma once

#include <atomic>

#include "engines/duckdb/engine.hpp"
#include "runtime/message_socket.hpp"
#include "runtime/pool.hpp"

namespace strata::engines::duckdb {

// Serves one query on its socket: receives the request, runs its statements on a connection of its
// own, sends the answer, and returns when the server has closed the socket. The closing of the
// socket, and kCancel, interrupt the statement. Blocks.
// Takes one more thread of `threads` for listening.
void serve_session(Engine& engine, MessageSocket socket, BlockingPool& threads);

}  // namespace strata::engines::duckdb
