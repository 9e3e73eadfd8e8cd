#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/deployment/deployment.hpp"

namespace strata::platform::deployment {

// When an endpoint whose model could not be loaded tries again.
inline constexpr std::chrono::seconds kRetryAfter{30};

// One endpoint as the server follows it. What stands under `mutable part` is guarded by
// Endpoints::mutex_.
struct Endpoints::Endpoint {
  Endpoint(std::string endpoint_project, std::string endpoint_name, ModelRef model_ref,
           std::string owner_name, Instant made, Instant now, metrics::Registry& registry,
           std::shared_ptr<RunLane> run_lane, Replicas wanted_replicas)
      : project(std::move(endpoint_project)),
        name(std::move(endpoint_name)),
        ref(std::move(model_ref)),
        owner(std::move(owner_name)),
        created(made),
        counted_from(now),
        meters(make_meters(registry, project, name)),
        lane(std::move(run_lane)),
        answered_before(meters.answered.value()),
        refused_before(meters.refused.value()),
        failed_before(meters.failed.value()),
        replicas(wanted_replicas) {}

  const std::string project;
  const std::string name;
  const ModelRef ref;
  const std::string owner;
  const Instant created;
  const Instant counted_from;
  EndpointMeters meters;
  const std::shared_ptr<RunLane> lane;
  // What an endpoint of the same name, deleted since, has counted.
  const std::uint64_t answered_before, refused_before, failed_before;
  std::stop_source ended;  // it was deleted: its runs and loads end

  // mutable part
  Replicas replicas;  // for models that run in processes of their own
  EndpointState state = EndpointState::kLoading;
  std::string wanted_version;
  std::string error;
  std::shared_ptr<const LiveModel> live;
  std::shared_ptr<const Arms> arms;  // of the release that is under way
  std::string recorded_version;      // what the records say was live last
  std::string recorded_package;
  bool removed = false;
  bool following = false;  // a coroutine follows the reference now
  bool again = false;      // something changed since it began
  std::optional<std::chrono::steady_clock::time_point> retry_at;

 private:
  static EndpointMeters make_meters(metrics::Registry& registry, const std::string& project,
                                    const std::string& name) {
    const auto requests = [&](const char* outcome) -> metrics::Counter& {
      return registry.counter("strata_endpoint_requests_total", "Inference requests by outcome",
                              {{"project", project}, {"endpoint", name}, {"outcome", outcome}});
    };
    return {requests("answered"), requests("refused"), requests("failed"),
            registry.histogram("strata_endpoint_seconds", "Time that the model took for a request",
                               {{"project", project}, {"endpoint", name}})};
  }
};

// Which model answers under which name, as one immutable value that is replaced as a whole.
struct Endpoints::Routing {
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class T>
  using ByName = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  // `live` is null while the endpoint exists and nothing is loaded yet; the others unless a release
  // is under way.
  struct Served {
    std::shared_ptr<const LiveModel> live;
    std::shared_ptr<const Arms> arms;
    std::shared_ptr<const LiveModel> usual, control, canary;
  };
  ByName<ByName<Served>> projects;
  const Served* find(std::string_view project, std::string_view name) const {
    const auto names = projects.find(project);
    if (names == projects.end()) return nullptr;
    const auto found = names->second.find(name);
    return found == names->second.end() ? nullptr : &found->second;
  }
};

}  // namespace strata::platform::deployment
