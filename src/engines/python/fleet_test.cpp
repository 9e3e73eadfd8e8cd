// Processes of a model that are scripts for the test: they die, lie, spin and write.
#include "engines/python/fleet.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "engines/python/keeper.hpp"
#include "runtime/random.hpp"

namespace strata::engines::python {
namespace {

// What the shell writes to be ready, and the head of an answer frame.
constexpr const char* kReady = R"(printf '\004\000\000\000r\001\000\000\000' >&3
)";
// Takes a call without inputs: 5 bytes of head, 16 of payload.
constexpr const char* kTake = R"(head -c 21 <&3 >/dev/null || exit 0
)";
// Answers call number 1 with a bare INT8 tensor "y" of shape [1] and value 42.
std::string answer(char id) {
  std::string out = R"(printf '\043\000\000\000a)";
  out += "\\00";
  out += id;
  out += R"(\000\000\000\000\000\000\000\001\001\000\000\000\005\001\001\000y)";
  out += R"(\001\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000*' >&3
)";
  return out;
}

class FleetTest : public testing::Test {
 protected:
  FleetTest() : folder_(testing::TempDir() + "fleet-" + SystemRandom().hex(8)) {
    std::filesystem::create_directories(folder_);
  }
  ~FleetTest() override {
    for (const auto& fleet : fleets_)
      fleet->close();
    keeper_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::shared_ptr<Fleet> start(const std::string& script, int spare = 0) {
    const std::string path = folder_ + "/worker-" + std::to_string(fleets_.size()) + ".sh";
    std::ofstream(path) << "#!/bin/sh\n" << script;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    auto fleet = std::make_shared<Fleet>(WorkerPlan{path, "", "", "", folder_ + "/scratch", 512},
                                         spare, clock_, [bell = keeper_->bell()] { bell->ring(); });
    keeper_->add(fleet);
    fleets_.push_back(fleet);
    return fleet;
  }
  Result<wire::WorkerAnswer> call(Fleet& fleet, const std::stop_token& stop = {}) {
    return fleet.call({}, 0, stop);
  }
  static Status ready(Fleet& fleet) { return fleet.wait_ready(std::chrono::seconds(20), {}); }

  const std::string folder_;
  SystemClock clock_;
  std::unique_ptr<Keeper> keeper_ = std::make_unique<Keeper>(clock_);
  std::vector<std::shared_ptr<Fleet>> fleets_;
};

TEST_F(FleetTest, A_process_answers_and_is_asked_again) {
  auto fleet = start(std::string(kReady) + kTake + answer('1') + kTake + answer('2') + kTake);
  const auto up = ready(*fleet);
  ASSERT_TRUE(up) << up.error().message;
  for (int i = 0; i < 2; ++i) {
    const auto given = call(*fleet);
    ASSERT_TRUE(given) << given.error().message;
    EXPECT_TRUE(given->bare);
    EXPECT_EQ(given->outputs[0].as<std::int8_t>()[0], 42);
  }
  EXPECT_EQ(fleet->info().ended, 0U);
}

TEST_F(FleetTest, A_death_loses_one_request_with_its_reason_and_the_spare_takes_the_next) {
  auto fleet = start(std::string(kReady) + kTake + "echo last words; exit 3", 1);
  ASSERT_TRUE(ready(*fleet));
  for (int i = 0; i < 2; ++i) {
    const auto lost = call(*fleet);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Code::kInternal);
    EXPECT_NE(lost.error().message.find("exited with code 3"), std::string::npos)
        << lost.error().message;
  }
  EXPECT_NE(fleet->output().find("last words"), std::string::npos);
}

TEST_F(FleetTest, What_is_no_answer_ends_the_process_and_is_told) {
  for (const std::string& lie :
       {std::string("printf 'garbage that is no frame at all' >&3; sleep 100"),
        answer('9') + "sleep 100", std::string(R"(printf '\000\000\000\000q' >&3; sleep 100)"),
        std::string(R"(printf '\377\377\377\377a' >&3; sleep 100)")}) {
    auto fleet = start(kReady + (kTake + lie));
    ASSERT_TRUE(ready(*fleet));
    const auto refused = call(*fleet);
    ASSERT_FALSE(refused) << lie;
    EXPECT_EQ(refused.error().code, Code::kInternal);
    EXPECT_NE(refused.error().message.find("no answer"), std::string::npos)
        << refused.error().message;
    fleet->close();
  }
}

TEST_F(FleetTest, A_run_that_is_stopped_ends_its_process_at_once) {
  auto fleet = start(std::string(kReady) + kTake + "sleep 1000");
  ASSERT_TRUE(ready(*fleet));
  std::stop_source stop;
  LoopGroup timer(1);
  timer.at(0).call_after(std::chrono::milliseconds(50), [stop]() mutable { stop.request_stop(); });
  const auto begin = clock_.steady();
  const auto ended = call(*fleet, stop.get_token());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kCancelled);
  EXPECT_LT(clock_.steady() - begin, std::chrono::seconds(20));
}

TEST_F(FleetTest, Half_a_greeting_holds_up_nobody) {
  auto silent = start(R"(printf '\004\000' >&3; sleep 1000)");
  auto other = start(std::string(kReady) + kTake + answer('1') + kTake);
  EXPECT_TRUE(ready(*other));
  EXPECT_TRUE(call(*other));
  EXPECT_EQ(silent->wait_ready(std::chrono::seconds(0), {}).error().code, Code::kDeadlineExceeded);
}

TEST_F(FleetTest, A_model_that_never_starts_makes_nobody_wait) {
  auto fleet = start("echo no such module >&2; exit 1");
  const auto failed = ready(*fleet);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("exited with code 1"), std::string::npos);
  const auto refused = call(*fleet);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_TRUE(refused.error().retry);
}

TEST_F(FleetTest, What_processes_write_is_kept_up_to_a_bound) {
  auto fleet = start("yes 'the same line again and again' | head -c 4000000\n" +
                     std::string(kReady) + kTake + answer('1') + kTake);
  ASSERT_TRUE(ready(*fleet));
  ASSERT_TRUE(call(*fleet));
  EXPECT_LE(fleet->output().size(), 300U << 10U);
  EXPECT_GE(fleet->output().size(), 100U << 10U);
}

TEST_F(FleetTest, Taking_it_away_ends_all_of_it_and_its_folders) {
  auto fleet = start(std::string(kReady) + "touch left behind; sleep 1000 & sleep 1000", 1);
  ASSERT_TRUE(ready(*fleet));
  fleet->close();
  fleets_.clear();
  keeper_.reset();  // waits until they are gone
  EXPECT_TRUE(fleet->gone());
  fleet.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/scratch"));
}

}  // namespace
}  // namespace strata::engines::python
