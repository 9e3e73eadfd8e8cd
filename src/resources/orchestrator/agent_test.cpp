// The real agent and shim as processes of their own; the test program plays all three parts.
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/text.hpp"
#include "resources/orchestrator/attempt_state.hpp"
#include "resources/orchestrator/orchestrator.hpp"

namespace strata::resources::orchestrator {
namespace {

using scheduler::AttemptReport;
using scheduler::Ending;
using testing::HasSubstr;
using Phase = AttemptReport::Phase;
using namespace std::chrono_literals;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// When the program is started as `... agent --data DIR` or `... shim` it is that process and no
// test.
const bool kIsTest = [] {
  const std::string line = read_text("/proc/self/cmdline");
  const auto words = split(line, '\0');
  if (words.size() > 1 && words[1] == "shim") _exit(run_shim());
  if (words.size() > 3 && words[1] == "agent") {
    _exit(run_agent({.data = words[3], .executable = "/proc/self/exe", .linger = 300ms}));
  }
  return true;
}();

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    char name[] = "/tmp/strata-agent-XXXXXX";
    data_ = mkdtemp(name);
    executable_ = std::filesystem::read_symlink("/proc/self/exe");
    connect();
  }
  ~AgentTest() override {
    agent_.reset();
    (void)stop_agent(data_, true, 10s);
    std::filesystem::remove_all(data_);
  }

  void connect(const std::vector<std::string>& tokens = {}) {
    agent_.reset();
    greeted_ = false;
    agent_ = std::make_unique<NodeAgent>(
        data_, executable_,
        NodeAgent::Handlers{.connected = [this, tokens] { agent_->hello(tokens); },
                            .greeted =
                                [this](const std::vector<AttemptReport>& reports) {
                                  for (const auto& report : reports)
                                    take(report);
                                  note([&] { greeted_ = true; });
                                },
                            .report = [this](const AttemptReport& report) { take(report); },
                            .lost =
                                [this] {
                                  note([&] { ++lost_; });
                                }});
    agent_->want();
    ASSERT_TRUE(wait([&] { return greeted_; }));
  }

  void take(const AttemptReport& report) {
    note([&] { reports_[report.token].push_back(report); });
  }
  void note(auto change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  bool wait(auto condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, condition);
  }

  Launch shell(const std::string& token, const std::string& script) const {
    Launch launch;
    launch.token = token;
    launch.directory = *attempt_directory(data_, token);
    launch.argv = {"sh", "-c", script};
    launch.environment = {"PATH=/usr/bin:/bin", "HERE=" + data_};
    return launch;
  }

  const AttemptReport* find(const std::string& token, Phase phase) const {
    const auto found = reports_.find(token);
    if (found == reports_.end()) return nullptr;
    for (const auto& report : found->second) {
      if (report.phase == phase) return &report;
    }
    return nullptr;
  }
  AttemptReport await(const std::string& token, Phase phase) {
    EXPECT_TRUE(wait([&] { return find(token, phase) != nullptr; })) << token;
    const std::lock_guard lock(mutex_);
    const auto* const found = find(token, phase);
    return found != nullptr ? *found : AttemptReport{};
  }
  AttemptReport run(const Launch& launch) {
    agent_->start(launch);
    return await(launch.token, Phase::kEnded);
  }
  std::string log(const std::string& token) const {
    return read_text(*attempt_directory(data_, token) + "/log");
  }
  // Waits until the process is gone (or a zombie that nobody reaps here).
  static bool gone(pid_t pid) {
    for (int i = 0; i < 1000; ++i) {
      const auto identity = ProcessIdentity::of(pid);
      if (!identity || !identity->alive()) return true;
      poll(nullptr, 0, 10);
    }
    return false;
  }
  pid_t agent_pid() const {
    // The lock's holder; there is one agent for a folder.
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto pid = to_int(entry.path().filename().string());
      if (!pid) continue;
      const auto words = split(read_text(entry.path() / "cmdline"), '\0');
      if (words.size() > 3 && words[1] == "agent" && words[3] == data_)
        return static_cast<pid_t>(*pid);
    }
    return 0;
  }

  std::string data_, executable_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<AttemptReport>> reports_;
  bool greeted_ = false;
  int lost_ = 0;
  std::unique_ptr<NodeAgent> agent_;
};

TEST_F(AgentTest, Runs_a_command_and_tells_its_exit_code_output_and_usage) {
  const auto report = run(shell(
      "r.a.1",
      "echo out; echo err >&2; pwd; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3"));
  EXPECT_EQ(report.exit.ending, Ending::kExited);
  EXPECT_EQ(report.exit.code, 3);
  EXPECT_GT(report.exit.usage.cpu_micros, 0);
  EXPECT_GT(report.exit.usage.max_rss_bytes, 0);
  EXPECT_GT(report.exit.usage.wall_micros, 0);
  EXPECT_EQ(log("r.a.1"), fmt::format("out\nerr\n{}/tasks/r.a/1/work\n", data_));
  const auto* const begun = find("r.a.1", Phase::kStarted);
  ASSERT_NE(begun, nullptr);
  EXPECT_EQ(report.started, begun->at);
  EXPECT_EQ(report.pid, begun->pid);
}

TEST_F(AgentTest, A_signal_is_told_as_128_and_its_number) {
  const auto report = run(shell("r.a.1", "kill -11 $$"));
  EXPECT_EQ(report.exit.ending, Ending::kSignaled);
  EXPECT_EQ(report.exit.code, 139);
  EXPECT_THAT(report.exit.message, HasSubstr("signal 11"));
}

TEST_F(AgentTest, A_missing_program_is_named) {
  Launch launch = shell("r.a.1", "");
  launch.argv = {"no-such-program"};
  const auto report = run(launch);
  EXPECT_EQ(report.exit.ending, Ending::kNotStarted);
  EXPECT_THAT(report.exit.message, HasSubstr("no-such-program"));
  EXPECT_THAT(log("r.a.1"), HasSubstr("no-such-program"));
}

TEST_F(AgentTest, The_source_package_is_the_working_folder) {
  std::filesystem::create_directories(data_ + "/package/sub");
  std::ofstream(data_ + "/package/sub/f.txt") << "hello";
  Launch launch = shell("r.a.1", "cat sub/f.txt && echo changed > sub/f.txt");
  launch.package = data_ + "/package";
  EXPECT_EQ(run(launch).exit.code, 0);
  EXPECT_EQ(log("r.a.1"), "hello");
  EXPECT_EQ(read_text(data_ + "/package/sub/f.txt"), "hello");
}

TEST_F(AgentTest, A_timeout_ends_the_task_and_all_that_it_started) {
  Launch launch = shell("r.a.1", "setsid sleep 600 & echo $!; sleep 600");
  launch.timeout = 200ms;
  const auto report = run(launch);
  EXPECT_EQ(report.exit.ending, Ending::kTimeout);
  EXPECT_EQ(report.exit.code, 143);
  EXPECT_THAT(report.exit.message, HasSubstr("timed out"));
  const auto escaped = to_int(trim(log("r.a.1")));
  ASSERT_TRUE(escaped.has_value());
  EXPECT_TRUE(gone(static_cast<pid_t>(*escaped)));
}

TEST_F(AgentTest, What_a_finished_task_left_running_ends_with_it) {
  const auto report = run(shell("r.a.1", "setsid sleep 600 & echo $!; exit 0"));
  EXPECT_EQ(report.exit.code, 0);
  EXPECT_TRUE(gone(static_cast<pid_t>(*to_int(trim(log("r.a.1"))))));
}

TEST_F(AgentTest, Stopping_tells_cancelled_and_stopping_before_the_start_prevents_it) {
  agent_->start(shell("r.a.1", "sleep 600"));
  await("r.a.1", Phase::kStarted);
  agent_->stop("r.a.1");
  EXPECT_EQ(await("r.a.1", Phase::kEnded).exit.ending, Ending::kCancelled);

  agent_->stop("r.b.1");
  EXPECT_EQ(await("r.b.1", Phase::kEnded).exit.ending, Ending::kCancelled);
  agent_->start(shell("r.b.1", "touch $HERE/ran"));
  run(shell("r.c.1", "true"));
  EXPECT_FALSE(std::filesystem::exists(data_ + "/ran"));
}

TEST_F(AgentTest, A_start_that_comes_again_runs_nothing_again) {
  const Launch launch = shell("r.a.1", "echo x >> $HERE/ran; sleep 0.2");
  agent_->start(launch);
  agent_->start(launch);
  await("r.a.1", Phase::kEnded);
  agent_->start(launch);
  run(shell("r.b.1", "true"));
  EXPECT_EQ(read_text(data_ + "/ran"), "x\n");
}

TEST_F(AgentTest, A_task_outlives_kill_9_of_the_agent_and_its_true_end_is_told_by_the_next) {
  agent_->start(
      shell("r.a.1", "echo x >> $HERE/ran; while [ ! -e $HERE/go ]; do sleep 0.02; done; exit 7"));
  const auto started = await("r.a.1", Phase::kStarted);
  kill(agent_pid(), SIGKILL);
  ASSERT_TRUE(wait([&] { return lost_ > 0; }));
  EXPECT_EQ(kill(static_cast<pid_t>(started.pid), 0), 0);
  {
    const std::lock_guard lock(mutex_);
    reports_.clear();
  }
  connect({"r.a.1"});
  EXPECT_EQ(await("r.a.1", Phase::kStarted).pid, started.pid);
  std::ofstream(data_ + "/go") << "";
  EXPECT_EQ(await("r.a.1", Phase::kEnded).exit.code, 7);
  EXPECT_EQ(read_text(data_ + "/ran"), "x\n");
}

TEST_F(AgentTest, The_end_of_a_task_is_known_though_no_agent_lived_to_see_it) {
  agent_->start(shell("r.a.1", "while [ ! -e $HERE/go ]; do sleep 0.02; done; exit 7"));
  const auto started = await("r.a.1", Phase::kStarted);
  kill(agent_pid(), SIGKILL);
  ASSERT_TRUE(wait([&] { return lost_ > 0; }));
  std::ofstream(data_ + "/go") << "";
  ASSERT_TRUE(gone(static_cast<pid_t>(started.pid)));
  connect({"r.a.1"});
  EXPECT_EQ(await("r.a.1", Phase::kEnded).exit.code, 7);
}

TEST_F(AgentTest, A_task_whose_shim_was_killed_is_lost_and_does_not_go_on_unseen) {
  agent_->start(shell("r.a.1", "sleep 600"));
  const auto started = await("r.a.1", Phase::kStarted);
  const auto content = AttemptState::read(*attempt_directory(data_, "r.a.1"));
  kill((*content)->owner.pid, SIGKILL);
  EXPECT_EQ(await("r.a.1", Phase::kEnded).exit.ending, Ending::kLost);
  EXPECT_TRUE(gone(static_cast<pid_t>(started.pid)));
  // It stays lost, whoever asks.
  agent_->start(shell("r.a.1", "touch $HERE/again"));
  run(shell("r.b.1", "true"));
  EXPECT_FALSE(std::filesystem::exists(data_ + "/again"));
}

TEST_F(AgentTest, A_log_is_cut_at_its_limit_with_a_note) {
  Launch launch = shell("r.a.1", "head -c 300000 /dev/zero | tr '\\0' x");
  launch.log_limit = 1000;
  EXPECT_EQ(run(launch).exit.code, 0);
  EXPECT_THAT(log("r.a.1"), HasSubstr("rest was dropped"));
  EXPECT_LT(log("r.a.1").size(), 1200U);
}

TEST_F(AgentTest, Without_server_and_work_it_leaves_and_with_work_it_stays_until_the_end) {
  agent_->start(shell("r.a.1", "while [ ! -e $HERE/go ]; do sleep 0.02; done"));
  const auto started = await("r.a.1", Phase::kStarted);
  const pid_t pid = agent_pid();
  ASSERT_GT(pid, 0);
  agent_->release();
  // A second one asks too: it waits for the task.
  std::int64_t running = 0;
  const auto stopped = stop_agent(data_, false, 2s, [&](std::int64_t tasks) { running = tasks; });
  EXPECT_EQ(stopped.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(running, 1);
  EXPECT_EQ(kill(pid, 0), 0);
  std::ofstream(data_ + "/go") << "";
  EXPECT_TRUE(gone(static_cast<pid_t>(started.pid)));
  EXPECT_TRUE(gone(pid));
  EXPECT_FALSE(stop_agent(data_, false, 1s).value());
}

TEST_F(AgentTest, Stop_now_ends_tasks_and_agent) {
  agent_->start(shell("r.a.1", "sleep 600"));
  const auto started = await("r.a.1", Phase::kStarted);
  EXPECT_TRUE(stop_agent(data_, true, 10s).value());
  EXPECT_TRUE(gone(static_cast<pid_t>(started.pid)));
}

TEST(AttemptState, A_torn_last_line_counts_as_not_written) {
  char name[] = "/tmp/strata-state-XXXXXX";
  const std::string folder = mkdtemp(name);
  {
    auto state = AttemptState::claim(folder);
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(AttemptState::claim(folder).error().code, Code::kAlreadyExists);
    ASSERT_TRUE(state->write_exit({.ending = Ending::kExited, .code = 5}, Instant{1}).ok());
  }
  std::filesystem::resize_file(folder + "/state",
                               std::filesystem::file_size(folder + "/state") - 4);
  const auto content = AttemptState::read(folder);
  ASSERT_TRUE(content.ok() && *content);
  EXPECT_FALSE((*content)->exit.has_value());
  EXPECT_EQ((*content)->owner.pid, getpid());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace strata::resources::orchestrator
