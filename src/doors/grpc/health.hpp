#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/signal.hpp"

namespace strata::doors::grpc {

struct Service;

// Whether the server and its services answer. Threads: all methods from any thread, but know().
class Health {
 public:
  enum class Status : std::uint8_t { kUnknown = 0, kServing = 1, kNotServing = 2, kNoService = 3 };

  // Whom it may be asked about, beside "" for the server. Before anybody asks.
  void know(std::vector<std::string> services) { services_ = std::move(services); }
  const std::vector<std::string>& services() const { return services_; }
  Status of(std::string_view service) const;

  bool drains() const { return drains_.load(); }
  void drain() {
    drains_ = true;
    changed_.notify_all();
  }
  Signal& changed() { return changed_; }

 private:
  std::vector<std::string> services_;
  std::atomic<bool> drains_{false};
  Signal changed_;
};

// grpc.health.v1.Health: Check, List and Watch. `health` outlives it.
Service health_service(Health& health);

}  // namespace strata::doors::grpc
