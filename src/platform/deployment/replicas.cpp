#include "platform/deployment/replicas.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/deployment/endpoint_state.hpp"
#include "platform/deployment/run_lane.hpp"

namespace strata::platform::deployment {

namespace {

constexpr std::chrono::seconds kLongestIdle{7 * 24 * 3600};

}  // namespace

Status check_replicas(const Replicas& replicas) {
  if (replicas.most < 1 || replicas.most > Endpoints::kMostReplicas) {
    return invalid("replicas.most", fmt::format("replicas.most: {} is not from 1 to {}",
                                                replicas.most, Endpoints::kMostReplicas));
  }
  if (replicas.least < 0 || replicas.least > replicas.most) {
    return invalid("replicas.least", fmt::format("replicas.least: {} is not from 0 to {}, the most",
                                                 replicas.least, replicas.most));
  }
  if (replicas.idle.count() < 1 || replicas.idle > kLongestIdle) {
    return invalid("replicas.idle_seconds",
                   fmt::format("replicas.idle_seconds: {} is not from 1 to {}",
                               replicas.idle.count(), kLongestIdle.count()));
  }
  return {};
}

Status write_replicas(kernel::Writer& writer, const std::string& project,
                      const std::string& endpoint, const Replicas& replicas) {
  auto written = writer.execute(
      "INSERT INTO endpoint_replicas (project, endpoint, least, most, idle_seconds) "
      "VALUES (?, ?, ?, ?, ?) ON CONFLICT (project, endpoint) DO UPDATE SET "
      "least = excluded.least, most = excluded.most, idle_seconds = excluded.idle_seconds",
      {project, endpoint, replicas.least, replicas.most, replicas.idle.count()});
  if (!written) return std::move(written).error();
  return {};
}

Task<Result<EndpointInfo>> Endpoints::scale(const kernel::Caller& caller, std::string name,
                                            Replicas replicas) {
  STRATA_CO_TRY(check_replicas(replicas));
  auto change = [&](kernel::Writer& writer) -> Status {
    auto known = writer.first("SELECT 1 FROM endpoints WHERE project = ? AND name = ?",
                              {caller.project.str(), name});
    if (!known) return std::move(known).error();
    if (!*known) return not_found(fmt::format("there is no endpoint '{}'", printable(name)));
    STRATA_TRY(write_replicas(writer, caller.project.str(), name, replicas));
    return ports_.audit.record(writer, caller, "endpoint.scale", "endpoint:" + name,
                               Json::object({{"least", replicas.least},
                                             {"most", replicas.most},
                                             {"idle_seconds", replicas.idle.count()}}));
  };
  STRATA_CO_TRY(co_await ports_.records.write(change));
  {
    const std::lock_guard lock(mutex_);
    const auto found = endpoints_.find(Key(caller.project.str(), name));
    if (found != endpoints_.end()) {
      found->second->replicas = replicas;
      staff(*found->second);
    }
  }
  co_return get(caller, name);
}

// Needs mutex_. Lets what answers have the processes that its endpoint may have, and the lane as
// many runs at a time.
void Endpoints::staff(Endpoint& endpoint) {
  if (endpoint.live == nullptr) return;
  auto* const processes = endpoint.live->runner->processes();
  if (processes == nullptr) {
    endpoint.lane->widen(runs_, kRunsOfOne);
    return;
  }
  processes->scale(endpoint.replicas);
  endpoint.lane->widen(waits_, static_cast<std::size_t>(endpoint.replicas.most));
}

}  // namespace strata::platform::deployment
