#include "doors/http/body_memory.hpp"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::http {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class Bodies : public testing::Test {
 protected:
  metrics::Registry metrics_;
  BodyMemory memory_{8 * kMiB, metrics_};
};

TEST_F(Bodies, What_finds_no_room_is_refused_and_gives_back_what_it_held) {
  BodyHold first(memory_);
  BodyHold second(memory_);
  ASSERT_TRUE(first.grow(4 * kMiB));
  ASSERT_TRUE(second.grow(3 * kMiB));
  const auto refused = second.grow(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(refused.error().retry);
  EXPECT_TRUE(second.refused());
  EXPECT_EQ(memory_.taken(), 4 * kMiB);
  EXPECT_TRUE(first.grow(3 * kMiB));
}

TEST_F(Bodies, The_last_eighth_is_for_small_ones) {
  BodyHold large(memory_);
  ASSERT_TRUE(large.grow(7 * kMiB));
  std::vector<BodyHold> small;
  for (int i = 0; i < 16; ++i) {
    small.emplace_back(memory_);
    ASSERT_TRUE(small.back().grow(BodyMemory::kSmall)) << i;
  }
  EXPECT_EQ(memory_.taken(), memory_.bytes());
  BodyHold one_more(memory_);
  EXPECT_FALSE(one_more.grow(1));
  small.pop_back();
  EXPECT_TRUE(one_more.grow(1));
  EXPECT_FALSE(one_more.grow(BodyMemory::kSmall));
}

TEST_F(Bodies, One_that_never_fits_is_too_large) {
  BodyHold hold(memory_);
  ASSERT_TRUE(hold.grow(7 * kMiB));
  const auto refused = hold.grow(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_FALSE(hold.refused());
  EXPECT_EQ(memory_.taken(), 0);
}

TEST_F(Bodies, A_hold_that_moves_or_ends_counts_once) {
  {
    BodyHold hold(memory_);
    ASSERT_TRUE(hold.grow(100));
    BodyHold moved(std::move(hold));
    EXPECT_EQ(memory_.taken(), 100);
    moved = BodyHold(memory_);
    EXPECT_EQ(memory_.taken(), 0);
    ASSERT_TRUE(moved.grow(7));
    EXPECT_THAT(metrics_.render(), testing::HasSubstr("\nstrata_http_body_memory_bytes 7\n"));
  }
  EXPECT_EQ(memory_.taken(), 0);
}

TEST_F(Bodies, Many_threads_never_take_more_than_there_is) {
  std::atomic<bool> beyond{false};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        BodyHold hold(memory_);
        while (hold.grow(kMiB)) {
          if (memory_.taken() > memory_.bytes()) beyond.store(true);
        }
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_FALSE(beyond.load());
  EXPECT_EQ(memory_.taken(), 0);
}

}  // namespace
}  // namespace strata::http
