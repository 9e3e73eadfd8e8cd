#include "platform/deployment/deployment.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "platform/deployment/endpoint_state.hpp"
#include "platform/deployment/replicas.hpp"
#include "platform/deployment/run_lane.hpp"
#include "platform/deployment/run_limit.hpp"

namespace strata::platform::deployment {

namespace {

constexpr kernel::Migration kMigrations[] = {
    {"deployment", 1, R"(
CREATE TABLE endpoints (
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  model_ref TEXT NOT NULL,
  owner TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (project, name)
);
CREATE TABLE deployments (
  project TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  deployment INTEGER NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  package_digest TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (project, endpoint, deployment)
))"},
    {"deployment", 2, "ALTER TABLE deployments ADD COLUMN moved_by TEXT NOT NULL DEFAULT ''"},
    {"deployment", 3, "ALTER TABLE deployments ADD COLUMN ended INTEGER"},
    {"deployment", 4, R"(
CREATE TABLE endpoint_replicas (
  project TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  least INTEGER NOT NULL,
  most INTEGER NOT NULL,
  idle_seconds INTEGER NOT NULL,
  PRIMARY KEY (project, endpoint)
))"},
};

constexpr std::size_t kMaxName = 63;

Status check_name(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const bool fits = !name.empty() && name.size() <= kMaxName && plain(name.front()) &&
                    std::all_of(name.begin(), name.end(), [&](char c) {
                      return plain(c) || c == '-' || c == '_' || c == '.';
                    });
  if (fits) return {};
  return invalid(
      "name",
      fmt::format("name: '{}' is no endpoint name; use up to {} letters, digits, '-', '_' and '.', "
                  "beginning with a letter or digit",
                  printable(name), kMaxName));
}

// What an answer will hold in the log: its inputs with their backing, and its outputs as far as
// the contract tells their sizes.
std::size_t expected_bytes(const LiveModel& model, const Inputs& inputs,
                           const std::string* backing) {
  std::size_t total = backing == nullptr ? 0 : backing->capacity();
  for (const auto& tensor : inputs.tensors)
    total += tensor.held_bytes();
  for (const auto& spec : model.binding->contract().outputs) {
    std::size_t bytes = std::max(element_bytes(spec.type), std::size_t{1});
    if (spec.type == wire::ElementType::kText) bytes = sizeof(std::string);
    for (const auto dimension : spec.shape)
      if (dimension > 0) bytes *= static_cast<std::size_t>(dimension);
    const bool by_row = !spec.shape.empty() && spec.shape.front() < 0;
    total += by_row ? bytes * inputs.rows : bytes;
  }
  return total;
}

Error no_endpoint(std::string_view name) {
  return not_found(fmt::format("there is no endpoint '{}'", printable(name)));
}

}  // namespace

std::string_view state_name(EndpointState state) {
  switch (state) {
    case EndpointState::kLoading:
      return "loading";
    case EndpointState::kReady:
      return "ready";
    case EndpointState::kDegraded:
      return "degraded";
    case EndpointState::kFailed:
      break;
  }
  return "failed";
}

Endpoints::Endpoints(Ports ports, std::vector<ModelEngine*> engines, std::string models_folder,
                     std::chrono::milliseconds run_limit)
    : ports_(ports),
      engines_(std::move(engines)),
      cache_(std::move(models_folder), ports.files, ports.pool, ports.random),
      routing_(std::make_shared<const Routing>()),
      run_limit_(run_limit) {}

std::vector<std::string> Endpoints::flavors() const {
  std::vector<std::string> out;
  for (const auto* const engine : engines_)
    out.emplace_back(engine->flavor());
  return out;
}

Endpoints::~Endpoints() {
  stop();
}

void Endpoints::drain(std::chrono::milliseconds grace) {
  ports_.loops.next().call_after(grace,
                                 [stopping = stopping_]() mutable { stopping.request_stop(); });
}

void Endpoints::stop() {
  stopping_.request_stop();
}

std::span<const kernel::Migration> Endpoints::migrations() {
  return kMigrations;
}

Status Endpoints::start() {
  auto rows = ports_.records.read_blocking([](kernel::Reader& reader) {
    return reader.query(
        "SELECT e.project, e.name, e.model_ref, e.owner, e.created, d.version, d.package_digest, "
        "r.least, r.most, r.idle_seconds FROM endpoints e LEFT JOIN endpoint_replicas r ON "
        "r.project = e.project AND r.endpoint = e.name LEFT JOIN deployments d ON d.project = "
        "e.project AND d.endpoint = e.name "
        "AND d.since >= e.created AND d.deployment = (SELECT MAX(deployment) FROM deployments l "
        "WHERE l.project = e.project AND l.endpoint = e.name)");
  });
  if (!rows) return std::move(rows).error();
  std::vector<std::shared_ptr<Endpoint>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& row : *rows) {
      auto ref = ModelRef::parse(row.text(2));
      if (!ref)
        return ref.error().wrap(fmt::format("the record of endpoint '{}' is damaged", row.text(1)));
      const Key key(row.text(0), row.text(1));
      Replicas replicas;
      if (const auto least = row.maybe_integer(7)) {
        replicas = {static_cast<int>(*least), static_cast<int>(row.integer(8)),
                    std::chrono::seconds(row.integer(9))};
      }
      auto endpoint = std::make_shared<Endpoint>(
          key.first, key.second, *std::move(ref), row.text(3), Instant{row.integer(4)},
          ports_.clock.now(), ports_.metrics, lane_of(key), replicas);
      endpoint->recorded_version = row.text(5);
      endpoint->recorded_package = row.text(6);
      endpoints_.emplace(key, endpoint);
      all.push_back(std::move(endpoint));
    }
    publish_routing();
  }
  ports_.scope.spawn(ports_.loops.next(), watch());
  for (const auto& endpoint : all)
    wake(endpoint);
  return {};
}

Task<Result<EndpointInfo>> Endpoints::create(const kernel::Caller& caller, std::string name,
                                             std::string model_ref, Replicas replicas) {
  STRATA_CO_TRY(check_name(name));
  STRATA_CO_TRY(check_replicas(replicas));
  // Whoever may ask an endpoint learns what its model says of anything.
  if (!caller.may(kernel::Permission::kModelRead))
    co_return kernel::lacks_permission(caller, kernel::Permission::kModelRead);
  auto ref = ModelRef::parse(model_ref);
  if (!ref) co_return std::move(ref).error();
  auto resolved = co_await ports_.models.resolve(caller, *ref);
  if (!resolved) co_return std::move(resolved).error();
  const Instant now = ports_.clock.now();
  auto insert = [&](kernel::Writer& writer) -> Status {
    auto added = writer.execute(
        "INSERT INTO endpoints (project, name, model_ref, owner, created) VALUES (?, ?, ?, ?, ?)",
        {caller.project.str(), name, ref->to_string(), caller.user_name, now.micros});
    if (!added && added.error().code == Code::kAlreadyExists) {
      return taken(caller.project, name);
    }
    if (!added) return std::move(added).error();
    STRATA_TRY(write_replicas(writer, caller.project.str(), name, replicas));
    STRATA_TRY(ports_.audit.record(writer, caller, "endpoint.create", "endpoint:" + name,
                                   Json::object({{"model", ref->to_string()}})));
    return ports_.events.publish(writer, caller.project, "endpoint.created", "endpoint:" + name,
                                 Json::object({{"model", ref->to_string()}}));
  };
  STRATA_CO_TRY(co_await ports_.records.write(insert));
  const Key key(caller.project.str(), name);
  std::shared_ptr<Endpoint> endpoint;
  EndpointInfo made;
  {
    const std::lock_guard lock(mutex_);
    endpoint = std::make_shared<Endpoint>(key.first, name, *std::move(ref), caller.user_name, now,
                                          now, ports_.metrics, lane_of(key), replicas);
    endpoint->wanted_version = resolved->version;
    endpoints_[key] = endpoint;
    publish_routing();
    made = info(*endpoint);
  }
  wake(endpoint);
  co_return made;
}

Task<Status> Endpoints::remove(const kernel::Caller& caller, std::string name) {
  auto erase = [&](kernel::Writer& writer) -> Status {
    auto removed = writer.execute("DELETE FROM endpoints WHERE project = ? AND name = ?",
                                  {caller.project.str(), name});
    if (!removed) return std::move(removed).error();
    if (*removed == 0) return no_endpoint(name);
    STRATA_TRY(writer.execute("DELETE FROM endpoint_replicas WHERE project = ? AND endpoint = ?",
                              {caller.project.str(), name}));
    STRATA_TRY(writer.execute(
        "UPDATE deployments SET ended = ? WHERE project = ? AND endpoint = ? AND ended IS NULL",
        {ports_.clock.now().micros, caller.project.str(), name}));
    STRATA_TRY(ports_.audit.record(writer, caller, "endpoint.delete", "endpoint:" + name));
    return ports_.events.publish(writer, caller.project, "endpoint.deleted", "endpoint:" + name);
  };
  STRATA_CO_TRY(co_await ports_.records.write(erase));
  std::shared_ptr<Endpoint> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = endpoints_.find(Key(caller.project.str(), name));
    if (found == endpoints_.end()) co_return Status();
    gone = found->second;
    gone->removed = true;
    endpoints_.erase(found);
    publish_routing();
  }
  gone->ended.request_stop();
  co_return Status();
}

// Needs mutex_.
EndpointInfo Endpoints::info(const Endpoint& endpoint) const {
  const auto overdue = endpoint.lane->overdue();
  const bool only_overdue = overdue > 0 && endpoint.state == EndpointState::kReady;
  return {endpoint.name,
          endpoint.ref.to_string(),
          endpoint.owner,
          endpoint.created,
          endpoint.replicas,
          only_overdue ? EndpointState::kDegraded : endpoint.state,
          endpoint.wanted_version,
          only_overdue ? endpoint.lane->why(overdue) : endpoint.error,
          overdue,
          endpoint.live,
          endpoint.counted_from,
          endpoint.meters.answered.value() - endpoint.answered_before,
          endpoint.meters.refused.value() - endpoint.refused_before,
          endpoint.meters.failed.value() - endpoint.failed_before,
          endpoint.arms};
}

std::vector<EndpointInfo> Endpoints::list(const kernel::Caller& caller) const {
  const std::lock_guard lock(mutex_);
  std::vector<EndpointInfo> out;
  for (const auto& [key, endpoint] : endpoints_) {
    if (key.first == caller.project.str()) out.push_back(info(*endpoint));
  }
  return out;
}

Result<EndpointInfo> Endpoints::get(const kernel::Caller& caller, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(Key(caller.project.str(), std::string(name)));
  if (found == endpoints_.end()) return no_endpoint(name);
  return info(*found->second);
}

Task<Result<std::vector<Deployment>>> Endpoints::deployments_at(const kernel::Caller& caller,
                                                                std::string model, Instant at) {
  auto load = [&](kernel::Reader& reader) -> Result<std::vector<Deployment>> {
    auto rows = reader.query(
        "SELECT endpoint, deployment, model, version, digest, package_digest, since, ended, "
        "moved_by FROM deployments d WHERE project = ? AND model = ? AND since <= ? AND deployment "
        "= (SELECT MAX(deployment) FROM deployments l WHERE l.project = d.project AND l.endpoint = "
        "d.endpoint AND l.since <= ?) AND (ended IS NULL OR ended > ?) ORDER BY endpoint",
        {caller.project.str(), model, at.micros, at.micros, at.micros});
    if (!rows) return std::move(rows).error();
    std::vector<Deployment> all;
    for (const auto& row : *rows) {
      const auto ended = row.maybe_integer(7);
      all.push_back({row.text(0), row.integer(1), row.text(2), row.text(3), row.text(4),
                     row.text(5), Instant{row.integer(6)},
                     ended ? std::optional(Instant{*ended}) : std::nullopt, row.text(8)});
    }
    return all;
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<EndpointInfo>> Endpoints::settled(const kernel::Caller& caller, std::string name,
                                              std::chrono::milliseconds limit) {
  // A change between the look and the wait is not noticed by the signal, so no wait is long.
  constexpr std::chrono::milliseconds kLook{100};
  const auto until = ports_.clock.steady() + limit;
  while (true) {
    auto now = get(caller, name);
    if (!now || now->state != EndpointState::kLoading || ports_.clock.steady() >= until)
      co_return now;
    co_await settled_.wait(kLook);
  }
}

Result<std::shared_ptr<const LiveModel>> Endpoints::find(const ProjectId& project,
                                                         std::string_view name,
                                                         std::string_view version) const {
  const auto routing = snapshot();
  const auto* served = routing->find(project.str(), name);
  if (served == nullptr) return no_endpoint(name);
  const auto& live = served->live;
  if (live == nullptr) return not_answering(project, name);
  if (!version.empty() && version != live->identity->version) {
    return not_found(fmt::format("endpoint '{}' has version {} loaded, not {}", printable(name),
                                 live->identity->version, printable(version)));
  }
  return live;
}

std::shared_ptr<const Endpoints::Routing> Endpoints::snapshot() const {
  const std::scoped_lock lock(routing_mutex_);
  return routing_;
}

// Why no endpoint of that name can be made.
Error Endpoints::taken(const ProjectId& project, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(Key(project.str(), name));
  if (found == endpoints_.end() || found->second->state != EndpointState::kFailed)
    return Error(Code::kAlreadyExists, fmt::format("there is an endpoint '{}' already", name),
                 "name");
  return Error(Code::kAlreadyExists,
               fmt::format("there is an endpoint '{}' already, which failed: {}. To make it anew, "
                           "delete it first: strata endpoint delete {}",
                           name, found->second->error, name),
               "name");
}

// Why an endpoint without a model has none.
Error Endpoints::not_answering(const ProjectId& project, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(Key(project.str(), std::string(name)));
  if (found != endpoints_.end() && found->second->state == EndpointState::kFailed) {
    return Error(Code::kUnavailable,
                 fmt::format("endpoint '{}' failed to load {}: {}. It tries again every {} s and "
                             "when that moves: register a version that can be served and move the "
                             "alias to it, or delete the endpoint and create another",
                             printable(name), found->second->ref.to_string(), found->second->error,
                             kRetryAfter.count()));
  }
  Error error(Code::kUnavailable,
              fmt::format("endpoint '{}' has no loaded model yet", printable(name)));
  error.retry = true;
  return error;
}

// Needs mutex_. One that is made anew under the name of a deleted one is not rid of its runs.
std::shared_ptr<RunLane> Endpoints::lane_of(const Key& key) {
  std::erase_if(lanes_, [](const auto& lane) { return lane.second.expired(); });
  auto lane = lanes_[key].lock();
  if (lane == nullptr) {
    lane = std::make_shared<RunLane>(runs_, ports_.loops, ports_.clock, kRunsOfOne,
                                     PredictionLog::kMaxPending / 2, run_limit_);
    lanes_[key] = lane;
  }
  return lane;
}

Task<Result<Answer>> Endpoints::predict(std::shared_ptr<const LiveModel> model, Inputs inputs,
                                        std::shared_ptr<const std::string> backing,
                                        Patience patience) {
  using std::chrono::milliseconds;
  const auto left =
      patience.deadline
          ? std::chrono::ceil<milliseconds>(*patience.deadline - ports_.clock.steady())
          : milliseconds::max();
  if (left <= milliseconds::zero()) {
    model->meters->refused.add();
    co_return RunLimit::late();
  }
  const auto bytes = expected_bytes(*model, inputs, backing.get());
  const bool here = model->runs_inline &&
                    model->micros_per_row * static_cast<double>(inputs.rows) <= kInlineMicros;
  std::optional<RunLane::Held> held;
  if (!here) {
    auto admitted = model->lane->admit(bytes);
    if (!admitted) {
      model->meters->failed.add();
      if (model->arms != nullptr && model->route != Route::kLive)
        model->arms->observer->crowded_out(model->route);
      co_return std::move(admitted).error();
    }
    held.emplace(std::move(*admitted));
  }
  auto room = ports_.log.admit(bytes);
  if (!room) {
    model->meters->failed.add();
    Error full(Code::kResourceExhausted, "the prediction log cannot keep up; try again later");
    full.retry = true;
    co_return full;
  }
  if (here) co_return run(*model, inputs, backing, *std::move(room), nullptr);
  const RunLimit limit(ports_.loops.next(), std::min(left, run_limit_), model->ended,
                       stopping_.get_token(), std::move(patience.gone), left < run_limit_);
  auto work = [&] {
    const Counted counted(at_work_);
    return run(*model, inputs, backing, *std::move(room), &limit);
  };
  co_return co_await model->lane->run(work, limit);
}

Result<std::vector<wire::Tensor>> Endpoints::answer(const Binding& binding,
                                                    const ModelRunner& runner, const Inputs& inputs,
                                                    const RunLimit* limit) {
  if (limit != nullptr && limit->over()) return limit->why();  // its turn came too late
  auto taken = binding.to_runner(inputs);
  if (!taken) return std::move(taken).error();
  auto outputs = runner.run(*taken, limit == nullptr ? std::stop_token() : limit->token());
  if (!outputs && limit != nullptr && outputs.error().code == Code::kCancelled) return limit->why();
  return outputs;
}

void Endpoints::name_outputs(const LiveModel& model, Exchange& exchange) {
  const auto& specs = model.binding->contract().outputs;
  for (std::size_t i = 0; i < specs.size() && i < exchange.outputs.size(); ++i)
    exchange.outputs[i].name = specs[i].name;
}

// What a release learns of a request that went to its model.
void Endpoints::tell(const LiveModel& model, const std::shared_ptr<const Exchange>& exchange) {
  if (model.arms == nullptr) return;
  if (model.route != Route::kLive) model.arms->observer->answered(*exchange);
  if (model.route != Route::kCanary) offer_shadow(model, exchange);
}

// Without a limit the model is one whose cost is known and small.
Result<Answer> Endpoints::run(const LiveModel& model, Inputs& inputs,
                              std::shared_ptr<const std::string>& backing, PredictionLog::Room room,
                              const RunLimit* limit) {
  const Instant now = ports_.clock.now();
  const auto begin = ports_.clock.steady();
  auto exchange = std::make_shared<Exchange>();
  exchange->id = ports_.random.uuid7(now);
  exchange->time = now;
  exchange->model = model.identity;
  exchange->route = model.route;
  exchange->backing = std::move(backing);
  auto outputs = answer(*model.binding, *model.runner, inputs, limit);
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(ports_.clock.steady() - begin);
  model.meters->seconds.observe(static_cast<double>(took.count()) / 1e6);
  exchange->latency_us = took.count();
  exchange->inputs = std::move(inputs);
  if (!outputs) {
    model.meters->failed.add();
    exchange->failure = printable(outputs.error().message, 200);
    ports_.log.append(exchange, std::move(room));
    tell(model, exchange);
    return std::move(outputs).error();
  }
  exchange->outputs = *std::move(outputs);
  name_outputs(model, *exchange);
  model.meters->answered.add();
  ports_.log.append(exchange, std::move(room));
  tell(model, exchange);
  return Answer{std::move(exchange)};
}

// Needs mutex_.
void Endpoints::publish_routing() {
  auto routing = std::make_shared<Routing>();
  const auto as = [](const LiveModel& model, Route route, const std::shared_ptr<const Arms>& arms) {
    auto copy = std::make_shared<LiveModel>(model);
    copy->route = route;
    copy->arms = arms;
    return copy;
  };
  for (const auto& [key, endpoint] : endpoints_) {
    auto& served = routing->projects[key.first][key.second];
    served.live = endpoint->live;
    if (endpoint->arms == nullptr || endpoint->live == nullptr) continue;
    served.arms = endpoint->arms;
    served.usual = as(*endpoint->live, Route::kLive, served.arms);
    served.control = as(*endpoint->live, Route::kControl, served.arms);
    served.canary = as(*served.arms->candidate, Route::kCanary, served.arms);
  }
  const std::scoped_lock lock(routing_mutex_);
  routing_ = std::move(routing);
}

}  // namespace strata::platform::deployment
