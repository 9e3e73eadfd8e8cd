#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "resources/scheduler/scheduler.hpp"

namespace strata::resources::scheduler {
namespace {

using testing::HasSubstr;

// One node with four cores; the test plays agent and clock.
class Bench {
 public:
  Bench() {
    state.settings.capacity = {.cpu_millis = 4000, .memory_bytes = 1 << 30, .gpus = 1};
    send(AgentUp{});
  }

  std::vector<std::string> send(auto what) {
    std::vector<std::string> started;
    for (const Action& action : step(state, Event{now, std::move(what)})) {
      if (const auto* const a = std::get_if<StartAttempt>(&action)) started.push_back(a->token);
      if (const auto* const a = std::get_if<StopAttempt>(&action)) stopped.push_back(a->token);
      if (const auto* const a = std::get_if<RecordRun>(&action)) runs[a->run.id] = a->run;
      if (const auto* const a = std::get_if<RecordTask>(&action)) {
        tasks[a->run + "/" + a->task.plan.step] = a->task;
      }
    }
    return started;
  }

  std::vector<std::string> submit(const std::string& id, std::vector<TaskPlan> plans,
                                  int priority = 0, const std::string& user = "ada") {
    Run run;
    run.id = id;
    run.user = user;
    run.priority = priority;
    run.group = group;
    run.group_limit = group_limit;
    run.sequence = ++sequence;
    for (auto& plan : plans) {
      Task task;
      task.plan = std::move(plan);
      run.tasks.push_back(std::move(task));
    }
    return send(RunSubmitted{run});
  }

  std::vector<std::string> end(const std::string& token, int code,
                               Ending ending = Ending::kExited) {
    send(AttemptStarted{token, 42, now});
    Exit exit;
    exit.ending = ending;
    exit.code = code;
    return send(AttemptEnded{token, exit, now});
  }

  std::vector<std::string> after(std::chrono::microseconds d) {
    now = now + d;
    return send(Tick{});
  }

  State state;
  Instant now{1'000'000};
  std::string group;
  int group_limit = 0;
  std::int64_t sequence = 0;
  std::map<std::string, Run> runs;
  std::map<std::string, Task> tasks;
  std::vector<std::string> stopped;
};

TaskPlan plan(const std::string& step, std::vector<std::string> needs = {},
              std::int64_t cpu_millis = 1000) {
  TaskPlan out;
  out.step = step;
  out.needs = std::move(needs);
  out.resources.cpu_millis = cpu_millis;
  return out;
}

using Tokens = std::vector<std::string>;
using std::chrono::seconds;

TEST(SchedulerStep, A_step_starts_when_all_that_it_needs_has_succeeded) {
  Bench bench;
  EXPECT_EQ(bench.submit("r", {plan("a"), plan("b"), plan("c", {"a", "b"})}),
            (Tokens{"r.a.1", "r.b.1"}));
  EXPECT_TRUE(bench.end("r.a.1", 0).empty());
  EXPECT_EQ(bench.end("r.b.1", 0), (Tokens{"r.c.1"}));
  bench.end("r.c.1", 0);
  EXPECT_EQ(bench.runs["r"].state, RunState::kSucceeded);
  EXPECT_TRUE(bench.state.runs.empty());
}

TEST(SchedulerStep, What_needs_a_failed_step_is_skipped_and_the_rest_goes_on) {
  Bench bench;
  bench.submit("r", {plan("a"), plan("b", {"a"}), plan("c", {"b"}), plan("d")});
  bench.end("r.a.1", 3);
  EXPECT_EQ(bench.tasks["r/c"].state, TaskState::kSkipped);
  EXPECT_EQ(bench.runs["r"].state, RunState::kRunning);
  bench.end("r.d.1", 0);
  EXPECT_EQ(bench.runs["r"].state, RunState::kFailed);
  EXPECT_THAT(bench.runs["r"].reason, HasSubstr("'a'"));
  EXPECT_THAT(bench.runs["r"].reason, HasSubstr("exit code 3"));
}

TEST(SchedulerStep, Retries_wait_longer_each_time_and_are_counted_as_repetitions) {
  Bench bench;
  TaskPlan flaky = plan("a");
  flaky.retries = {.count = 2, .initial = seconds(1), .factor = 3, .max = seconds(60), .jitter = 0};
  bench.submit("r", {flaky});
  EXPECT_TRUE(bench.end("r.a.1", 1).empty());
  EXPECT_TRUE(bench.after(std::chrono::milliseconds(999)).empty());
  EXPECT_EQ(bench.after(std::chrono::milliseconds(1)), (Tokens{"r.a.2"}));
  bench.end("r.a.2", 1);
  EXPECT_TRUE(bench.after(std::chrono::milliseconds(2999)).empty());
  EXPECT_EQ(bench.after(std::chrono::milliseconds(1)), (Tokens{"r.a.3"}));
  bench.end("r.a.3", 1);
  EXPECT_EQ(bench.runs["r"].state, RunState::kFailed);
}

TEST(SchedulerStep, A_late_word_of_an_older_attempt_changes_nothing) {
  Bench bench;
  TaskPlan flaky = plan("a");
  flaky.retries = {.count = 1, .initial = seconds(0), .max = seconds(0)};
  bench.submit("r", {flaky});
  EXPECT_EQ(bench.end("r.a.1", 1), (Tokens{"r.a.2"}));
  bench.end("r.a.1", 0);
  EXPECT_EQ(bench.state.runs.at("r").tasks[0].state, TaskState::kStarting);
  bench.send(AttemptStarted{"r.a.1", 7, bench.now});
  EXPECT_EQ(bench.state.runs.at("r").tasks[0].state, TaskState::kStarting);
  bench.send(AttemptEnded{"nonsense", {}, bench.now});
}

TEST(SchedulerStep, An_attempt_that_ended_before_its_start_was_told_has_its_start_all_the_same) {
  Bench bench;
  bench.submit("r", {plan("a"), plan("b")});
  const Instant begun = bench.now - std::chrono::milliseconds(3);
  bench.send(AttemptEnded{"r.a.1", {}, bench.now, begun, 7});
  EXPECT_EQ(bench.tasks["r/a"].attempts.back().started, begun);
  EXPECT_EQ(bench.tasks["r/a"].attempts.back().pid, 7);
  AgentUp up;
  up.attempts = {{.token = "r.b.1",
                  .phase = AttemptReport::Phase::kEnded,
                  .pid = 8,
                  .at = bench.now,
                  .started = begun}};
  bench.send(up);
  EXPECT_EQ(bench.tasks["r/b"].attempts.back().started, begun);
}

TEST(SchedulerStep, A_lost_attempt_is_repeated_only_by_a_retry_since_it_may_have_done_its_work) {
  Bench bench;
  bench.submit("once", {plan("a")});
  EXPECT_EQ(bench.end("once.a.1", -1, Ending::kLost), Tokens{});
  EXPECT_EQ(bench.runs["once"].state, RunState::kFailed);
  TaskPlan careless = plan("a");
  careless.retries = {.count = 1, .initial = seconds(0), .max = seconds(0)};
  bench.submit("twice", {careless});
  EXPECT_EQ(bench.end("twice.a.1", -1, Ending::kLost), (Tokens{"twice.a.2"}));
  bench.end("twice.a.2", -1, Ending::kLost);
  EXPECT_EQ(bench.runs["twice"].state, RunState::kFailed);
}

TEST(SchedulerStep, Only_what_fits_runs_and_the_order_is_priority_then_submission) {
  Bench bench;
  EXPECT_EQ(bench.submit("first", {plan("a", {}, 3000)}), (Tokens{"first.a.1"}));
  EXPECT_TRUE(bench.submit("second", {plan("a", {}, 3000)}).empty());
  EXPECT_TRUE(bench.submit("urgent", {plan("a", {}, 3000)}, 10).empty());
  EXPECT_THAT(bench.state.why_waiting(bench.state.runs.at("second"),
                                      bench.state.runs.at("second").tasks[0]),
              HasSubstr("needs 3 cores, 1 are free"));
  EXPECT_EQ(bench.end("first.a.1", 0), (Tokens{"urgent.a.1"}));
}

TEST(SchedulerStep, Small_tasks_pass_a_big_one_only_until_its_patience_ends) {
  Bench bench;
  bench.submit("running", {plan("a", {}, 2000)});
  EXPECT_TRUE(bench.submit("big", {plan("a", {}, 4000)}).empty());
  EXPECT_EQ(bench.submit("small1", {plan("a")}), (Tokens{"small1.a.1"}));
  bench.after(seconds(31));
  EXPECT_TRUE(bench.submit("small2", {plan("a")}).empty());
  bench.end("small1.a.1", 0);
  EXPECT_EQ(bench.end("running.a.1", 0), (Tokens{"big.a.1"}));
  EXPECT_EQ(bench.end("big.a.1", 0), (Tokens{"small2.a.1"}));
}

TEST(SchedulerStep, One_user_does_not_take_all_places) {
  Bench bench;
  bench.state.settings.running_per_user = 2;
  EXPECT_EQ(bench.submit("r", {plan("a"), plan("b"), plan("c")}).size(), 2u);
  EXPECT_EQ(bench.submit("s", {plan("a")}, 0, "bob"), (Tokens{"s.a.1"}));
  EXPECT_EQ(bench.end("r.a.1", 0), (Tokens{"r.c.1"}));
}

TEST(SchedulerStep, Runs_of_a_pipeline_queue_behind_its_limit) {
  Bench bench;
  bench.group = "daily";
  bench.group_limit = 1;
  bench.submit("r1", {plan("a")});
  EXPECT_TRUE(bench.submit("r2", {plan("a")}).empty());
  const auto& queued = bench.state.runs.at("r2");
  EXPECT_EQ(queued.state, RunState::kQueued);
  EXPECT_THAT(bench.state.why_waiting(queued, queued.tasks[0]), HasSubstr("1 runs"));
  EXPECT_EQ(bench.end("r1.a.1", 0), (Tokens{"r2.a.1"}));
}

TEST(SchedulerStep, A_run_that_nothing_holds_up_is_not_said_to_wait_for_others) {
  Bench bench;
  scheduler::Run fresh;
  fresh.id = "r";
  fresh.group = "daily";
  fresh.group_limit = 16;
  fresh.tasks.emplace_back();
  EXPECT_THAT(bench.state.why_waiting(fresh, fresh.tasks[0]), HasSubstr("about to begin"));
}

TEST(SchedulerStep, Gpus_are_given_to_one_task_at_a_time_by_index) {
  Bench bench;
  TaskPlan gpu = plan("a");
  gpu.resources.gpus = 1;
  bench.submit("r1", {gpu});
  EXPECT_EQ(bench.tasks["r1/a"].attempts.back().gpus, std::vector<int>{0});
  EXPECT_TRUE(bench.submit("r2", {gpu}).empty());
  EXPECT_EQ(bench.end("r1.a.1", 0), (Tokens{"r2.a.1"}));
}

TEST(SchedulerStep, Cancelling_stops_what_runs_and_ends_what_waits) {
  Bench bench;
  bench.submit("r", {plan("a"), plan("b", {"a"})});
  bench.send(AttemptStarted{"r.a.1", 7, bench.now});
  bench.send(CancelRequested{"r", "asked"});
  EXPECT_EQ(bench.stopped, (Tokens{"r.a.1"}));
  EXPECT_EQ(bench.tasks["r/b"].state, TaskState::kCancelled);
  EXPECT_EQ(bench.runs["r"].state, RunState::kCancelling);
  bench.send(AttemptEnded{"r.a.1", {.ending = Ending::kCancelled, .code = 143}, bench.now});
  EXPECT_EQ(bench.runs["r"].state, RunState::kCancelled);
}

TEST(SchedulerStep, A_returning_agent_is_told_again_what_it_missed) {
  Bench bench;
  bench.submit("r", {plan("a"), plan("b")});
  bench.send(AttemptStarted{"r.b.1", 7, bench.now});
  bench.send(AgentDown{});
  EXPECT_TRUE(bench.submit("s", {plan("a")}).empty());
  AgentUp up;
  up.attempts = {{.token = "r.a.1", .exit = {}},
                 {.token = "r.b.1",
                  .phase = AttemptReport::Phase::kEnded,
                  .exit = {.ending = Ending::kExited, .code = 0}}};
  EXPECT_EQ(bench.send(up), (Tokens{"r.a.1", "s.a.1"}));
  EXPECT_EQ(bench.tasks["r/b"].state, TaskState::kSucceeded);
}

TEST(SchedulerStep, A_request_beyond_the_node_is_refused_with_the_figures) {
  TaskPlan big = plan("a", {}, 64'000);
  const auto refused = check_fits({.cpu_millis = 4000, .memory_bytes = 1, .gpus = 0}, big);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("needs 64 cores, 4 are free"));
}

}  // namespace
}  // namespace strata::resources::scheduler
