#include "platform/deployment/arms.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/deployment/endpoint_state.hpp"
#include "platform/deployment/run_lane.hpp"
#include "platform/deployment/run_limit.hpp"

namespace strata::platform::deployment {

namespace {

// What waits to be asked of candidates, over all endpoints.
constexpr std::size_t kMaxShadows = 256;
constexpr std::size_t kMaxShadowBytes = 8U << 20U;

// For all requests of a probe of a model that runs in processes of its own.
constexpr std::chrono::seconds kProbeLimit{60};

using wire::Tensor;

// The values as they came in, looking into `inputs`; only those that the candidate knows.
std::vector<Tensor> views_of(const Inputs& inputs, const Contract& from, const Contract& to) {
  std::vector<Tensor> views;
  const auto known = [&](const std::string& name) {
    return std::ranges::any_of(to.columns, [&](const auto& c) { return c.name == name; }) ||
           std::ranges::any_of(to.tensors, [&](const auto& t) { return t.name == name; });
  };
  for (std::size_t i = 0; i < inputs.tensors.size(); ++i) {
    const auto& name =
        i < from.columns.size() ? from.columns[i].name : from.tensors[i - from.columns.size()].name;
    const auto& value = inputs.tensors[i];
    if (!known(name) || value.shape.empty()) continue;  // an optional column that was not sent
    Tensor view(name, value.type, value.shape);
    view.texts = value.texts;
    view.view({value.bytes().data(), value.bytes().size()});
    views.push_back(std::move(view));
  }
  return views;
}

Error no_endpoint(std::string_view name) {
  return not_found(fmt::format("there is no endpoint '{}'", printable(name)));
}

}  // namespace

std::uint32_t bucket_of(std::string_view salt, std::string_view entity) {
  std::string text(salt);
  text += '\n';
  text += entity;
  const std::string digest = sha256(text);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i)
    number = number << 8U | static_cast<unsigned char>(digest[i]);
  return static_cast<std::uint32_t>(number % kBuckets);
}

Route route_of(std::uint32_t bucket, std::uint32_t share) {
  if (bucket < share) return Route::kCanary;
  const std::uint32_t control = std::min(share, kBuckets - share);
  return bucket >= kBuckets - control ? Route::kControl : Route::kLive;
}

void count_refused(const LiveModel& model) {
  model.meters->refused.add();
  if (model.arms != nullptr && model.route != Route::kLive)
    model.arms->observer->rejected(model.route);
}

Result<std::shared_ptr<const LiveModel>> Endpoints::choose(const ProjectId& project,
                                                           std::string_view name,
                                                           std::string_view version,
                                                           std::string_view entity) const {
  const auto routing = snapshot();
  const auto* served = routing->find(project.str(), name);
  if (served == nullptr || served->arms == nullptr || served->live == nullptr || !version.empty())
    return find(project, name, version);
  const Arms& arms = *served->arms;
  if (arms.share == 0) return served->usual;
  const auto bucket = entity.empty() ? static_cast<std::uint32_t>(ports_.random.u64() % kBuckets)
                                     : bucket_of(arms.release, entity);
  const Route route = route_of(bucket, arms.share);
  return route == Route::kCanary    ? served->canary
         : route == Route::kControl ? served->control
                                    : served->usual;
}

Status Endpoints::set_arms(const ProjectId& project, std::string_view name, Arms arms) {
  if (arms.share > kBuckets || arms.candidate == nullptr || arms.observer == nullptr)
    return invalid("share", fmt::format("share: {} of {} buckets", arms.share, kBuckets));
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(Key(project.str(), std::string(name)));
  if (found == endpoints_.end()) return no_endpoint(name);
  auto& endpoint = *found->second;
  if (endpoint.arms != nullptr && endpoint.arms->release != arms.release) {
    return Error(Code::kConflict, fmt::format("the release {} is under way at endpoint '{}'",
                                              endpoint.arms->release, printable(name)));
  }
  endpoint.arms = std::make_shared<const Arms>(std::move(arms));
  publish_routing();
  ++changes_;
  return {};
}

void Endpoints::clear_arms(const ProjectId& project, std::string_view name,
                           std::string_view release) {
  std::shared_ptr<const Arms> gone;  // ends what it holds outside of the lock
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(Key(project.str(), std::string(name)));
  if (found == endpoints_.end()) return;
  auto& endpoint = *found->second;
  if (endpoint.arms == nullptr || endpoint.arms->release != release) return;
  gone = std::move(endpoint.arms);
  endpoint.arms = nullptr;
  publish_routing();
  ++changes_;
}

Task<Result<std::shared_ptr<const LiveModel>>> Endpoints::load_candidate(ProjectId project,
                                                                         std::string name,
                                                                         ModelRef ref) {
  std::shared_ptr<Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    const auto found = endpoints_.find(Key(project.str(), name));
    if (found == endpoints_.end()) co_return no_endpoint(name);
    endpoint = found->second;
  }
  const auto caller = follower(*endpoint);
  auto resolved = co_await ports_.models.resolve(caller, ref);
  if (!resolved) co_return std::move(resolved).error();
  auto fetched = co_await cache_.fetch(ports_.models, caller, *resolved);
  if (!fetched) co_return std::move(fetched).error();
  auto open = [&] {
    const Counted counted(at_work_);
    return load(*endpoint, *resolved);
  };
  auto fresh = co_await loads_.run(open);
  if (!fresh) co_return std::move(fresh).error();
  LiveModel& model = **fresh;
  model.identity = std::make_shared<const ModelIdentity>(
      ModelIdentity{endpoint->project, endpoint->name, resolved->name, resolved->version,
                    resolved->digest, resolved->package_digest, 0, model.binding->contract()});
  // Of its own, so that a candidate which uses up its time takes none of the live version's.
  model.lane = std::make_shared<RunLane>(runs_, ports_.loops, ports_.clock, kRunsOfOne / 2,
                                         PredictionLog::kMaxPending / 4, run_limit_);
  co_return std::shared_ptr<const LiveModel>(*std::move(fresh));
}

Result<inference::ProbeReport> Endpoints::probe(const LiveModel& model, std::size_t count,
                                                const std::stop_token& stop) {
  auto* const processes = model.runner->processes();
  if (processes == nullptr) return ports_.trial.probe(package_directory(model), count, stop);
  std::stop_source end;
  const std::stop_callback with(stop, [&] { end.request_stop(); });
  const auto timer =
      ports_.loops.next().call_after(kProbeLimit, [end]() mutable { end.request_stop(); });
  auto report = inference::probe(*model.binding, *model.runner, count, end.get_token());
  Loop::cancel(timer);
  if (report) report->memory_bytes = processes->info().memory_bytes;
  if (!report && report.error().code == Code::kCancelled && !stop.stop_requested()) {
    return Error(Code::kDeadlineExceeded,
                 fmt::format("{} requests took more than {} s", 2 * count, kProbeLimit.count()));
  }
  return report;
}

std::string Endpoints::package_directory(const LiveModel& model) const {
  return cache_.directory(model.identity->package_digest);
}

// Whoever has its answer waits for nothing here.
void Endpoints::offer_shadow(const LiveModel& model, std::shared_ptr<const Exchange> exchange) {
  const auto& arms = model.arms;
  if (arms == nullptr || !arms->shadow || exchange->inputs.rows == 0) return;
  const std::size_t bytes = exchange->held_bytes();
  const bool fits = shadows_waiting_.fetch_add(1) < kMaxShadows;
  const bool small = shadow_bytes_.fetch_add(bytes) + bytes <= kMaxShadowBytes;
  auto room = fits && small ? ports_.log.admit_spare(bytes) : std::nullopt;
  if (!room) {
    --shadows_waiting_;
    shadow_bytes_ -= bytes;
    arms->observer->shadow_dropped();
    return;
  }
  shadows_.submit(
      [this, arms, bytes, live = std::move(exchange), held = *std::move(room)]() mutable {
        if (!stopping_.stop_requested()) run_shadow(*arms, std::move(live), std::move(held));
        --shadows_waiting_;
        shadow_bytes_ -= bytes;
      });
}

void Endpoints::run_shadow(const Arms& arms, std::shared_ptr<const Exchange> live,
                           PredictionLog::Room room) {
  const Counted counted(at_work_);
  const LiveModel& model = *arms.candidate;
  const RunLimit limit(ports_.loops.next(), run_limit_, model.ended, stopping_.get_token());
  auto shadow = std::make_shared<Exchange>();
  shadow->time = ports_.clock.now();
  shadow->id = ports_.random.uuid7(shadow->time);
  shadow->model = model.identity;
  shadow->route = Route::kShadow;
  shadow->original = live;
  const auto begin = ports_.clock.steady();
  auto inputs =
      model.binding->bind(views_of(live->inputs, live->model->contract, model.binding->contract()));
  if (!inputs) {
    arms.observer->rejected(Route::kShadow);
    return;
  }
  auto outputs = answer(*model.binding, *model.runner, *inputs, &limit);
  shadow->latency_us =
      std::chrono::duration_cast<std::chrono::microseconds>(ports_.clock.steady() - begin).count();
  shadow->inputs = *std::move(inputs);
  if (outputs) {
    shadow->outputs = *std::move(outputs);
    name_outputs(model, *shadow);
  } else {
    shadow->failure = printable(outputs.error().message, 200);
  }
  if (!stopping_.stop_requested()) arms.observer->shadowed(*live, *shadow);
  ports_.log.append(std::move(shadow), std::move(room));
}

}  // namespace strata::platform::deployment
