#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "doors/http/pipeline.hpp"
#include "doors/http/transport.hpp"
#include "runtime/pool.hpp"

namespace strata::http {

struct ConnectionContext {
  Pipeline& pipeline;
  BlockingPool& pool;
  const Clock& clock;
  const std::atomic<bool>& stopping;  // no new requests once set
  std::chrono::milliseconds head_deadline;
  std::chrono::milliseconds idle_deadline;
  std::chrono::milliseconds io_deadline;
  std::string loopback_port;  // set when only names of this machine are accepted as Host
  bool secure = false;
};

// Serves requests on one connection, one after the other, until either side ends it. Never fails.
// `idle` is true while no request is in work, so that a stopping server knows whom it may cut.
Task<void> serve_connection(Transport& transport, std::string peer,
                            const ConnectionContext& context, std::atomic<bool>& idle);

}  // namespace strata::http
