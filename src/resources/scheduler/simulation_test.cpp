// A whole world around step(): a server that loses its memory, an agent that loses its own, shims
// that outlive both, a network that drops what was under way, and power failures. Every seed is one
// history; all of them must keep the promises in scheduler.hpp.
#include <deque>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "resources/scheduler/scheduler.hpp"

namespace strata::resources::scheduler {
namespace {

// What one attempt left on the node's disk, and its process.
struct Shim {
  enum class Phase { kSpawned, kClaimed, kRunning, kEnded, kDead } phase = Phase::kSpawned;
  Resources resources;
  std::vector<int> gpus;
  Exit exit;
  Instant started, finished;
};

class World {
 public:
  explicit World(unsigned seed) : random_(seed) {
    settings_.capacity = {.cpu_millis = 4000, .memory_bytes = 1000, .gpus = 2};
    settings_.running_per_user = 3;
    settings_.patience = microseconds(2'000'000);
    boot();
  }

  void live(int steps, bool hostile) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      now_ = now_ + microseconds(pick(300'000));
      act(hostile);
      check();
    }
  }

  void submit() {
    Run run;
    run.id = fmt::format("r{}", ++submitted_);
    run.sequence = submitted_;
    run.user = pick(2) == 0 ? "ada" : "bob";
    run.group = pick(2) == 0 ? "g" : "h";
    run.group_limit = 3;
    run.priority = pick(3);
    run.created = now_;
    const int count = 1 + pick(5);
    for (int i = 0; i < count; ++i) {
      Task task;
      task.plan.step = fmt::format("s{}", i);
      for (int k = 0; k < i; ++k) {
        if (pick(3) == 0) task.plan.needs.push_back(fmt::format("s{}", k));
      }
      task.plan.resources = {.cpu_millis = 500 * (1 + pick(8)),
                             .memory_bytes = pick(900),
                             .gpus = pick(5) == 0 ? 1 + pick(2) : 0};
      task.plan.retries = {.count = pick(3),
                           .initial = microseconds(pick(2) * 100'000),
                           .factor = 2,
                           .max = microseconds(1'000'000),
                           .jitter = 0.2};
      run.tasks.push_back(std::move(task));
    }
    // The service makes a run durable before it tells the scheduler.
    runs_[run.id] = run_to_json(run);
    for (std::size_t i = 0; i < run.tasks.size(); ++i)
      tasks_[{run.id, i}] = task_to_json(run.tasks[i]);
    handle(RunSubmitted{run});
  }

  bool all_ended() const {
    return std::ranges::all_of(
        runs_, [](const auto& entry) { return run_from_json(entry.second)->ended(); });
  }

  // Every recorded end is the true one, and every task has one that fits its run.
  void check_records() const {
    for (const auto& [key, doc] : tasks_) {
      const Task task = *task_from_json(doc);
      EXPECT_TRUE(task.ended()) << doc.dump();
      for (const Attempt& attempt : task.attempts) {
        const std::string token = Token{key.first, task.plan.step, attempt.number}.to_string();
        ASSERT_EQ(attempt.state, AttemptState::kEnded) << token;
        const auto shim = shims_.find(token);
        if (shim == shims_.end()) continue;
        if (shim->second.phase == Shim::Phase::kEnded) {
          EXPECT_EQ(attempt.exit.code, shim->second.exit.code) << token;
          EXPECT_EQ(attempt.exit.ending, shim->second.exit.ending) << token;
        } else {
          EXPECT_EQ(attempt.exit.ending, Ending::kLost) << token;
        }
      }
      if (task.state == TaskState::kSucceeded) {
        EXPECT_TRUE(task.attempts.back().exit.succeeded());
      }
      const auto failures = static_cast<int>(std::ranges::count_if(
          task.attempts, [](const Attempt& a) { return !a.exit.succeeded(); }));
      EXPECT_LE(failures, task.plan.retries.count + 1) << doc.dump();
      // Whatever is lost, a step runs once more for each retry and no more often.
      EXPECT_LE(task.attempts.size(), static_cast<std::size_t>(task.plan.retries.count) + 1);
    }
  }

 private:
  int pick(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

  void act(bool hostile) {
    const int die = pick(hostile ? 100 : 80);
    if (die < 25) {
      deliver_to_agent();
    } else if (die < 50) {
      deliver_to_server();
    } else if (die < 70) {
      progress();
    } else if (die < 76) {
      handle(Tick{});
    } else if (die < 80) {
      if (!agent_alive_ && agent_wanted_) boot_agent();
    } else if (die < 86) {
      submit();
    } else if (die < 88) {
      if (submitted_ > 0)
        handle(CancelRequested{fmt::format("r{}", 1 + pick(submitted_)), "asked"});
    } else if (die < 92) {
      boot();
    } else if (die < 96) {
      kill_agent();
    } else if (die < 97) {
      power_loss();
    } else if (!from_agent_.empty()) {
      from_agent_.push_back(from_agent_.front());  // a repeated message
    }
  }

  // --- server ---
  void boot() {
    state_ = State{};
    state_.settings = settings_;
    for (const auto& [id, doc] : runs_) {
      Run run = *run_from_json(doc);
      if (run.ended()) continue;
      for (std::size_t i = 0; tasks_.contains({id, i}); ++i) {
        run.tasks.push_back(*task_from_json(tasks_.at({id, i})));
      }
      state_.runs[id] = std::move(run);
    }
    to_agent_.clear();
    from_agent_.clear();
    handle(Tick{});
    if (agent_alive_) hello();
  }

  void handle(auto what) {
    auto actions = step(state_, Event{now_, std::move(what)});
    for (const Action& action : actions) {
      if (const auto* const r = std::get_if<RecordRun>(&action))
        runs_[r->run.id] = run_to_json(r->run);
      if (const auto* const r = std::get_if<RecordTask>(&action)) {
        tasks_[{r->run, r->ordinal}] = task_to_json(r->task);
      }
    }
    // Sometimes the server dies between its commit and its first message.
    if (pick(40) == 0 && !quiet_) return boot();
    for (Action& action : actions) {
      if (std::holds_alternative<StartAttempt>(action) ||
          std::holds_alternative<StopAttempt>(action)) {
        if (agent_alive_) to_agent_.push_back(std::move(action));
      } else if (std::holds_alternative<WantAgent>(action)) {
        agent_wanted_ = true;
      }
    }
  }

  // --- agent ---
  void hello() {
    AgentUp up;
    for (const std::string& token : state_.active_tokens())
      up.attempts.push_back(report(token));
    handle(std::move(up));
  }

  AttemptReport report(const std::string& token) {
    AttemptReport out;
    out.token = token;
    const auto found = shims_.find(token);
    if (found == shims_.end() || found->second.phase == Shim::Phase::kSpawned) return out;
    const Shim& shim = found->second;
    if (shim.phase == Shim::Phase::kClaimed) return out;  // claimed, its start is not yet known
    out.phase = shim.phase == Shim::Phase::kRunning ? AttemptReport::Phase::kStarted
                                                    : AttemptReport::Phase::kEnded;
    out.at = shim.finished;
    out.exit = shim.exit;
    if (shim.phase == Shim::Phase::kDead) out.exit = {.ending = Ending::kLost, .code = -1};
    return out;
  }

  void boot_agent() {
    agent_alive_ = true;
    agent_wanted_ = false;
    hello();
  }

  void kill_agent() {
    if (!agent_alive_) return;
    agent_alive_ = false;
    to_agent_.clear();
    from_agent_.clear();
    handle(AgentDown{});
  }

  void power_loss() {
    for (const std::string& token : living_) {
      // A claim is durable, a shim that has not made it yet is gone without a trace.
      Shim& shim = shims_.at(token);
      shim.phase == Shim::Phase::kSpawned ? (void)shims_.erase(token)
                                          : (void)(shim.phase = Shim::Phase::kDead);
    }
    living_.clear();
    agent_alive_ = false;
    boot();
  }

  void deliver_to_agent() {
    if (!agent_alive_ || to_agent_.empty()) return;
    const Action action = std::move(to_agent_.front());
    to_agent_.pop_front();
    if (const auto* const start = std::get_if<StartAttempt>(&action)) {
      // A second shim of the same attempt would lose the race for the claim: one entry stands for
      // both.
      Shim shim;
      shim.resources = start->task.plan.resources;
      shim.gpus = start->task.attempts.back().gpus;
      if (shims_.try_emplace(start->token, shim).second) living_.insert(start->token);
    } else if (const auto* const stop = std::get_if<StopAttempt>(&action)) {
      Shim& shim = shims_[stop->token];
      // Stopping an attempt that nobody claimed claims it.
      if (shim.phase == Shim::Phase::kEnded || shim.phase == Shim::Phase::kDead) return;
      end(stop->token, shim, {.ending = Ending::kCancelled, .code = 143});
    }
  }

  void deliver_to_server() {
    if (!agent_alive_ || from_agent_.empty()) return;
    const auto at = static_cast<std::ptrdiff_t>(pick(static_cast<int>(from_agent_.size())));
    auto event = from_agent_[static_cast<std::size_t>(at)];
    from_agent_.erase(from_agent_.begin() + at);
    std::visit([&](auto& e) { handle(e); }, event);
  }

  // --- shims ---
  void progress() {
    if (living_.empty()) return;
    const std::string token = *std::next(living_.begin(), pick(static_cast<int>(living_.size())));
    Shim& shim = shims_.at(token);
    if (shim.phase == Shim::Phase::kSpawned) {
      shim.phase = Shim::Phase::kClaimed;
    } else if (shim.phase == Shim::Phase::kClaimed) {
      shim.phase = Shim::Phase::kRunning;
      shim.started = now_;
      EXPECT_EQ(++executions_[token], 1) << token << " ran twice";
      if (agent_alive_) from_agent_.push_back(AttemptStarted{token, 1, now_});
    } else if (shim.phase == Shim::Phase::kRunning) {
      const int die = pick(10);
      end(token, shim, {.ending = Ending::kExited, .code = die < 7 ? 0 : die});
    }
  }

  void end(const std::string& token, Shim& shim, const Exit& exit) {
    shim.phase = Shim::Phase::kEnded;
    living_.erase(token);
    shim.exit = exit;
    shim.finished = now_;
    // A word may come twice and late.
    for (int copies = agent_alive_ ? 1 + pick(3) : 0; copies > 0; --copies) {
      from_agent_.push_back(AttemptEnded{token, exit, now_});
    }
  }

  // --- promises ---
  void check() {
    std::map<std::string, int> per_task;
    Resources used{.cpu_millis = 0, .memory_bytes = 0, .gpus = 0};
    std::set<int> gpus;
    for (const std::string& text : living_) {
      const Shim& shim = shims_.at(text);
      if (shim.phase == Shim::Phase::kSpawned) continue;
      const Token token = *Token::parse(text);
      ASSERT_EQ(++per_task[token.run + "/" + token.step], 1)
          << text << " runs beside another attempt";
      used.cpu_millis += shim.resources.cpu_millis;
      used.memory_bytes += shim.resources.memory_bytes;
      for (const int gpu : shim.gpus)
        ASSERT_TRUE(gpus.insert(gpu).second) << "GPU given twice";
    }
    ASSERT_LE(used.cpu_millis, settings_.capacity.cpu_millis);
    ASSERT_LE(used.memory_bytes, settings_.capacity.memory_bytes);
  }

 public:
  void calm() {
    quiet_ = true;
    for (int i = 0; i < 20'000 && !all_ended(); ++i)
      live(1, false);
  }

 private:
  std::mt19937 random_;
  Instant now_{1'000'000};
  Settings settings_;
  int submitted_ = 0;
  bool quiet_ = false;

  State state_;
  std::map<std::string, Json> runs_;
  std::map<std::pair<std::string, std::size_t>, Json> tasks_;
  bool agent_alive_ = false, agent_wanted_ = false;
  std::deque<Action> to_agent_;
  std::deque<std::variant<AttemptStarted, AttemptEnded>> from_agent_;
  std::map<std::string, Shim> shims_;
  std::map<std::string, int> executions_;
  std::set<std::string> living_;
};

// STRATA_SIMULATION_SEEDS asks for more histories than the short default.
TEST(SchedulerSimulation, Hundreds_of_histories_with_crashes_keep_every_promise) {
  const char* const asked = std::getenv("STRATA_SIMULATION_SEEDS");
  const auto seeds = asked == nullptr ? 300 : to_int(asked).value_or(300);
  for (std::int64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(static_cast<unsigned>(seed));
    world.live(150, true);
    if (HasFailure()) return;
    world.calm();
    ASSERT_TRUE(world.all_ended()) << "work was lost";
    world.check_records();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace strata::resources::scheduler
