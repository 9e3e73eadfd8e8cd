#include "runtime/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace strata {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  std::string drain() {
    close_writer();
    std::string all;
    char buffer[512];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<std::size_t>(got));
    }
    return all;
  }
  int ends[2];
};

ProcessSpec shell(const std::string& script) {
  return ProcessSpec{.argv = {"sh", "-c", script}};
}

TEST(Process, Reports_the_exit_code_and_keeps_it) {
  auto child = ChildProcess::spawn(shell("exit 7"));
  ASSERT_TRUE(child.ok()) << child.error().message;
  EXPECT_EQ(child->wait()->code, 7);
  EXPECT_EQ(child->wait()->code, 7);
  EXPECT_FALSE(child->wait()->success());
  EXPECT_TRUE(child->signal(SIGTERM).ok());
}

TEST(Process, Tells_a_signal_from_an_exit_code) {
  auto child = ChildProcess::spawn(shell("kill -9 $$"));
  ASSERT_TRUE(child.ok());
  const auto ended = child->wait();
  EXPECT_EQ(ended->signal, SIGKILL);
  EXPECT_EQ(ended->to_string(), "was killed by signal 9 (Killed)");
}

TEST(Process, A_program_that_is_not_there_is_an_error_of_spawn) {
  EXPECT_EQ(ChildProcess::spawn({.argv = {"/no/such/program"}}).error().code, Code::kNotFound);
  EXPECT_EQ(ChildProcess::spawn({.argv = {"no-such-program-anywhere"}}).error().code,
            Code::kNotFound);
  EXPECT_EQ(ChildProcess::spawn({.argv = {"sh"}, .directory = "/no/such/folder"}).error().code,
            Code::kNotFound);
}

TEST(Process, Has_only_the_descriptors_and_environment_that_were_named) {
  Pipe out;
  const int secret = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC on purpose
  auto spec = shell("ls /proc/self/fd | wc -l; echo $A-$HOME; pwd; cat");
  spec.environment = {{"A=1", "PATH=/usr/bin:/bin"}};
  spec.directory = "/usr";
  spec.descriptors = {{out.ends[1], 1}, {out.ends[1], 2}};
  auto child = ChildProcess::spawn(spec);
  ASSERT_TRUE(child.ok());
  ::close(secret);
  EXPECT_EQ(out.drain(), "4\n1-\n/usr\n");  // 0, 1, 2 and the folder that ls reads
  EXPECT_TRUE(child->wait()->success());
}

TEST(Process, Descriptors_may_swap_places) {
  Pipe first;
  Pipe second;
  auto spec = shell("echo one >&" + std::to_string(second.ends[1]) + "; echo two >&" +
                    std::to_string(first.ends[1]));
  spec.descriptors = {{first.ends[1], second.ends[1]}, {second.ends[1], first.ends[1]}};
  auto child = ChildProcess::spawn(spec);
  ASSERT_TRUE(child.ok());
  EXPECT_TRUE(child->wait()->success());
  EXPECT_EQ(first.drain(), "one\n");
  EXPECT_EQ(second.drain(), "two\n");
}

TEST(Process, Waiting_is_bounded_and_a_group_ends_with_its_children) {
  Pipe out;
  auto spec = shell("sleep 1000 & sleep 1000");
  spec.descriptors = {{out.ends[1], 3}};
  auto child = ChildProcess::spawn(spec);
  ASSERT_TRUE(child.ok());
  EXPECT_FALSE(child->wait_for(0ms)->has_value());
  ASSERT_TRUE(child->signal_group(SIGTERM).ok());
  EXPECT_EQ(child->wait()->signal, SIGTERM);
  EXPECT_EQ(out.drain(), "");  // ends only when no process holds the pipe any more
}

TEST(Process, Counts_the_time_that_it_used) {
  auto child = ChildProcess::spawn(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"));
  ASSERT_TRUE(child.ok());
  EXPECT_GT(child->wait()->cpu.count(), 0);
  EXPECT_GT(child->wait()->max_rss_bytes, 0U);
}

TEST(Process, A_child_that_must_die_with_its_parent_does) {
  // The middle process spawns the grandchild, which holds the pipe open, and then dies without a
  // word.
  Pipe out;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t middle = ::fork();
  if (middle == 0) {
    auto spec = shell("exec sleep 1000");
    spec.descriptors = {{out.ends[1], 3}};
    spec.dies_with_parent = true;
    ::_exit(ChildProcess::spawn(spec).ok() ? 0 : 1);
  }
  EXPECT_EQ(out.drain(), "");
  ::waitpid(middle, nullptr, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace strata
