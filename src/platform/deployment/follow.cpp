#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/deployment/endpoint_state.hpp"
#include "platform/deployment/run_limit.hpp"

namespace strata::platform::deployment {

namespace {

constexpr std::chrono::seconds kLookEvery{1};
// A trial ends itself before; this is for one that cannot.
constexpr std::chrono::minutes kTrialLimit{10};

}  // namespace

// Looks at the events and wakes the endpoints that they concern. An event that is missed costs
// nothing: whoever wakes looks at what the reference names now, not at what the event said.
Task<void> Endpoints::watch() {
  const auto stop = ports_.scope.token();
  std::uint64_t seen = ports_.events.generation();
  std::int64_t cursor = (co_await ports_.events.newest()).value_or(0);
  while (!stop.stop_requested()) {
    seen = co_await ports_.events.next_change(seen, kLookEvery);
    auto events = co_await ports_.events.since(cursor);
    std::vector<std::shared_ptr<Endpoint>> concerned;
    {
      const std::lock_guard lock(mutex_);
      const auto now = ports_.clock.steady();
      for (const auto& [key, endpoint] : endpoints_) {
        if (endpoint->retry_at && *endpoint->retry_at <= now) concerned.push_back(endpoint);
        for (const auto& event : events.value_or({})) {
          const bool about_models =
              event.type.starts_with("alias.") || event.type.starts_with("model.");
          if (about_models && event.project.str() == key.first &&
              event.subject == "model:" + endpoint->ref.name) {
            concerned.push_back(endpoint);
            break;
          }
        }
      }
    }
    if (events && !events->empty()) cursor = events->back().sequence;
    if (!events)
      log::error("deployment.watch", Json::object({{"error", events.error().to_string()}}));
    for (const auto& endpoint : concerned)
      wake(endpoint);
  }
}

void Endpoints::wake(const std::shared_ptr<Endpoint>& endpoint) {
  {
    const std::lock_guard lock(mutex_);
    endpoint->retry_at.reset();
    if (endpoint->removed) return;
    endpoint->again = true;
    if (endpoint->following) return;
    endpoint->following = true;
  }
  ports_.scope.spawn(ports_.loops.next(), follow(endpoint));
}

Task<void> Endpoints::follow(std::shared_ptr<Endpoint> endpoint) {
  const auto stop = ports_.scope.token();
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (!endpoint->again || endpoint->removed || stop.stop_requested()) {
        endpoint->following = false;
        co_return;
      }
      endpoint->again = false;
    }
    const auto done = co_await bring_up(endpoint);
    {
      const std::lock_guard lock(mutex_);
      endpoint->error = done ? std::string() : done.error().to_string();
      // What answers goes on answering; only an endpoint that has nothing to answer with failed.
      endpoint->state = done             ? EndpointState::kReady
                        : endpoint->live ? EndpointState::kDegraded
                                         : EndpointState::kFailed;
      if (!done) endpoint->retry_at = ports_.clock.steady() + kRetryAfter;
    }
    ++changes_;
    settled_.notify_all();
    if (done) continue;
    log::warn("endpoint.load_failed",
              Json::object({{"endpoint", endpoint->name}, {"error", endpoint->error}}));
  }
}

// Following is the server's own act. It needs the rights of nobody: to make the endpoint took the
// right to read the model, and whoever moves the alias needs the right to that.
kernel::Caller Endpoints::follower(const Endpoint& endpoint) const {
  auto caller = ports_.identity.system_caller();
  caller.project = ProjectId(endpoint.project);
  return caller;
}

// Makes what the reference names now the version that answers. When the reference cannot be
// followed and nothing answers yet, the version that answered before the server was restarted does.
Task<Status> Endpoints::bring_up(std::shared_ptr<Endpoint> endpoint) {
  const auto caller = follower(*endpoint);
  auto resolved = co_await ports_.models.resolve(caller, endpoint->ref);
  std::string recorded;
  {
    const std::lock_guard lock(mutex_);
    if (resolved) {
      endpoint->wanted_version = resolved->version;
      const bool same = endpoint->live &&
                        endpoint->live->identity->package_digest == resolved->package_digest &&
                        endpoint->live->identity->version == resolved->version;
      if (same) co_return Status();
      endpoint->state = EndpointState::kLoading;
    } else if (!endpoint->live) {
      recorded = endpoint->recorded_package;
    }
  }
  Status status;
  const auto warm = resolved ? loaded_before(*endpoint, *resolved) : nullptr;
  if (warm != nullptr) {
    co_return co_await swap(endpoint, *resolved, warm);
  }
  if (!resolved) {
    status = resolved.error();
    if (recorded.empty()) co_return status;
    auto look = [&] {
      return cache_.stored(recorded);
    };
    resolved = co_await ports_.pool.run(look);
    if (!resolved) co_return status;
    resolved->version = endpoint->recorded_version;
  } else {
    auto fetched = co_await cache_.fetch(ports_.models, caller, *resolved);
    if (!fetched) co_return std::move(fetched).error();
  }
  auto open = [&] {
    const Counted counted(at_work_);
    return load(*endpoint, *resolved);
  };
  auto fresh = co_await loads_.run(open);
  if (!fresh) co_return std::move(fresh).error();
  STRATA_CO_TRY(co_await swap(endpoint, *resolved, *fresh));
  co_return status;
}

// What a release has open is not opened a second time, so that to promote a candidate, or to go
// back to the version before it, is a matter of one record and one pointer.
std::shared_ptr<LiveModel> Endpoints::loaded_before(const Endpoint& endpoint,
                                                    const ResolvedModel& model) {
  const std::lock_guard lock(mutex_);
  if (endpoint.arms == nullptr) return nullptr;
  const LiveModel& candidate = *endpoint.arms->candidate;
  if (candidate.identity->package_digest != model.package_digest ||
      candidate.identity->version != model.version || candidate.identity->model != model.name)
    return nullptr;
  auto live = std::make_shared<LiveModel>(candidate);
  live->lane = endpoint.lane;
  live->loaded = ports_.clock.now();
  return live;
}

// What may kill, freeze or fill a process does so in another one, before this one opens the model.
Result<std::shared_ptr<LiveModel>> Endpoints::load(const Endpoint& endpoint,
                                                   const ResolvedModel& model) {
  const std::string directory = cache_.directory(model.package_digest);
  auto opened = open(directory, endpoint.ended.get_token());
  if (!opened) return std::move(opened).error();
  RunLimit limit(ports_.loops.next(), run_limit_, endpoint.ended.get_token(),
                 stopping_.get_token());
  auto micros = try_out(*opened, ports_.files, ports_.clock, directory, limit.token());
  if (!micros && micros.error().code == Code::kCancelled) return limit.why();
  if (!micros) return std::move(micros).error();
  auto live = std::make_shared<LiveModel>();
  live->flavor = opened->flavor;
  live->why = opened->why;
  live->binding = opened->binding;
  live->runner = opened->runner;
  live->micros_per_row = *micros;
  live->runs_inline = opened->runner->interface().steady_cost && *micros < inference::kUnknownCost;
  live->loaded = ports_.clock.now();
  live->ended = endpoint.ended.get_token();
  live->lane = endpoint.lane;
  live->meters =
      std::shared_ptr<const EndpointMeters>(std::make_shared<EndpointMeters>(endpoint.meters));
  return live;
}

// With an engine in this process if one takes the model, else in processes of its own.
Result<inference::OpenModel> Endpoints::open(const std::string& directory, std::stop_token ended,
                                             std::stop_token gone) {
  RunLimit limit(ports_.loops.next(), kTrialLimit, std::move(ended), stopping_.get_token(),
                 std::move(gone));
  const auto tried = ports_.trial.run(directory, limit.token());
  if (!tried && tried.error().code == Code::kCancelled) return limit.why();
  if (tried) return open_model(ports_.files, engines_, directory);
  if (tried.error().code != Code::kUnsupported || ports_.host == nullptr) return tried.error();
  auto hosted = ports_.host->open(directory, limit.token());
  if (hosted) {
    hosted->why = tried.error().message;
    return hosted;
  }
  if (hosted.error().code == Code::kCancelled) return limit.why();
  if (hosted.error().code != Code::kUnsupported) return hosted;
  // Neither way: both reasons, as either may be the one to mend.
  return Error(Code::kUnsupported, fmt::format("{}; and not in Python: {}", tried.error().message,
                                               hosted.error().message));
}

// Records the new version and lets it answer. The same version as before a restart is no new
// deployment.
Task<Status> Endpoints::swap(std::shared_ptr<Endpoint> endpoint, const ResolvedModel& model,
                             std::shared_ptr<LiveModel> fresh) {
  const Instant now = ports_.clock.now();
  std::int64_t deployment = 0;
  auto record = [&](kernel::Writer& writer) -> Status {
    auto known = writer.first("SELECT created FROM endpoints WHERE project = ? AND name = ?",
                              {endpoint->project, endpoint->name});
    if (!known) return std::move(known).error();
    if (!*known) return not_found("the endpoint was deleted while its model was loaded");
    auto last = writer.first(
        "SELECT deployment, version, package_digest, since, moved_by FROM deployments WHERE "
        "project = ? AND endpoint = ? ORDER BY deployment DESC LIMIT 1",
        {endpoint->project, endpoint->name});
    if (!last) return std::move(last).error();
    fresh->moved_by = model.moved_by;
    deployment = *last ? (**last).integer(0) : 0;
    const bool same =
        *last && (**last).text(1) == model.version && (**last).text(2) == model.package_digest;
    if (same && (**last).integer(3) >= (*known)->integer(0)) {
      fresh->moved_by = (**last).text(4);
      return {};
    }
    return record_deployment(writer, *endpoint, model, ++deployment, now);
  };
  STRATA_CO_TRY(co_await ports_.records.write(record));
  fresh->identity = std::make_shared<const ModelIdentity>(
      ModelIdentity{endpoint->project, endpoint->name, model.name, model.version, model.digest,
                    model.package_digest, deployment, fresh->binding->contract()});
  const std::lock_guard lock(mutex_);
  if (endpoint->removed) co_return Status();
  endpoint->live = std::move(fresh);
  staff(*endpoint);
  endpoint->recorded_version = model.version;
  endpoint->recorded_package = model.package_digest;
  publish_routing();
  ++changes_;
  co_return Status();
}

// As the server's act, with the name of who moved the alias.
Status Endpoints::record_deployment(kernel::Writer& writer, const Endpoint& endpoint,
                                    const ResolvedModel& model, std::int64_t deployment,
                                    Instant now) const {
  const auto caller = follower(endpoint);
  auto added = writer.execute(
      "INSERT INTO deployments (project, endpoint, deployment, model, version, "
      "digest, package_digest, since, moved_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {endpoint.project, endpoint.name, deployment, model.name, model.version, model.digest,
       model.package_digest, now.micros, model.moved_by});
  if (!added) return std::move(added).error();
  const Json moved_by = model.moved_by.empty() ? Json() : Json(model.moved_by);
  const kernel::NodeRef from{"model", model.name, model.version};
  const kernel::NodeRef to{"endpoint", endpoint.name, std::to_string(deployment)};
  const Json facts = Json::object({{"model", model.name},
                                   {"model_version", model.version},
                                   {"reference", endpoint.ref.to_string()},
                                   {"moved_by", moved_by}});
  const kernel::LineageNode source{from, model.digest, "", now, Json::object()};
  const kernel::LineageNode node{to, model.digest, endpoint.owner, now, facts};
  const kernel::LineageEdge edge{from, to, "deployed", now};
  STRATA_TRY(ports_.lineage.report(writer, caller.project, source));
  STRATA_TRY(ports_.lineage.report(writer, caller.project, node));
  STRATA_TRY(ports_.lineage.report(writer, caller.project, edge));
  const Json detail = Json::object({{"model", model.name},
                                    {"version", model.version},
                                    {"digest", model.digest},
                                    {"deployment", deployment},
                                    {"moved_by", moved_by}});
  const std::string subject = "endpoint:" + endpoint.name;
  STRATA_TRY(ports_.audit.record(writer, caller, "endpoint.deploy", subject, detail));
  return ports_.events.publish(writer, caller.project, "endpoint.deployed", subject, detail);
}

}  // namespace strata::platform::deployment
