#include "engines/processes/processes.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/files.hpp"
#include "runtime/random.hpp"

namespace strata::engines::processes {
namespace {

// A program that stands for `strata try-model` and ends as the test wants.
class ProcessModelTrialTest : public testing::Test {
 protected:
  ProcessModelTrialTest() : folder_(testing::TempDir() + "trial-" + SystemRandom().hex(8)) {
    std::filesystem::create_directories(folder_);
  }
  ~ProcessModelTrialTest() override { std::filesystem::remove_all(folder_); }

  Status run(const std::string& script, const std::stop_token& stop = {}) {
    const std::string program = folder_ + "/program";
    SystemFiles files;
    EXPECT_TRUE(files.replace(program, "#!/bin/sh\n" + script + "\n", 0755));
    return ProcessModelTrial(program, "/libraries", std::chrono::seconds(1), clock_)
        .run("/model", stop);
  }

  std::string folder_;
  SystemClock clock_;
};

TEST_F(ProcessModelTrialTest, A_model_that_goes_well_there_may_be_opened_here) {
  EXPECT_TRUE(run("exit 0"));
  EXPECT_TRUE(run("test \"$1 $2 $3 $4\" = 'try-model /libraries /model 1'"));
}

TEST_F(ProcessModelTrialTest, The_error_of_the_process_is_the_error_here) {
  const auto failed = run("printf '%d the model is wrong' " +
                          std::to_string(static_cast<int>(Code::kUnsupported)) + " >&3; exit 1");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnsupported);
  EXPECT_EQ(failed.error().message, "the model is wrong");
}

TEST_F(ProcessModelTrialTest, A_death_is_told_with_its_cause) {
  const auto aborted = run("kill -ABRT $$");
  ASSERT_FALSE(aborted);
  EXPECT_NE(aborted.error().message.find("signal 6"), std::string::npos);
  const auto crashed = run("kill -SEGV $$");
  ASSERT_FALSE(crashed);
  EXPECT_NE(crashed.error().message.find("signal 11"), std::string::npos);
  const auto spent = run("kill -XCPU $$");
  ASSERT_FALSE(spent);
  EXPECT_EQ(spent.error().code, Code::kDeadlineExceeded);
  for (const auto* script : {"exit 3", "echo nonsense >&3; exit 1", "echo '999 x' >&3; exit 1"}) {
    const auto silent = run(script);
    ASSERT_FALSE(silent) << script;
    EXPECT_EQ(silent.error().code, Code::kDataLoss);
  }
}

TEST_F(ProcessModelTrialTest, What_a_probe_reports_arrives_and_a_death_in_it_is_an_error) {
  const auto probe = [&](const std::string& script) {
    const std::string program = folder_ + "/program";
    SystemFiles files;
    EXPECT_TRUE(files.replace(program, "#!/bin/sh\n" + script + "\n", 0755));
    return ProcessModelTrial(program, "/libraries", std::chrono::seconds(1), clock_)
        .probe("/model", 7, {});
  };
  const auto told = probe(
      "test \"$7\" = 7 && printf '{\"cases\": \"..n\", \"failure\": \"\", \"memory\": 4096}' >&3");
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->cases, "..n");
  EXPECT_EQ(told->memory_bytes, 4096U);
  const auto died = probe("kill -SEGV $$");
  ASSERT_FALSE(died);
  EXPECT_NE(died.error().message.find("signal 11"), std::string::npos);
  EXPECT_FALSE(probe("exit 0"));  // without a report nothing is known
}

TEST_F(ProcessModelTrialTest, It_is_killed_when_nobody_waits_for_it_any_more) {
  std::stop_source stop;
  std::thread later([&] {
    while (!std::filesystem::exists(folder_ + "/started"))
      std::this_thread::yield();
    stop.request_stop();
  });
  const auto stopped = run("touch " + folder_ + "/started; exec sleep 600", stop.get_token());
  later.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
}

TEST_F(ProcessModelTrialTest, A_program_that_is_not_there_is_an_error) {
  EXPECT_FALSE(
      ProcessModelTrial("/nonexistent", "", std::chrono::seconds(1), clock_).run("/model", {}));
}

}  // namespace
}  // namespace strata::engines::processes
