#include "platform/release/release.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "platform/release/active.hpp"

namespace strata::platform::release {

namespace {

constexpr kernel::Migration kMigrations[] = {
    {"release", 1, R"(
CREATE TABLE releases (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  plan TEXT NOT NULL,
  state TEXT NOT NULL,
  actor TEXT NOT NULL,
  scope TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  gates TEXT NOT NULL DEFAULT 'null',
  open INTEGER NOT NULL DEFAULT 1,
  UNIQUE (project, id)
);
CREATE INDEX releases_by_endpoint ON releases (project, endpoint, number);
CREATE TABLE release_edges (
  project TEXT NOT NULL,
  release TEXT NOT NULL,
  edge INTEGER NOT NULL,
  time INTEGER NOT NULL,
  actor TEXT NOT NULL,
  event TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  share INTEGER NOT NULL,
  reason TEXT NOT NULL,
  evidence TEXT NOT NULL,
  PRIMARY KEY (project, release, edge)
))"},
};

constexpr std::string_view kColumns =
    "id, plan, state, actor, created, updated, gates, number FROM releases ";

Error no_release(std::string_view id) {
  return not_found(fmt::format("there is no release '{}'", printable(id)));
}

Json read(const std::string& text) {
  return parse_json(text).value_or(Json());
}

Result<ReleaseInfo> info_of(const kernel::Row& row) {
  auto state = State::from_json(read(row.text(2)));
  if (!state) return std::move(state).error();
  ReleaseInfo info;
  info.id = row.text(0);
  info.plan = plan_from_json(read(row.text(1)));
  info.state = *std::move(state);
  info.actor = row.text(3);
  info.created = Instant{row.integer(4)};
  info.updated = Instant{row.integer(5)};
  info.gates = read(row.text(6));
  return info;
}

Result<std::vector<Edge>> edges_of(kernel::Reader& reader, const std::string& project,
                                   const std::string& id) {
  auto rows = reader.query(
      "SELECT edge, time, actor, event, before, after, share, reason, evidence FROM release_edges "
      "WHERE project = ? AND release = ? ORDER BY edge",
      {project, id});
  if (!rows) return std::move(rows).error();
  std::vector<Edge> edges;
  for (const auto& row : *rows) {
    auto before = State::from_json(read(row.text(4)));
    auto after = State::from_json(read(row.text(5)));
    if (!before || !after) return (before ? after : before).error();
    edges.push_back({row.integer(0), Instant{row.integer(1)}, row.text(2), row.text(3), *before,
                     *after, static_cast<std::uint32_t>(row.integer(6)), row.text(7),
                     read(row.text(8))});
  }
  return edges;
}

}  // namespace

Releases::Releases(Ports ports) : ports_(ports) {}

Releases::~Releases() = default;

std::span<const kernel::Migration> Releases::migrations() {
  return kMigrations;
}

Status Releases::start() {
  auto rows = ports_.records.read_blocking([](kernel::Reader& reader) {
    return reader.query(
        "SELECT project, id, actor, scope, plan, state, updated FROM releases "
        "WHERE open = 1");
  });
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows) {
    auto state = State::from_json(read(row.text(5)));
    if (!state) return std::move(state).error();
    activate(ProjectId(row.text(0)), row.text(1), row.text(2), row.text(3),
             plan_from_json(read(row.text(4))), *std::move(state), Instant{row.integer(6)});
  }
  return {};
}

void Releases::stop() {
  changed_.notify_all();
  const std::lock_guard lock(mutex_);
  for (const auto& [id, active] : active_)
    active->wake.notify_all();
}

std::shared_ptr<Releases::Active> Releases::activate(const ProjectId& project,
                                                     const std::string& id,
                                                     const std::string& actor,
                                                     const std::string& scope, Plan plan,
                                                     State state, Instant updated) {
  auto active = std::make_shared<Active>(ports_.endpoints, project, id, actor, scope,
                                         std::move(plan), std::move(state), updated);
  {
    const std::lock_guard lock(mutex_);
    active_[id] = active;
  }
  ports_.scope.spawn(ports_.loops.next(), drive(active));
  return active;
}

Task<Result<Plan>> Releases::make_plan(const kernel::Caller& caller, const Draft& draft) {
  auto endpoint = ports_.endpoints.get(caller, draft.endpoint);
  if (!endpoint) co_return std::move(endpoint).error();
  if (!caller.may(kernel::Permission::kModelWrite))
    co_return kernel::lacks_permission(caller, kernel::Permission::kModelWrite);
  auto follows = deployment::ModelRef::parse(endpoint->model_ref);
  if (!follows) co_return std::move(follows).error();
  if (follows->alias.empty()) {
    co_return invalid("endpoint",
                      fmt::format("endpoint: '{}' serves {}, which never moves; make one that "
                                  "follows an alias (models:/{}@champion) to release to it",
                                  draft.endpoint, endpoint->model_ref, follows->name));
  }
  if (endpoint->live == nullptr) {
    co_return Error(Code::kConflict,
                    fmt::format("endpoint '{}' answers nothing yet: {}", draft.endpoint,
                                endpoint->error.empty() ? "it is loading" : endpoint->error),
                    "endpoint");
  }
  auto ref = deployment::ModelRef::parse(draft.model);
  if (!ref) co_return std::move(ref).error();
  if (ref->name != follows->name) {
    co_return invalid("model", fmt::format("model: '{}' is no version of '{}', which the endpoint "
                                           "serves; register it as one",
                                           printable(ref->name), follows->name));
  }
  auto candidate = co_await ports_.models.resolve(caller, ref->to_string());
  if (!candidate) co_return std::move(candidate).error();
  const auto& live = *endpoint->live->identity;
  Plan plan;
  plan.endpoint = draft.endpoint;
  plan.model = follows->name;
  plan.alias = follows->alias;
  plan.version = std::to_string(candidate->version);
  plan.digest = candidate->package_digest;
  plan.live = live.version;
  plan.live_digest = live.package_digest;
  if (plan.version == plan.live) {
    co_return invalid("model",
                      fmt::format("model: version {} answers at '{}' already; name another "
                                  "one",
                                  plan.version, draft.endpoint));
  }
  plan.limits = draft.limits;
  plan.shadow_sample = draft.shadow_sample.value_or(plan.shadow_sample);
  if (draft.steps) plan.steps = *draft.steps;
  plan.drain_seconds = draft.drain_seconds.value_or(plan.drain_seconds);
  STRATA_CO_TRY(check_plan(plan));
  auto golden = co_await golden_of(caller, draft);
  if (!golden) co_return std::move(golden).error();
  plan.golden = *std::move(golden);
  co_return plan;
}

// What the draft says, or else the endpoint's last release, as far as the caller may read it.
Task<Result<std::optional<Golden>>> Releases::golden_of(const kernel::Caller& caller,
                                                        const Draft& draft) {
  std::optional<Golden> golden = draft.golden;
  if (!golden && !draft.without_golden) {
    auto load = [&](kernel::Reader& reader) {
      return reader.first(
          "SELECT plan FROM releases WHERE project = ? AND endpoint = ? ORDER BY number DESC",
          {caller.project.str(), draft.endpoint});
    };
    const auto last = co_await ports_.records.read(load);
    if (!last) co_return last.error();
    if (*last) golden = plan_from_json(read((*last)->text(0))).golden;
  }
  if (!golden) co_return golden;
  const auto rows = co_await read_golden(caller, *golden, 0);
  if (!rows) {
    Error error = rows.error();
    if (error.field.starts_with("golden")) co_return error;
    error.message = fmt::format("golden.input: {}", error.message);
    error.field = "golden.input";
    co_return error;
  }
  co_return golden;
}

Task<Result<std::pair<Plan, Json>>> Releases::plan(const kernel::Caller& caller, Draft draft) {
  auto plan = co_await make_plan(caller, draft);
  if (!plan) co_return std::move(plan).error();
  const deployment::ModelRef ref{plan->model, "", plan->version};
  auto candidate = co_await ports_.endpoints.load_candidate(caller.project, plan->endpoint, ref);
  if (!candidate) co_return candidate.error().wrap("the candidate cannot be opened");
  auto gates = co_await look_at_gates(caller, caller.project, *plan, *candidate);
  if (!gates) co_return std::move(gates).error();
  Json list = Json::array();
  for (const auto& gate : *gates)
    list.push(gate.to_json());
  co_return std::pair(*std::move(plan), std::move(list));
}

Task<Result<ReleaseInfo>> Releases::begin(const kernel::Caller& caller, Draft draft) {
  auto plan = co_await make_plan(caller, draft);
  if (!plan) co_return std::move(plan).error();
  const std::string id = "rel-" + ports_.random.hex(5);
  const Instant now = ports_.clock.now();
  const std::string scope = kernel::scopes_text(caller.scope);
  auto insert = [&](kernel::Writer& writer) -> Status {
    auto open =
        writer.first("SELECT id FROM releases WHERE project = ? AND endpoint = ? AND open = 1",
                     {caller.project.str(), plan->endpoint});
    if (!open) return std::move(open).error();
    if (*open) {
      return Error(Code::kConflict,
                   fmt::format("the release {} of endpoint '{}' is open; wait for its end, or: "
                               "strata release rollback {}",
                               (*open)->text(0), plan->endpoint, plan->endpoint),
                   "endpoint");
    }
    auto added = writer.execute(
        "INSERT INTO releases (project, id, endpoint, plan, state, actor, scope, created, updated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {caller.project.str(), id, plan->endpoint, plan->to_json().dump(), State{}.to_json().dump(),
         caller.user_name, scope, now.micros, now.micros});
    if (!added) return std::move(added).error();
    const Json facts = Json::object({{"endpoint", plan->endpoint},
                                     {"model", plan->model},
                                     {"version", plan->version},
                                     {"digest", plan->digest},
                                     {"live", plan->live}});
    STRATA_TRY(ports_.audit.record(writer, caller, "release.start", "release:" + id, facts));
    return ports_.events.publish(writer, caller.project, "release.started", "release:" + id, facts);
  };
  STRATA_CO_TRY(co_await ports_.records.write(insert));
  activate(caller.project, id, caller.user_name, scope, *plan, {}, now);
  co_return co_await get(caller, id);
}

Task<Result<ReleasePage>> Releases::list(const kernel::Caller& caller, std::string endpoint,
                                         std::size_t limit, std::string before) {
  const auto from = before.empty() ? std::optional<std::int64_t>(INT64_MAX) : to_int(before);
  if (!from) co_return invalid("page_token", "page_token: is none that a list gave");
  auto load = [&](kernel::Reader& reader) -> Result<ReleasePage> {
    auto rows = reader.query(
        "SELECT " + std::string(kColumns) +
            "WHERE project = ? AND (? = '' OR endpoint = ?) AND number < ? ORDER BY number DESC "
            "LIMIT ?",
        {caller.project.str(), endpoint, endpoint, *from, static_cast<std::int64_t>(limit + 1)});
    if (!rows) return std::move(rows).error();
    ReleasePage page;
    for (const auto& row : *rows) {
      if (page.releases.size() == limit) {
        page.next = std::to_string((*rows)[limit - 1].integer(7));
        break;
      }
      auto info = info_of(row);
      if (!info) return std::move(info).error();
      page.releases.push_back(*std::move(info));
    }
    return page;
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<ReleaseInfo>> Releases::get(const kernel::Caller& caller, std::string id) {
  auto load = [&](kernel::Reader& reader) -> Result<ReleaseInfo> {
    auto row = reader.first("SELECT " + std::string(kColumns) + "WHERE project = ? AND id = ?",
                            {caller.project.str(), id});
    if (!row) return std::move(row).error();
    if (!*row) return no_release(id);
    auto info = info_of(**row);
    if (!info) return info;
    auto edges = edges_of(reader, caller.project.str(), id);
    if (!edges) return std::move(edges).error();
    info->edges = *std::move(edges);
    return info;
  };
  auto info = co_await ports_.records.read(load);
  if (!info) co_return info;
  const std::lock_guard lock(mutex_);
  if (const auto found = active_.find(id); found != active_.end()) {
    info->findings = found->second->findings();
    info->shadows_dropped = found->second->dropped();
  }
  co_return info;
}

Task<Result<ReleaseInfo>> Releases::settled(const kernel::Caller& caller, std::string id,
                                            std::chrono::milliseconds limit) {
  // A change between the look and the wait is not noticed by the signal, so no wait is long.
  constexpr std::chrono::milliseconds kLook{200};
  const auto until = ports_.clock.steady() + limit;
  auto info = co_await get(caller, id);
  if (!info) co_return info;
  const Stage began = info->state.stage;
  while (info && info->state.stage == began && info->state.held.empty() && !info->state.over() &&
         ports_.clock.steady() < until) {
    co_await changed_.wait(kLook);
    info = co_await get(caller, id);
  }
  co_return info;
}

Task<Result<ReleaseInfo>> Releases::ask(const kernel::Caller& caller, std::string id,
                                        EventKind wish, std::string reason) {
  auto known = co_await get(caller, id);
  if (!known) co_return known;
  const bool bypasses = wish == EventKind::kPromote || wish == EventKind::kOverride;
  if (bypasses && trim(reason).empty())
    co_return invalid("reason", "reason: say why; it stays with the release");
  std::shared_ptr<Active> active;
  {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(id);
    if (found != active_.end()) active = found->second;
  }
  if (active == nullptr) {
    co_return Error(Code::kConflict,
                    fmt::format("the release {} is over: {}", id, stage_name(known->state.stage)));
  }
  // Back at once; what is durable follows.
  if (wish == EventKind::kRollback)
    ports_.endpoints.clear_arms(active->project, active->plan.endpoint, id);
  const State at = active->state();
  Event event{wish, at.stage, at.step, std::move(reason)};
  Json evidence = active->findings();
  auto done = co_await apply(active, std::move(event), caller.user_name, std::move(evidence));
  if (!done) co_return std::move(done).error();
  co_return co_await get(caller, id);
}

// One change: decided on what is recorded, in the transaction that records it.
Task<Status> Releases::apply(std::shared_ptr<Active> active, Event event, std::string actor,
                             Json evidence) {
  auto by = ports_.identity.system_caller();
  by.project = active->project;
  by.user_name = actor;
  auto write = [&](kernel::Writer& writer) -> Status {
    auto row = writer.first("SELECT state FROM releases WHERE project = ? AND id = ?",
                            {active->project.str(), active->id});
    if (!row) return std::move(row).error();
    if (!*row) return no_release(active->id);
    auto state = State::from_json(read((*row)->text(0)));
    if (!state) return std::move(state).error();
    auto next = step(active->plan, *state, event);
    if (!next) return std::move(next).error();
    if (*next == *state) return {};
    const Instant now = ports_.clock.now();
    const auto share = wanted(active->plan, *next).share;
    auto updated = writer.execute(
        "UPDATE releases SET state = ?, updated = ? WHERE project = ? "
        "AND id = ?",
        {next->to_json().dump(), now.micros, active->project.str(), active->id});
    if (!updated) return std::move(updated).error();
    auto added = writer.execute(
        "INSERT INTO release_edges SELECT ?, ?, COALESCE(MAX(edge), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? "
        "FROM release_edges WHERE project = ? AND release = ?",
        {active->project.str(), active->id, now.micros, actor, event_name(event.kind),
         state->to_json().dump(), next->to_json().dump(), static_cast<std::int64_t>(share),
         event.reason, evidence.dump(), active->project.str(), active->id});
    if (!added) return std::move(added).error();
    const Json facts = Json::object({{"endpoint", active->plan.endpoint},
                                     {"event", event_name(event.kind)},
                                     {"from", stage_name(state->stage)},
                                     {"to", stage_name(next->stage)},
                                     {"share", share / 100.0},
                                     {"version", active->plan.version},
                                     {"digest", active->plan.digest},
                                     {"reason", event.reason}});
    const std::string subject = "release:" + active->id;
    STRATA_TRY(ports_.audit.record(writer, by, "release.change", subject, facts));
    writer.after_commit([this, active, to = *next, now] {
      active->become(to, now);
      changed_.notify_all();
    });
    return ports_.events.publish(writer, active->project, "release.changed", subject, facts);
  };
  co_return co_await ports_.records.write(write);
}

Task<Status> Releases::close(const std::shared_ptr<Active>& active) {
  ports_.endpoints.clear_arms(active->project, active->plan.endpoint, active->id);
  auto write = [&](kernel::Writer& writer) -> Status {
    auto done = writer.execute("UPDATE releases SET open = 0 WHERE project = ? AND id = ?",
                               {active->project.str(), active->id});
    if (!done) return std::move(done).error();
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(write));
  const std::lock_guard lock(mutex_);
  active_.erase(active->id);
  co_return Status();
}

}  // namespace strata::platform::release
