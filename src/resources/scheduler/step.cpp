#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/text.hpp"
#include "resources/scheduler/scheduler.hpp"

namespace strata::resources::scheduler {
namespace {

Run without_tasks(const Run& run) {
  Run head = run;
  head.tasks.clear();
  return head;
}

// A number in [-1, 1) that depends on the token only, so that a replay waits equally long.
double unit_of(const std::string& token) {
  const std::string digest = sha256(token);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 4; ++i)
    bits = bits << 8 | static_cast<unsigned char>(digest[i]);
  return static_cast<double>(bits) / 2147483648.0 - 1.0;
}

microseconds backoff(const RetryPolicy& policy, int failures, const std::string& token) {
  const double exponent = std::min(failures - 1, 64);
  double wait = static_cast<double>(policy.initial.count()) * std::pow(policy.factor, exponent);
  wait = std::min(wait, static_cast<double>(policy.max.count()));
  wait *= 1 + policy.jitter * unit_of(token);
  return microseconds(std::max<std::int64_t>(0, static_cast<std::int64_t>(wait)));
}

bool is_up(const Task& task) {
  return task.state == TaskState::kSucceeded;
}

struct Room {
  Resources free;
  std::set<int> gpus;
  std::map<std::string, int> per_user;
  std::map<std::string, int> per_group;
};

Room room_of(const State& state) {
  Room room;
  room.free = state.settings.capacity;
  for (int i = 0; i < state.settings.capacity.gpus; ++i)
    room.gpus.insert(i);
  for (const auto& [id, run] : state.runs) {
    if (run.state == RunState::kRunning || run.state == RunState::kCancelling) {
      ++room.per_group[run.group];
    }
    for (const Task& task : run.tasks) {
      if (!task.active()) continue;
      room.free.cpu_millis -= task.plan.resources.cpu_millis;
      room.free.memory_bytes -= task.plan.resources.memory_bytes;
      for (const int gpu : task.attempts.back().gpus)
        room.gpus.erase(gpu);
      ++room.per_user[run.user];
    }
  }
  room.free.gpus = static_cast<int>(room.gpus.size());
  return room;
}

bool fits(const Resources& request, const Resources& free) {
  return request.cpu_millis <= free.cpu_millis && request.memory_bytes <= free.memory_bytes &&
         request.gpus <= free.gpus;
}

class Stepper {
 public:
  Stepper(State& state, Instant now) : state_(state), now_(now) {}

  void operator()(const RunSubmitted& event) {
    if (state_.runs.contains(event.run.id)) return;
    Run& run = state_.runs[event.run.id] = event.run;
    touch(run);
    for (std::size_t i = 0; i < run.tasks.size(); ++i)
      touch(run, i);
  }

  void operator()(const CancelRequested& event) {
    Run* const run = find_run(event.run);
    if (run == nullptr || run->state == RunState::kCancelling) return;
    run->state = RunState::kCancelling;
    run->reason = event.reason;
    touch(*run);
    for (std::size_t i = 0; i < run->tasks.size(); ++i) {
      Task& task = run->tasks[i];
      if (task.active()) {
        stop(*run, i);
      } else if (!task.ended()) {
        end_task(*run, i, TaskState::kCancelled, "the run was cancelled");
      }
    }
  }

  void operator()(const AgentUp& event) {
    state_.agent_up = true;
    std::map<std::string, const AttemptReport*> reports;
    for (const auto& report : event.attempts)
      reports[report.token] = &report;
    // A copy of the list: ending an attempt changes what is active.
    for (const std::string& token : state_.active_tokens()) {
      const auto found = reports.find(token);
      const auto phase =
          found == reports.end() ? AttemptReport::Phase::kUnknown : found->second->phase;
      if (phase == AttemptReport::Phase::kEnded) {
        const AttemptReport& last = *found->second;
        (*this)(AttemptEnded{token, last.exit, last.at, last.started, last.pid});
        continue;
      }
      if (phase == AttemptReport::Phase::kStarted) {
        (*this)(AttemptStarted{token, found->second->pid, found->second->at});
      }
      send_again(token, phase);
    }
  }

  void operator()(const AgentDown&) { state_.agent_up = false; }

  void operator()(const AttemptStarted& event) {
    auto [run, ordinal] = find_active(event.token);
    if (run == nullptr) return;
    Task& task = run->tasks[ordinal];
    Attempt& attempt = task.attempts.back();
    if (attempt.state != AttemptState::kStarting) return;
    attempt.state = AttemptState::kRunning;
    attempt.pid = event.pid;
    attempt.started = event.at;
    task.state = TaskState::kRunning;
    touch(*run, ordinal);
  }

  void operator()(const AttemptEnded& event) {
    auto [run, ordinal] = find_active(event.token);
    if (run == nullptr) return;
    Task& task = run->tasks[ordinal];
    Attempt& attempt = task.attempts.back();
    if (attempt.state == AttemptState::kStarting) {  // over before anyone told that it runs
      attempt.started = event.started;
      attempt.pid = event.pid;
    }
    attempt.state = AttemptState::kEnded;
    attempt.finished = event.at;
    attempt.exit = event.exit;
    touch(*run, ordinal);
    if (event.exit.succeeded() && !attempt.stopping) {
      end_task(*run, ordinal, TaskState::kSucceeded, "");
    } else if (run->state == RunState::kCancelling) {
      end_task(*run, ordinal, TaskState::kCancelled, "the run was cancelled");
    } else {
      repeat_or_fail(*run, ordinal, event);
    }
  }

  void operator()(const Tick&) {}

  std::vector<Action> finish() {
    wake_retries();
    settle_runs();
    admit();
    for (const auto& [id, ordinals] : touched_) {
      const Run& run = state_.runs.at(id);
      if (heads_.contains(id)) records_.push_back(RecordRun{without_tasks(run)});
      for (const std::size_t i : ordinals)
        records_.push_back(RecordTask{id, i, run.tasks[i]});
    }
    for (const std::string& id : ended_)
      state_.runs.erase(id);
    if (!state_.agent_up && wants_agent()) actions_.push_back(WantAgent{});
    records_.insert(records_.end(), std::make_move_iterator(actions_.begin()),
                    std::make_move_iterator(actions_.end()));
    return std::move(records_);
  }

 private:
  void touch(const Run& run) {
    touched_[run.id];
    heads_.insert(run.id);
  }
  void touch(const Run& run, std::size_t ordinal) { touched_[run.id].insert(ordinal); }

  Run* find_run(const std::string& id) {
    const auto found = state_.runs.find(id);
    return found == state_.runs.end() ? nullptr : &found->second;
  }

  // The task whose current attempt bears this token, when that attempt has not ended.
  std::pair<Run*, std::size_t> find_active(const std::string& text) {
    const auto token = Token::parse(text);
    Run* const run = token ? find_run(token->run) : nullptr;
    if (run == nullptr) return {nullptr, 0};
    const Task* const task = run->task(token->step);
    if (task == nullptr || !task->active() || task->attempts.back().number != token->number) {
      return {nullptr, 0};
    }
    return {run, static_cast<std::size_t>(task - run->tasks.data())};
  }

  static std::string token_of(const Run& run, const Task& task) {
    return Token{run.id, task.plan.step, task.attempts.back().number}.to_string();
  }

  void stop(Run& run, std::size_t ordinal) {
    Task& task = run.tasks[ordinal];
    task.attempts.back().stopping = true;
    touch(run, ordinal);
    if (state_.agent_up) actions_.push_back(StopAttempt{token_of(run, task)});
  }

  // The agent has come (back): repeat what it may have missed.
  void send_again(const std::string& token, AttemptReport::Phase phase) {
    const auto [run, ordinal] = find_active(token);
    if (run == nullptr) return;
    const Task& task = run->tasks[ordinal];
    if (task.attempts.back().stopping) {
      actions_.push_back(StopAttempt{token});
    } else if (phase == AttemptReport::Phase::kUnknown) {
      actions_.push_back(StartAttempt{token, without_tasks(*run), task});
    }
  }

  void repeat_or_fail(Run& run, std::size_t ordinal, const AttemptEnded& event) {
    Task& task = run.tasks[ordinal];
    // A lost attempt may have done its work: it counts like any other, so that a step without
    // retries never runs twice. One that had not begun is not lost, see send_again().
    ++task.failures;
    if (task.failures <= task.plan.retries.count) {
      task.state = TaskState::kRetrying;
      task.not_before = now_ + backoff(task.plan.retries, task.failures, event.token);
      return;
    }
    std::string reason = event.exit.message;
    if (event.exit.ending == Ending::kLost && task.plan.retries.count == 0)
      reason += "; give the step retries if it may be repeated then";
    if (reason.empty()) reason = fmt::format("exit code {}", event.exit.code);
    end_task(run, ordinal, TaskState::kFailed, std::move(reason));
  }

  void end_task(Run& run, std::size_t ordinal, TaskState state, std::string reason) {
    run.tasks[ordinal].state = state;
    run.tasks[ordinal].reason = std::move(reason);
    touch(run, ordinal);
  }

  void wake_retries() {
    for (auto& [id, run] : state_.runs) {
      for (std::size_t i = 0; i < run.tasks.size(); ++i) {
        Task& task = run.tasks[i];
        if (task.state != TaskState::kRetrying || task.not_before > now_) continue;
        task.state = TaskState::kReady;
        task.ready_since = now_;
        touch(run, i);
      }
    }
  }

  void settle_runs() {
    // Queued runs of a group start in order as its limit allows.
    std::vector<Run*> queued;
    for (auto& [id, run] : state_.runs) {
      if (run.state == RunState::kQueued) queued.push_back(&run);
      if (run.state != RunState::kQueued) settle(run);
    }
    Room room = room_of(state_);
    std::ranges::sort(queued, {},
                      [](const Run* r) { return std::pair(-r->priority, r->sequence); });
    for (Run* const run : queued) {
      int& running = room.per_group[run->group];
      if (run->group_limit > 0 && running >= run->group_limit) continue;
      ++running;
      run->state = RunState::kRunning;
      run->started = now_;
      touch(*run);
      settle(*run);
    }
  }

  // Moves waiting tasks on and ends the run when all its tasks have ended.
  void settle(Run& run) {
    if (run.state == RunState::kRunning) {
      for (bool moved = true; moved;) {
        moved = false;
        for (std::size_t i = 0; i < run.tasks.size(); ++i)
          moved |= settle_task(run, i);
      }
    }
    if (!std::ranges::all_of(run.tasks, &Task::ended)) return;
    const auto failed = std::ranges::find(run.tasks, TaskState::kFailed, &Task::state);
    if (run.state == RunState::kCancelling) {
      run.state = RunState::kCancelled;
    } else if (failed != run.tasks.end()) {
      run.state = RunState::kFailed;
      run.reason = fmt::format("step '{}' failed: {}", failed->plan.step, failed->reason);
    } else {
      run.state = RunState::kSucceeded;
    }
    run.finished = now_;
    touch(run);
    ended_.insert(run.id);
  }

  bool settle_task(Run& run, std::size_t ordinal) {
    Task& task = run.tasks[ordinal];
    if (task.state != TaskState::kWaiting) return false;
    bool ready = true;
    for (const std::string& need : task.plan.needs) {
      const Task* const before = run.task(need);
      if (before->ended() && !is_up(*before)) {
        end_task(run, ordinal, TaskState::kSkipped, fmt::format("step '{}' did not succeed", need));
        return true;
      }
      ready = ready && is_up(*before);
    }
    if (!ready) return false;
    task.state = TaskState::kReady;
    task.ready_since = now_;
    touch(run, ordinal);
    return true;
  }

  void admit() {
    if (!state_.agent_up) return;
    struct Candidate {
      Run* run;
      std::size_t ordinal;
    };
    std::vector<Candidate> ready;
    for (auto& [id, run] : state_.runs) {
      if (run.state != RunState::kRunning) continue;
      for (std::size_t i = 0; i < run.tasks.size(); ++i) {
        if (run.tasks[i].state == TaskState::kReady) ready.push_back({&run, i});
      }
    }
    if (ready.empty()) return;
    std::ranges::sort(ready, {}, [](const Candidate& c) {
      return std::tuple(-c.run->priority, c.run->sequence, c.ordinal);
    });
    Room room = room_of(state_);
    for (const Candidate& c : ready) {
      const Task& task = c.run->tasks[c.ordinal];
      if (room.per_user[c.run->user] >= state_.settings.running_per_user) continue;
      if (fits(task.plan.resources, room.free)) {
        start(*c.run, c.ordinal, room);
      } else if (task.ready_since + state_.settings.patience <= now_) {
        break;
      }
    }
  }

  void start(Run& run, std::size_t ordinal, Room& room) {
    Task& task = run.tasks[ordinal];
    Attempt attempt;
    attempt.number = task.attempts.empty() ? 1 : task.attempts.back().number + 1;
    attempt.created = now_;
    for (int i = 0; i < task.plan.resources.gpus; ++i) {
      attempt.gpus.push_back(*room.gpus.begin());
      room.gpus.erase(room.gpus.begin());
    }
    task.attempts.push_back(std::move(attempt));
    task.state = TaskState::kStarting;
    task.reason.clear();
    room.free.cpu_millis -= task.plan.resources.cpu_millis;
    room.free.memory_bytes -= task.plan.resources.memory_bytes;
    room.free.gpus -= task.plan.resources.gpus;
    ++room.per_user[run.user];
    touch(run, ordinal);
    actions_.push_back(StartAttempt{token_of(run, task), without_tasks(run), task});
  }

  bool wants_agent() const {
    for (const auto& [id, run] : state_.runs) {
      if (run.state == RunState::kQueued) continue;
      for (const Task& task : run.tasks) {
        if (task.active() || task.state == TaskState::kReady) return true;
      }
    }
    return false;
  }

  State& state_;
  Instant now_;
  std::vector<Action> records_, actions_;
  std::map<std::string, std::set<std::size_t>> touched_;
  std::set<std::string> heads_, ended_;
};

std::string shortage(const Resources& request, const Resources& free) {
  if (request.cpu_millis > free.cpu_millis) {
    return fmt::format("needs {} cores, {} are free", static_cast<double>(request.cpu_millis) / 1e3,
                       static_cast<double>(free.cpu_millis) / 1e3);
  }
  if (request.memory_bytes > free.memory_bytes) {
    return fmt::format(
        "needs {} of memory, {} are free",
        show_bytes(static_cast<std::uint64_t>(request.memory_bytes)),
        show_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(0, free.memory_bytes))));
  }
  if (request.gpus > free.gpus) {
    return fmt::format("needs {} GPUs, {} are free", request.gpus, free.gpus);
  }
  return "";
}

}  // namespace

std::vector<Action> step(State& state, const Event& event) {
  Stepper stepper(state, event.now);
  std::visit(stepper, event.what);
  return stepper.finish();
}

std::vector<std::string> State::active_tokens() const {
  std::vector<std::string> out;
  for (const auto& [id, run] : runs) {
    for (const Task& task : run.tasks) {
      if (task.active()) {
        out.push_back(Token{id, task.plan.step, task.attempts.back().number}.to_string());
      }
    }
  }
  return out;
}

std::optional<Instant> State::next_wake() const {
  std::optional<Instant> earliest;
  for (const auto& [id, run] : runs) {
    for (const Task& task : run.tasks) {
      if (task.state != TaskState::kRetrying) continue;
      if (!earliest || task.not_before < *earliest) earliest = task.not_before;
    }
  }
  return earliest;
}

std::string State::why_waiting(const Run& run, const Task& task) const {
  if (run.state == RunState::kQueued) {
    const auto ahead = std::ranges::count_if(runs, [&](const auto& entry) {
      return entry.second.group == run.group && entry.second.state != RunState::kQueued;
    });
    if (run.group_limit == 0 || ahead < run.group_limit) return "the run is about to begin";
    return fmt::format("{} runs of this pipeline are allowed at a time", run.group_limit);
  }
  if (task.state == TaskState::kRetrying) return "next attempt at " + to_rfc3339(task.not_before);
  if (task.state == TaskState::kReady) {
    const Room room = room_of(*this);
    if (!agent_up) return "the node agent is starting";
    const auto mine = room.per_user.find(run.user);
    if (mine != room.per_user.end() && mine->second >= settings.running_per_user) {
      return fmt::format("user '{}' may run {} tasks at a time", run.user,
                         settings.running_per_user);
    }
    const std::string missing = shortage(task.plan.resources, room.free);
    return missing.empty() ? "waits behind an earlier task" : missing;
  }
  if (task.state != TaskState::kWaiting) return "";
  std::vector<std::string> missing;
  for (const std::string& need : task.plan.needs) {
    const auto found =
        std::ranges::find(run.tasks, need, [](const Task& t) { return t.plan.step; });
    if (found != run.tasks.end() && !is_up(*found)) missing.push_back(need);
  }
  return "waits for " + join(missing, ", ");
}

Status check_fits(const Resources& capacity, const TaskPlan& plan) {
  const std::string missing = shortage(plan.resources, capacity);
  if (missing.empty()) return {};
  return invalid("steps." + plan.step + ".resources",
                 fmt::format("step '{}' {} on this node even when it is idle", plan.step, missing));
}

}  // namespace strata::resources::scheduler
