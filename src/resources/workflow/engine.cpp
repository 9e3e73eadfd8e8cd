#include "resources/workflow/engine.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/log.hpp"
#include "resources/workflow/tables.hpp"

namespace strata::resources::workflow {

using scheduler::Action;
using scheduler::AttemptReport;
using scheduler::Ending;
using Phase = AttemptReport::Phase;

namespace {

constexpr std::chrono::milliseconds kRetryPause{500};  // after a failed commit or a lost agent
constexpr std::chrono::seconds kPatienceTick{5};       // admission depends on time while tasks wait

kernel::NodeRef run_ref(const std::string& run) {
  return {"flow_run", run, ""};
}
kernel::NodeRef task_ref(const std::string& run, const std::string& step) {
  return {"task", run + "/" + step, ""};
}

}  // namespace

Engine::Engine(const Ports& ports, ContentStore& content)
    : ports_(ports),
      content_(content),
      capacity_(orchestrator::node_capacity()) {}

Engine::~Engine() {
  stop();
}

Status Engine::start() {
  STRATA_TRY(load());
  agent_ = std::make_unique<orchestrator::NodeAgent>(
      ports_.data, ports_.executable,
      orchestrator::NodeAgent::Handlers{
          .connected = [this] { agent_->hello(active_tokens()); },
          .greeted =
              [this](std::vector<AttemptReport> reports) { take_greeting(std::move(reports)); },
          .report = [this](AttemptReport report) { take_report(std::move(report)); },
          .lost =
              [this] {
                post({scheduler::AgentDown{}, {}});
              }});
  post({scheduler::Tick{}, {}});
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  return {};
}

void Engine::stop() {
  if (!agent_) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  agent_->release();
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return pending_ == 0; });
  lock.unlock();
  agent_.reset();
}

void Engine::post(Item item) {
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(item));
  }
  wake_.notify_all();
}

void Engine::submit(scheduler::Run run, std::shared_ptr<const RunContext> context) {
  {
    const std::lock_guard lock(mutex_);
    contexts_[run.id] = std::move(context);
  }
  post({scheduler::RunSubmitted{std::move(run)}, {}});
}

void Engine::cancel(const std::string& run, const std::string& reason) {
  post({scheduler::CancelRequested{run, reason}, {}});
}

std::vector<std::string> Engine::why_waiting(const scheduler::Run& run) {
  std::vector<std::string> out;
  const std::lock_guard lock(mutex_);
  for (const auto& task : run.tasks)
    out.push_back(run.ended() ? "" : state_.why_waiting(run, task));
  return out;
}

std::vector<std::string> Engine::active_tokens() {
  const std::lock_guard lock(mutex_);
  return state_.active_tokens();
}

std::shared_ptr<const RunContext> Engine::context_of(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const auto found = contexts_.find(run);
  return found == contexts_.end() ? nullptr : found->second;
}

// Reads every run that has not ended. Its running attempts keep their credentials.
Status Engine::load() {
  scheduler::State state;
  state.settings.capacity = capacity_;
  state.settings.running_per_user = ports_.running_per_user;
  std::map<std::string, std::shared_ptr<const RunContext>> contexts;
  std::vector<std::string> cancelled;
  const auto read = [&](kernel::Reader& r) -> Status {
    auto rows = tables::unfinished_runs(r);
    if (!rows) return rows.error();
    for (auto& row : *rows) {
      STRATA_TRY(tables::read_tasks(r, row.run));
      auto spec = tables::spec_of(r, row.project, row.flow, row.version);
      if (!spec) return spec.error();
      contexts[row.run.id] = std::make_shared<const RunContext>(
          RunContext{row.project, row.flow, row.version, row.params, std::move(*spec), row.scope});
      if (row.cancel_requested) cancelled.push_back(row.run.id);
      state.runs[row.run.id] = std::move(row.run);
    }
    return {};
  };
  STRATA_TRY(ports_.records.read_blocking(read));
  for (const std::string& text : state.active_tokens()) {
    const auto token = scheduler::Token::parse(text);
    const auto& run = state.runs.at(token->run);
    const auto admitted = ports_.identity.admit_task(
        {text, fmt::format("{}/{}", run.id, token->step), run.user,
         ProjectId(contexts.at(run.id)->project), contexts.at(run.id)->scope});
    if (!admitted)
      log::warn("workflow.admit",
                Json::object({{"attempt", text}, {"error", admitted.error().message}}));
  }
  {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
    contexts_ = std::move(contexts);
  }
  for (const std::string& run : cancelled)
    cancel(run, "cancelled on request");
  return {};
}

void Engine::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto items = take(stop);
    if (!stop.stop_requested()) handle(std::move(items));
  }
}

// Waits for news or the next due time; then there is at least a Tick.
std::vector<Engine::Item> Engine::take(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto has_mail = [&] {
    return !mailbox_.empty();
  };
  if (!has_mail() && state_.runs.empty()) {
    wake_.wait(lock, stop, has_mail);
  } else if (!has_mail()) {
    std::chrono::microseconds pause = kPatienceTick;
    if (const auto due = state_.next_wake()) {
      pause = std::clamp(*due - ports_.clock.now(), std::chrono::microseconds(0), pause);
    }
    wake_.wait_for(lock, stop, pause, has_mail);
  }
  std::vector<Item> items(std::make_move_iterator(mailbox_.begin()),
                          std::make_move_iterator(mailbox_.end()));
  mailbox_.clear();
  if (items.empty()) items.push_back({scheduler::Tick{}, {}});
  return items;
}

void Engine::handle(std::vector<Item> items) {
  std::vector<Action> actions;
  bool lost = false;
  {
    const std::lock_guard lock(mutex_);
    for (const Item& item : items) {
      lost = lost || std::holds_alternative<scheduler::AgentDown>(item.what);
      auto some = scheduler::step(state_, {ports_.clock.now(), item.what});
      actions.insert(actions.end(), std::make_move_iterator(some.begin()),
                     std::make_move_iterator(some.end()));
    }
  }
  dismiss_ended(actions);
  const Status committed = commit(actions, items);
  if (committed) {
    settle_ended(actions);
    // An agent that dies at once is not started again in a tight loop.
    if (lost) (void)wait_for_stop(kRetryPause);
    return act(actions);
  }
  // The state in memory is ahead of the records: go back to them and ask the agent anew.
  log::error("workflow.commit", Json::object({{"error", committed.error().to_string()}}));
  (void)wait_for_stop(kRetryPause);
  if (const Status loaded = load(); !loaded) {
    log::error("workflow.load", Json::object({{"error", loaded.error().to_string()}}));
  }
  agent_->hello(active_tokens());
}

// True when the engine is to stop.
bool Engine::wait_for_stop(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, limit, [&] { return stopping_; });
}

Status Engine::commit(const std::vector<Action>& actions, const std::vector<Item>& items) {
  // Outputs of a late or unwanted success stay invisible.
  std::set<std::string> succeeded;
  bool any = false;
  for (const Action& action : actions) {
    any = any || std::holds_alternative<scheduler::RecordRun>(action);
    const auto* const t = std::get_if<scheduler::RecordTask>(&action);
    if (t == nullptr) continue;
    any = true;
    if (t->task.state == scheduler::TaskState::kSucceeded) {
      succeeded.insert(t->run + "/" + t->task.plan.step);
    }
  }
  if (!any) return {};
  const auto write = [&](kernel::Writer& w) -> Status {
    for (const Item& item : items) {
      for (const auto& [run, output] : item.outputs) {
        if (!succeeded.contains(run + "/" + output.step)) continue;
        STRATA_TRY(tables::put_output(w, run, output));
      }
    }
    for (const Action& action : actions) {
      if (const auto* const r = std::get_if<scheduler::RecordRun>(&action))
        STRATA_TRY(record(w, *r));
      if (const auto* const t = std::get_if<scheduler::RecordTask>(&action))
        STRATA_TRY(record(w, *t));
    }
    return {};
  };
  return ports_.records.write_blocking(write);
}

Status Engine::record(kernel::Writer& w, const scheduler::RecordRun& record) {
  STRATA_TRY(tables::update_run(w, record.run));
  const auto context = context_of(record.run.id);
  if (!context) return {};
  const auto type = record.run.ended() ? "run.finished" : "run.changed";
  return ports_.events.publish(w, ProjectId(context->project), type, "flow_run:" + record.run.id,
                               Json::object({{"flow", context->flow},
                                             {"version", context->version},
                                             {"state", scheduler::name_of(record.run.state)},
                                             {"reason", record.run.reason},
                                             {"user", record.run.user}}));
}

Status Engine::record(kernel::Writer& w, const scheduler::RecordTask& record) {
  STRATA_TRY(tables::update_task(w, record.run, record.ordinal, record.task));
  const scheduler::Task& task = record.task;
  const auto context = context_of(record.run);
  if (!context) return {};
  const ProjectId project(context->project);
  STRATA_TRY(ports_.events.publish(w, project, "task.changed", "flow_run:" + record.run,
                                   Json::object({{"flow", context->flow},
                                                 {"step", task.plan.step},
                                                 {"state", scheduler::name_of(task.state)}})));
  if (!task.ended() || task.attempts.empty()) return {};
  const auto& last = task.attempts.back();
  const std::string& step = task.plan.step;
  kernel::LineageNode node;
  node.ref = task_ref(record.run, step);
  node.time = last.finished;
  node.facts = Json::object({{"flow", context->flow},
                             {"version", context->version},
                             {"state", scheduler::name_of(task.state)},
                             {"attempts", static_cast<std::int64_t>(task.attempts.size())},
                             {"exit_code", last.exit.code},
                             {"usage", scheduler::usage_to_json(last.exit.usage)}});
  STRATA_TRY(ports_.lineage.report(w, project, node));
  STRATA_TRY(
      ports_.lineage.report(w, project, {run_ref(record.run), node.ref, "ran", last.created}));
  for (const std::string& need : task.plan.needs) {
    STRATA_TRY(ports_.lineage.report(w, project,
                                     {task_ref(record.run, need), node.ref, "fed", last.created}));
  }
  return {};
}

// The attempt of a task that has ended, by its token.
std::optional<std::string> Engine::ended_attempt(const Action& action) {
  const auto* const t = std::get_if<scheduler::RecordTask>(&action);
  if (t == nullptr || t->task.attempts.empty()) return std::nullopt;
  const auto& last = t->task.attempts.back();
  if (last.state != scheduler::AttemptState::kEnded) return std::nullopt;
  return scheduler::Token{t->run, t->task.plan.step, last.number}.to_string();
}

// Before anyone can read that it ended: from then on its credentials hold no more. Its process is
// gone, so they are missed by nobody when the commit fails.
void Engine::dismiss_ended(const std::vector<Action>& actions) {
  for (const Action& action : actions)
    if (const auto token = ended_attempt(action)) ports_.identity.dismiss_task(*token);
}

// What ended needs no folders any more.
void Engine::settle_ended(const std::vector<Action>& actions) {
  std::vector<std::string> tokens;
  for (const Action& action : actions) {
    if (auto token = ended_attempt(action)) tokens.push_back(*std::move(token));
    if (const auto* const r = std::get_if<scheduler::RecordRun>(&action);
        r != nullptr && r->run.ended()) {
      const std::lock_guard lock(mutex_);
      contexts_.erase(r->run.id);
    }
  }
  if (tokens.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    ++pending_;
  }
  ports_.pool.submit([this, tokens = std::move(tokens)] {
    for (const std::string& token : tokens)
      tidy_attempt(ports_, token);
    const std::lock_guard lock(mutex_);
    --pending_;
    wake_.notify_all();
  });
}

void Engine::act(std::vector<Action>& actions) {
  for (Action& action : actions) {
    if (auto* const start = std::get_if<scheduler::StartAttempt>(&action)) {
      launch(std::move(*start));
    } else if (const auto* const stop = std::get_if<scheduler::StopAttempt>(&action)) {
      agent_->stop(stop->token);
    } else if (std::holds_alternative<scheduler::WantAgent>(action)) {
      agent_->want();
    }
  }
}

void Engine::launch(scheduler::StartAttempt start) {
  {
    const std::lock_guard lock(mutex_);
    ++pending_;
  }
  ports_.pool.submit([this, start = std::move(start)] {
    prepare(start);
    const std::lock_guard lock(mutex_);
    --pending_;
    wake_.notify_all();
  });
}

// On a pool thread.
void Engine::prepare(const scheduler::StartAttempt& start) {
  const auto context = context_of(start.run.id);
  if (!context) return;
  const auto outputs = ports_.records.read_blocking(
      [&](kernel::Reader& r) { return tables::outputs_of(r, start.run.id); });
  Result<orchestrator::Launch> launch =
      outputs ? prepare_launch(ports_, content_, *context, start, *outputs)
              : Result<orchestrator::Launch>(outputs.error());
  // Right after the start of the server its addresses are not known yet.
  for (int i = 0; !launch && launch.error().code == Code::kUnavailable && i < 500; ++i) {
    if (wait_for_stop(std::chrono::milliseconds(20))) return;
    launch = prepare_launch(ports_, content_, *context, start, *outputs);
  }
  if (launch) return agent_->start(*launch);
  scheduler::Exit exit;
  exit.ending = Ending::kNotStarted;
  exit.code = 127;
  exit.message = launch.error().to_string();
  post({scheduler::AttemptEnded{start.token, exit, ports_.clock.now()}, {}});
}

// Keeps the outputs of a success; a missing one makes it a failure.
std::vector<Engine::RunOutput> Engine::collect(AttemptReport& report) {
  const auto token = scheduler::Token::parse(report.token);
  const auto context = token ? context_of(token->run) : nullptr;
  if (!context || report.phase != Phase::kEnded || !report.exit.succeeded()) return {};
  auto outputs = collect_outputs(ports_, content_, *context, report.token);
  if (!outputs) {
    report.exit.ending = Ending::kMissingOutput;
    report.exit.message = outputs.error().message;
    return {};
  }
  std::vector<RunOutput> out;
  for (Output& output : *outputs)
    out.push_back({token->run, std::move(output)});
  return out;
}

// Both are called on the line's own thread; outputs may be large.
void Engine::take_report(AttemptReport report) {
  if (report.phase == Phase::kStarted) {
    return post({scheduler::AttemptStarted{report.token, report.pid, report.at}, {}});
  }
  if (report.phase != Phase::kEnded) return;
  {
    const std::lock_guard lock(mutex_);
    ++pending_;
  }
  ports_.pool.submit([this, report = std::move(report)]() mutable {
    auto outputs = collect(report);
    post({scheduler::AttemptEnded{report.token, report.exit, report.at, report.started, report.pid},
          std::move(outputs)});
    const std::lock_guard lock(mutex_);
    --pending_;
    wake_.notify_all();
  });
}

void Engine::take_greeting(std::vector<AttemptReport> reports) {
  std::vector<RunOutput> outputs;
  for (AttemptReport& report : reports) {
    auto some = collect(report);
    outputs.insert(outputs.end(), std::make_move_iterator(some.begin()),
                   std::make_move_iterator(some.end()));
  }
  post({scheduler::AgentUp{std::move(reports)}, std::move(outputs)});
}

}  // namespace strata::resources::workflow
