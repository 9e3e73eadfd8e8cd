#include "resources/workflow/workflow.hpp"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "resources/workflow/content.hpp"
#include "resources/workflow/engine.hpp"
#include "resources/workflow/log_stream.hpp"
#include "resources/workflow/tables.hpp"
#include "resources/workflow/triggers.hpp"

namespace strata::resources::workflow {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::int64_t kMaxQueued = 1000;

Error no_flow(const std::string& name) {
  return not_found(fmt::format("there is no pipeline '{}'", printable(name)));
}
Error no_run(const std::string& id) {
  return not_found(fmt::format("there is no run '{}'", printable(id)));
}

FlowSummary summary_of(const tables::FlowRow& row, Instant now) {
  FlowSummary out{row.name,   row.spec.description, row.version, row.owner, row.applied_by,
                  row.number, row.updated,          row.spec,    {},        row.trigger_failure};
  for (const auto& trigger : row.spec.triggers) {
    const auto* const cron = std::get_if<wire::CronTrigger>(&trigger);
    if (cron == nullptr) continue;
    const auto next = next_fire(*cron, now);
    if (next && *next && (!out.next_run || **next < *out.next_run)) out.next_run = **next;
  }
  return out;
}

scheduler::TaskPlan plan_of(const wire::FlowStep& step) {
  scheduler::TaskPlan plan;
  plan.step = step.name;
  plan.needs = step.needs;
  plan.resources = {step.resources.cpu_millis, step.resources.memory_bytes, step.resources.gpus};
  plan.retries = {step.retries.count, step.retries.initial, step.retries.factor, step.retries.max,
                  step.retries.jitter};
  return plan;
}

FlowRun view_of(tables::RunRow row) {
  return {std::move(row.flow),
          std::move(row.version),
          std::move(row.cause),
          std::move(row.params),
          std::move(row.run),
          {},
          {}};
}

}  // namespace

struct Workflows::Impl {
  explicit Impl(Ports p)
      : ports(std::move(p)),
        content(ports.files, ports.data),
        engine(ports, content) {}

  // --- runs, by people and by triggers ---
  struct Order {
    std::string project, user, cause, key;
    kernel::Permissions scope;  // for what its steps may do, beside the user's rights
    Json params = Json::object();
    const tables::FlowRow* flow = nullptr;
    std::optional<kernel::NodeRef> reason;  // the object whose arrival started it
  };
  // Inserts a run, or finds the one that bears the same key. Inside a write().
  Result<tables::RunRow> create(Writer& w, const Order& order) {
    const wire::FlowSpec& spec = order.flow->spec;
    if (!order.key.empty()) {
      auto known = tables::find_run_by_key(w, order.project, spec.name, order.key);
      if (!known) return known.error();
      if (*known) {
        STRATA_TRY(check_repeats(order, **known));
        STRATA_TRY(tables::read_tasks(w, (*known)->run));
        (*known)->repeated = true;
        return std::move(**known);
      }
    }
    auto params = wire::flow_parameters(spec, order.params);
    if (!params) return params.error();
    for (const auto& step : spec.steps)
      STRATA_TRY(scheduler::check_fits(engine.capacity(), plan_of(step)));
    const auto queued = tables::count_queued(w, order.project, spec.name);
    if (!queued) return queued.error();
    if (*queued >= kMaxQueued) {
      return Error(Code::kResourceExhausted,
                   fmt::format("{} runs of '{}' wait already", *queued, spec.name));
    }
    const Instant now = ports.clock.now();
    tables::RunRow row{order.project,      spec.name, order.flow->version, order.cause, order.key,
                       std::move(*params), false,     order.scope,         {}};
    row.run.id = ports.random.uuid7(now);
    row.run.user = order.user;
    row.run.group = order.project + "/" + spec.name;
    row.run.group_limit = spec.max_concurrent_runs;
    row.run.priority = spec.priority;
    row.run.created = now;
    for (const auto& step : spec.steps) {
      scheduler::Task task;
      task.plan = plan_of(step);
      row.run.tasks.push_back(std::move(task));
    }
    STRATA_TRY(tables::insert_run(w, row));
    STRATA_TRY(report(w, order, row));
    STRATA_TRY(ports.events.publish(w, ProjectId(order.project), "run.created",
                                    "flow_run:" + row.run.id,
                                    Json::object({{"flow", row.flow}, {"cause", row.cause}})));
    auto context = std::make_shared<const RunContext>(
        RunContext{row.project, row.flow, row.version, row.params, spec, row.scope});
    w.after_commit(
        [this, run = row.run, context = std::move(context)] { engine.submit(run, context); });
    return row;
  }

  // A key that comes again names the same run only if it asks for the same: whoever gave it to two
  // different runs would take the result of one for the other's. A later version of the pipeline
  // may have other defaults, so then only what was given counts.
  static Status check_repeats(const Order& order, const tables::RunRow& known) {
    const auto params = wire::flow_parameters(order.flow->spec, order.params);
    if (!params) return params.error();
    const bool same_version = known.version == order.flow->version;
    for (const auto& [name, value] : params->as_object()) {
      const bool given = order.params.find(name) != nullptr;
      const Json* const before = known.params.find(name);
      if ((!given && !same_version) || (before != nullptr && *before == value)) continue;
      return Error(
          Code::kConflict,
          fmt::format("the idempotency key '{}' is that of run {}, which was started with "
                      "params {}; this call has {}. Give a new key for a new run",
                      printable(order.key), known.run.id, known.params.dump(), params->dump()),
          "idempotency_key");
    }
    return {};
  }

  Status report(Writer& w, const Order& order, const tables::RunRow& row) {
    const ProjectId project(order.project);
    kernel::LineageNode node;
    node.ref = {"flow_run", row.run.id, ""};
    node.digest = row.version;
    node.owner = order.user;
    node.time = row.run.created;
    node.facts = Json::object({{"flow", row.flow},
                               {"version", row.version},
                               {"cause", row.cause},
                               {"params", row.params}});
    STRATA_TRY(ports.lineage.report(w, project, node));
    if (!order.reason) return {};
    return ports.lineage.report(w, project,
                                {*order.reason, node.ref, "triggered", row.run.created});
  }

  Result<tables::FlowRow> flow(Reader& r, const std::string& project, const std::string& name) {
    auto row = tables::find_flow(r, project, name);
    if (!row) return row.error();
    if (!*row) return no_flow(name);
    return std::move(**row);
  }

  Result<FlowRun> full_run(Reader& r, const std::string& project, const std::string& id) {
    auto row = tables::find_run(r, project, id);
    if (!row) return row.error();
    if (!*row) return no_run(id);
    STRATA_TRY(tables::read_tasks(r, (*row)->run));
    FlowRun out = view_of(std::move(**row));
    auto outputs = tables::outputs_of(r, id);
    if (!outputs) return outputs.error();
    out.outputs = std::move(*outputs);
    out.why_waiting = engine.why_waiting(out.run);
    return out;
  }

  // --- triggers ---
  Task<void> watch(std::stop_token stop) {
    std::uint64_t seen = ports.events.generation();
    while (!stop.stop_requested() && !stopping) {
      const auto fired = co_await fire_schedules();
      if (!fired) log::error("workflow.cron", Json::object({{"error", fired.error().to_string()}}));
      const auto heard = co_await hear_events();
      if (!heard)
        log::error("workflow.events", Json::object({{"error", heard.error().to_string()}}));
      if (stop.stop_requested() || stopping) co_return;
      seen = co_await ports.events.next_change(seen, std::chrono::seconds(1));
    }
  }

  // Whoever applied the current version runs what its triggers start, with no more than the token
  // that applied it allowed: a pipeline's text must never run with the rights of somebody else. Who
  // may not start runs (any more) starts nothing; an event of the pipeline says so, and a fault
  // that lasts must not hold up all others.
  Status start_by_trigger(Writer& w, const tables::FlowRow& row, Order order) {
    auto user = ports.identity.act_as(row.applied_by, ProjectId(row.project));
    if (!user) return trigger_failed(w, row, order, user.error());
    user->permissions &= row.scope;
    if (!user->may(kernel::Permission::kFlowWrite)) {
      const Error why(Code::kPermissionDenied,
                      fmt::format("'{}', who applied this version, may not start runs in the "
                                  "project '{}'",
                                  row.applied_by, row.project));
      return trigger_failed(w, row, order, why);
    }
    order.project = row.project;
    order.user = row.applied_by;
    order.scope = row.scope;
    order.flow = &row;
    const auto made = create(w, order);
    if (made && row.trigger_failure) return tables::set_trigger_failure(w, row, std::nullopt);
    if (made) return {};
    if (made.error().code == Code::kInvalidArgument ||
        made.error().code == Code::kResourceExhausted)
      return trigger_failed(w, row, order, made.error());
    return made.error();
  }

  Status trigger_failed(Writer& w, const tables::FlowRow& row, const Order& order,
                        const Error& why) {
    log::warn("workflow.trigger", Json::object({{"flow", row.name}, {"error", why.message}}));
    const TriggerFailure failure{ports.clock.now(), order.cause, why.message};
    STRATA_TRY(tables::set_trigger_failure(w, row, failure));
    return ports.events.publish(w, ProjectId(row.project), "flow.trigger_failed",
                                "flow:" + row.name,
                                Json::object({{"cause", order.cause}, {"error", why.message}}));
  }

  Task<Status> fire_schedules() {
    const Instant now = ports.clock.now();
    if (next_look && now < *next_look && !flows_changed.exchange(false)) co_return Status();
    const auto write = [&](Writer& w) -> Result<std::optional<Instant>> {
      auto flows = tables::all_flows(w, std::nullopt);
      if (!flows) return flows.error();
      std::optional<Instant> next;
      for (const auto& row : *flows) {
        for (const auto& trigger : row.spec.triggers) {
          const auto* const cron = std::get_if<wire::CronTrigger>(&trigger);
          if (cron == nullptr) continue;
          STRATA_TRY(serve(w, row, *cron, now));
          const auto fire = next_fire(*cron, now);
          if (fire && *fire && (!next || **fire < *next)) next = **fire;
        }
      }
      return next;
    };
    const auto next = co_await ports.records.write(write);
    if (!next) co_return next.error();
    // At least each hour, should the wall clock be set.
    const Instant hour = now + std::chrono::hours(1);
    next_look = *next && **next < hour ? **next : hour;
    co_return Status();
  }

  Status serve(Writer& w, const tables::FlowRow& row, const wire::CronTrigger& cron, Instant now) {
    const std::string name = trigger_name(row.project, row.name, cron);
    const auto last = tables::cursor(w, name);
    if (!last) return last.error();
    // A new schedule begins now: it owes nothing for the past.
    if (!*last) return tables::set_cursor(w, name, now.micros);
    const auto due = due_fire(cron, Instant{**last}, now);
    if (!due) return due.error();
    if (!*due) return {};
    Order order;
    order.cause = fmt::format("cron {}", to_rfc3339(**due));
    order.key = fmt::format("{}:{}", name, (**due).micros);
    STRATA_TRY(start_by_trigger(w, row, std::move(order)));
    return tables::set_cursor(w, name, (**due).micros);
  }

  // Looks at every event once. Most start nothing and cost no commit: the cursor is written with
  // the runs that an event starts, when the triggers change (what was heard under the old ones must
  // not be weighed again under the new), and now and then to bound what a restart looks at again.
  Task<Status> hear_events() {
    if (weighed < 0) STRATA_CO_TRY(co_await begin_to_hear());
    while (true) {
      const auto events = co_await ports.events.since(weighed);
      if (!events) co_return events.error();
      if (events->empty()) co_return Status();
      STRATA_CO_TRY(co_await read_rules());
      const std::int64_t last = events->back().sequence;
      const bool starts =
          std::ranges::any_of(*events, [&](const kernel::Event& event) { return wanted(event); });
      if (starts || last - written_cursor >= kUnwritten) {
        const auto write = [&](Writer& w) -> Status {
          auto flows = tables::all_flows(w, std::nullopt);
          if (!flows) return flows.error();
          for (const auto& event : *events)
            STRATA_TRY(react(w, *flows, event));
          return tables::set_cursor(w, kEvents, last);
        };
        STRATA_CO_TRY(co_await ports.records.write(write));
        written_cursor = last;
      }
      weighed = last;
    }
  }

  Task<Status> begin_to_hear() {
    const auto newest = co_await ports.events.newest();
    if (!newest) co_return newest.error();
    const auto write = [&](Writer& w) -> Result<std::int64_t> {
      const auto stored = tables::cursor(w, kEvents);
      if (!stored) return stored.error();
      if (*stored) return **stored;
      STRATA_TRY(tables::set_cursor(w, kEvents, *newest));
      return *newest;
    };
    const auto begin = co_await ports.records.write(write);
    if (!begin) co_return begin.error();
    written_cursor = *begin;
    weighed = *begin;
    co_return Status();
  }

  // In the transaction that changes triggers.
  Status keep_cursor(Writer& w) {
    w.after_commit([this] { ++rules_version; });
    const auto stored = tables::cursor(w, kEvents);
    if (!stored) return stored.error();
    if (weighed <= stored->value_or(-1)) return {};
    return tables::set_cursor(w, kEvents, weighed);
  }

  Task<Status> read_rules() {
    const std::int64_t version = rules_version;
    if (version == rules_read) co_return Status();
    const auto read = [](Reader& r) {
      return tables::all_flows(r, std::nullopt);
    };
    const auto flows = co_await ports.records.read(read);
    if (!flows) co_return flows.error();
    rules.clear();
    for (const auto& row : *flows) {
      for (const auto& trigger : row.spec.triggers) {
        if (const auto* const rule = std::get_if<wire::EventTrigger>(&trigger))
          rules.emplace_back(row.project, *rule);
      }
    }
    rules_read = version;
    co_return Status();
  }

  // The object that an event tells of, as bucket and key.
  static std::optional<std::pair<std::string, std::string>> object_of(const kernel::Event& event) {
    constexpr std::string_view kLake = "lake:";
    if (event.type != "object.created" || !event.subject.starts_with(kLake)) return std::nullopt;
    const std::string object = event.subject.substr(kLake.size());
    const auto slash = object.find('/');
    if (slash == std::string::npos) return std::nullopt;
    return std::pair(object.substr(0, slash), object.substr(slash + 1));
  }

  bool wanted(const kernel::Event& event) const {
    const auto object = rules.empty() ? std::nullopt : object_of(event);
    return object && std::ranges::any_of(rules, [&](const auto& rule) {
             return rule.first == event.project.str() &&
                    matches(rule.second, object->first, object->second);
           });
  }

  Status react(Writer& w, const std::vector<tables::FlowRow>& flows, const kernel::Event& event) {
    const auto object = object_of(event);
    if (!object) return {};
    const auto& [bucket, key] = *object;
    const std::string name = bucket + "/" + key;
    for (const auto& row : flows) {
      if (row.project != event.project.str()) continue;
      const bool starts =
          std::ranges::any_of(row.spec.triggers, [&](const wire::FlowTrigger& trigger) {
            const auto* const t = std::get_if<wire::EventTrigger>(&trigger);
            return t != nullptr && matches(*t, bucket, key);
          });
      if (!starts) continue;
      const auto since = tables::first_applied(w, row.project, row.name);
      if (!since) return since.error();
      if (event.time < *since) continue;  // it happened before there was this pipeline
      Order order;
      order.cause = "event object.created " + name;
      order.key = fmt::format("event:{}", event.sequence);
      order.params = event_params(row.spec, bucket, key);
      // The lake names an object's state by the first 16 digits of its digest.
      const std::string digest = event.data.text("digest");
      const auto colon = digest.find(':') + 1;
      order.reason = kernel::NodeRef{"object", name, digest.substr(colon, 16)};
      STRATA_TRY(start_by_trigger(w, row, std::move(order)));
    }
    return {};
  }

  // A pipeline that declares the parameters `bucket` and `key` is told which object it was.
  static Json event_params(const wire::FlowSpec& spec, const std::string& bucket,
                           const std::string& key) {
    Json out = Json::object();
    for (const auto& parameter : spec.parameters) {
      if (wire::given_by_event(parameter))
        out.set(parameter.name, parameter.name == "key" ? key : bucket);
    }
    return out;
  }

  Ports ports;
  ContentStore content;
  Engine engine;
  static constexpr const char* kEvents = "events";
  static constexpr std::int64_t kUnwritten = 1000;  // events
  std::atomic<std::int64_t> weighed{
      -1};  // the newest event that was looked at; -1 before the first
  std::atomic<std::int64_t> rules_version{0};
  // Of the watching coroutine.
  std::optional<Instant> next_look;
  std::int64_t written_cursor = 0;
  std::int64_t rules_read = -1;
  std::vector<std::pair<std::string, wire::EventTrigger>> rules;  // each with its project
  std::atomic<bool> flows_changed{false}, stopping{false}, draining{false};
};

Workflows::Workflows(Ports ports) : impl_(std::make_unique<Impl>(std::move(ports))) {}
Workflows::~Workflows() = default;

Status Workflows::start() {
  STRATA_TRY(impl_->engine.start());
  impl_->ports.scope.spawn(impl_->ports.loops.next(), impl_->watch(impl_->ports.scope.token()));
  return {};
}

void Workflows::drain() {
  impl_->draining = true;
}

void Workflows::stop() {
  impl_->engine.stop();
}

Task<Result<FlowSummary>> Workflows::apply(const Caller& caller, wire::FlowSpec spec,
                                           bool dry_run) {
  if (!spec.source.empty()) {
    co_return invalid("source",
                      "'source' names a folder beside the file: apply it with `strata flow apply`, "
                      "which packs the "
                      "folder, or upload a package and name it in 'package'");
  }
  for (const auto& step : spec.steps)
    STRATA_CO_TRY(scheduler::check_fits(impl_->engine.capacity(), plan_of(step)));
  if (!spec.package.empty()) {
    auto look = [&] {
      return impl_->content.unpacked(spec.package);
    };
    const auto package = co_await impl_->ports.pool.run(look);
    if (!package) co_return package.error();
  }
  const Instant now = impl_->ports.clock.now();
  if (dry_run) {
    co_return summary_of({caller.project.str(), spec.name, wire::flow_version(spec),
                          caller.user_name, caller.user_name, caller.scope, 0, now, spec},
                         now);
  }
  const auto write = [&](Writer& w) -> Result<tables::FlowRow> {
    const std::string version = wire::flow_version(spec);
    const auto before = tables::find_flow(w, caller.project.str(), spec.name);
    if (!before) return before.error();
    const auto number = tables::put_flow(w, caller, spec, now);
    if (!number) return number.error();
    STRATA_TRY(impl_->keep_cursor(w));
    if (!*before || (*before)->version != version) {
      STRATA_TRY(impl_->ports.audit.record(w, caller, "flow.apply", "flow:" + spec.name,
                                           Json::object({{"version", version}})));
    }
    STRATA_TRY(impl_->ports.events.publish(w, caller.project, "flow.applied", "flow:" + spec.name));
    return impl_->flow(w, caller.project.str(), spec.name);
  };
  const auto row = co_await impl_->ports.records.write(write);
  if (!row) co_return row.error();
  impl_->flows_changed = true;
  impl_->ports.events.changed().notify_all();
  co_return summary_of(*row, now);
}

Task<Result<std::vector<FlowSummary>>> Workflows::list(const Caller& caller) {
  const auto read = [&](Reader& r) {
    return tables::all_flows(r, caller.project.str());
  };
  const auto rows = co_await impl_->ports.records.read(read);
  if (!rows) co_return rows.error();
  std::vector<FlowSummary> out;
  for (const auto& row : *rows)
    out.push_back(summary_of(row, impl_->ports.clock.now()));
  co_return out;
}

Task<Result<FlowSummary>> Workflows::get(const Caller& caller, const std::string& name) {
  const auto read = [&](Reader& r) {
    return impl_->flow(r, caller.project.str(), name);
  };
  const auto row = co_await impl_->ports.records.read(read);
  if (!row) co_return row.error();
  co_return summary_of(*row, impl_->ports.clock.now());
}

Task<Result<std::vector<FlowVersion>>> Workflows::versions(const Caller& caller,
                                                           const std::string& name) {
  const auto read = [&](Reader& r) {
    return tables::versions(r, caller.project.str(), name);
  };
  co_return co_await impl_->ports.records.read(read);
}

Task<Result<Workflows::CodeChanges>> Workflows::code_changes(const Caller& caller,
                                                             const std::string& name,
                                                             const std::string& from,
                                                             const std::string& to) {
  const auto read = [&](Reader& r) -> Result<std::pair<wire::FlowSpec, wire::FlowSpec>> {
    auto before = tables::spec_of(r, caller.project.str(), name, from);
    if (!before) return std::move(before).error();
    auto after = tables::spec_of(r, caller.project.str(), name, to);
    if (!after) return std::move(after).error();
    return std::pair(*std::move(before), *std::move(after));
  };
  const auto specs = co_await impl_->ports.records.read(read);
  if (!specs) co_return specs.error();
  const auto& [before, after] = *specs;
  CodeChanges changes;
  changes.steps = wire::flow_to_json(before)["steps"] != wire::flow_to_json(after)["steps"] ||
                  before.interpreter != after.interpreter;
  if (before.package == after.package) co_return changes;
  auto compare = [&]() -> Result<std::vector<std::string>> {
    auto old_files = impl_->content.files_of(before.package);
    if (!old_files) return std::move(old_files).error();
    auto new_files = impl_->content.files_of(after.package);
    if (!new_files) return std::move(new_files).error();
    std::set<std::string> changed;
    for (const auto& [path, digest] : *old_files) {
      const auto now = new_files->find(path);
      if (now == new_files->end() || now->second != digest) changed.insert(path);
    }
    for (const auto& [path, digest] : *new_files) {
      if (!old_files->contains(path)) changed.insert(path);
    }
    return std::vector<std::string>(changed.begin(), changed.end());
  };
  auto files = co_await impl_->ports.pool.run(compare);
  if (!files) co_return std::move(files).error();
  changes.files = *std::move(files);
  co_return changes;
}

Task<Status> Workflows::remove(const Caller& caller, const std::string& name) {
  const auto write = [&](Writer& w) -> Status {
    const auto removed = tables::remove_flow(w, caller.project.str(), name);
    if (!removed) return removed.error();
    if (!*removed) return no_flow(name);
    STRATA_TRY(impl_->ports.audit.record(w, caller, "flow.delete", "flow:" + name));
    return impl_->ports.events.publish(w, caller.project, "flow.deleted", "flow:" + name);
  };
  co_return co_await impl_->ports.records.write(write);
}

Task<Result<std::string>> Workflows::add_package(const Caller&, std::string tar) {
  if (tar.size() > kMaxPackage) {
    co_return Error(Code::kTooLarge,
                    fmt::format("a package has at most {} MiB", kMaxPackage >> 20U), "source");
  }
  auto keep = [&]() -> Result<std::string> {
    const auto stored = impl_->content.keep_bytes(tar);
    if (!stored) return stored.error();
    // Unpacking checks it: a bad archive is refused here and not at the first step.
    const auto folder = impl_->content.unpacked(stored->digest);
    if (!folder) return folder.error();
    return stored->digest;
  };
  co_return co_await impl_->ports.pool.run(keep);
}

Task<Result<FlowRun>> Workflows::run(const Caller& caller, const std::string& name,
                                     const RunRequest& request) {
  const auto write = [&](Writer& w) -> Result<tables::RunRow> {
    const auto flow = impl_->flow(w, caller.project.str(), name);
    if (!flow) return flow.error();
    Impl::Order order;
    order.project = caller.project.str();
    order.user = caller.user_name;
    order.scope = caller.scope;
    order.cause = "manual";
    order.key = request.idempotency_key;
    order.params = request.params;
    order.flow = &*flow;
    auto row = impl_->create(w, order);
    if (!row || row->repeated) return row;
    STRATA_TRY(impl_->ports.audit.record(w, caller, "flow.run", "flow:" + name,
                                         Json::object({{"run", row->run.id}})));
    return row;
  };
  auto row = co_await impl_->ports.records.write(write);
  if (!row) co_return row.error();
  co_return view_of(std::move(*row));
}

Task<Result<std::vector<FlowRun>>> Workflows::runs(const Caller& caller, const RunFilter& filter) {
  const auto read = [&](Reader& r) {
    return tables::list_runs(r, caller.project.str(), filter);
  };
  auto rows = co_await impl_->ports.records.read(read);
  if (!rows) co_return rows.error();
  std::vector<FlowRun> out;
  for (auto& row : *rows)
    out.push_back(view_of(std::move(row)));
  co_return out;
}

Task<Result<FlowRun>> Workflows::run_info(const Caller& caller, const std::string& id) {
  const auto read = [&](Reader& r) {
    return impl_->full_run(r, caller.project.str(), id);
  };
  co_return co_await impl_->ports.records.read(read);
}

Task<Result<FlowRun>> Workflows::cancel(const Caller& caller, const std::string& id) {
  const std::string reason = fmt::format("cancelled by {}", caller.user_name);
  const auto write = [&](Writer& w) -> Result<FlowRun> {
    auto run = impl_->full_run(w, caller.project.str(), id);
    if (!run) return run;
    if (run->run.ended()) {
      return Error(Code::kConflict, fmt::format("run {} has ended already: {}", id,
                                                scheduler::name_of(run->run.state)));
    }
    const auto asked = tables::request_cancel(w, id);
    if (!asked) return asked.error();
    if (*asked)
      STRATA_TRY(impl_->ports.audit.record(w, caller, "flow_run.cancel", "flow_run:" + id));
    w.after_commit([this, id, reason] { impl_->engine.cancel(id, reason); });
    run->run.state = scheduler::RunState::kCancelling;
    return run;
  };
  co_return co_await impl_->ports.records.write(write);
}

namespace {

// An attempt that will not come is an error and not an empty log; one that is followed may come.
Status find_attempt(const scheduler::Run& run, const Workflows::LogRequest& request) {
  if (request.attempt == 0 || (request.follow && !run.ended())) return {};
  int last = 0;
  for (const auto& task : run.tasks) {
    if (!request.step.empty() && task.plan.step != request.step) continue;
    for (const auto& attempt : task.attempts) {
      if (attempt.number == request.attempt) return {};
      last = std::max(last, attempt.number);
    }
  }
  const std::string whose =
      request.step.empty() ? "no step of this run" : fmt::format("step '{}'", request.step);
  return not_found(fmt::format("{} has {}attempt {}: {}", whose,
                               request.step.empty() ? "an " : "no ", request.attempt,
                               last == 0   ? "none has begun"
                               : last == 1 ? "there is only attempt 1"
                                           : fmt::format("there are attempts 1 to {}", last)));
}

}  // namespace

Task<Result<std::unique_ptr<ByteSource>>> Workflows::logs(const Caller& caller,
                                                          const LogRequest& request) {
  const auto run = co_await run_info(caller, request.run);
  if (!run) co_return run.error();
  if (!request.step.empty()) {
    const auto found = std::ranges::find(
        run->run.tasks, request.step, [](const scheduler::Task& task) { return task.plan.step; });
    if (found == run->run.tasks.end()) {
      std::vector<std::string> names;
      for (const auto& task : run->run.tasks)
        names.push_back(task.plan.step);
      const std::string nearest = did_you_mean(request.step, names);
      co_return not_found(fmt::format("'{}' is not a step of this run{}", printable(request.step),
                                      nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
    }
  }
  if (const auto found = find_attempt(run->run, request); !found) co_return found.error();
  co_return open_logs(impl_->ports, impl_->draining, caller, request);
}

Task<Result<Workflows::OutputFile>> Workflows::output(const Caller& caller, const std::string& run,
                                                      const std::string& step,
                                                      const std::string& name) {
  const auto info = co_await run_info(caller, run);
  if (!info) co_return info.error();
  const auto found = std::ranges::find_if(info->outputs, [&](const Output& output) {
    return output.step == step && output.name == name;
  });
  if (found == info->outputs.end()) {
    co_return not_found(
        fmt::format("step '{}' of this run has no output '{}'", printable(step), printable(name)));
  }
  auto open = [&]() -> Result<OutputFile> {
    const auto path = impl_->content.path_of(found->digest);
    if (!path) return path.error();
    auto file = impl_->ports.files.open(*path);
    if (!file) return file.error();
    return OutputFile{std::move(*file), found->size, found->digest};
  };
  co_return co_await impl_->ports.pool.run(open);
}

}  // namespace strata::resources::workflow
