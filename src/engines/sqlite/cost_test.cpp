// What work costs, with the records that the server really uses.

#include <gtest/gtest.h>

#include "engines/sqlite/sqlite_records.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/identity/identity.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "storage/compute/compute.hpp"

namespace strata::storage::compute {
namespace {

class CostTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = engines::sqlite::SqliteRecords::open(path_, 2);
    ASSERT_TRUE(opened.ok());
    records_ = *std::move(opened);
    audit_.emplace(*records_, clock_);
    ASSERT_TRUE(records_->migrate(kernel::Audit::migrations()).ok());
    ASSERT_TRUE(records_->migrate(Compute::migrations()).ok());
    open();
  }

  void open() {
    compute_.emplace(*records_, *audit_, pool_, clock_, testing::TempDir(),
                     [] { return Result<Measurements>(internal("not measured")); });
    ASSERT_TRUE(compute_->start().ok());
  }

  void set_price(double per_hour, const std::string& currency = "EUR") {
    const Price price{per_hour, currency};
    ASSERT_TRUE(sync_wait(compute_->set_price(admin_, "local", price)).ok());
  }

  Reservation share(double part) {
    return {part * compute_->nodes().front().inventory.cores, 0, 0};
  }

  std::string path_ = testing::TempDir() + "cost_" + SystemRandom().hex(6) + ".db";
  ManualClock clock_{Instant::from_seconds(1'000'000)};
  BlockingPool pool_{1};
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  std::optional<kernel::Audit> audit_;
  std::optional<Compute> compute_;
  kernel::Caller admin_{UserId("a"),          "admin",   "team",
                        ProjectId("default"), TokenId(), kernel::Permissions().set()};
};

TEST_F(CostTest, Without_a_price_nothing_has_a_cost) {
  const auto cost = compute_->cost_between(share(1), clock_.now(), Instant{});
  EXPECT_EQ(cost.amount, 0);
  EXPECT_EQ(cost.currency, "");
}

TEST_F(CostTest, A_cost_is_the_share_of_the_node_times_the_time_times_the_price) {
  set_price(2.0);
  const Instant from = clock_.now();
  clock_.advance(std::chrono::minutes(30));
  EXPECT_DOUBLE_EQ(compute_->cost_between(share(0.25), from, clock_.now()).amount, 0.25);
  // What has not ended costs until now.
  clock_.advance(std::chrono::minutes(30));
  EXPECT_DOUBLE_EQ(compute_->cost_between(share(0.25), from, Instant{}).amount, 0.5);
  // Who takes all of the memory pays for the node, however few cores it takes.
  Reservation memory;
  memory.memory_bytes = compute_->nodes().front().inventory.memory_bytes;
  EXPECT_DOUBLE_EQ(compute_->cost_between(memory, from, Instant{}).amount, 2.0);
}

TEST_F(CostTest, A_new_price_leaves_what_earlier_work_cost_also_after_a_restart) {
  const Instant before = clock_.now();
  clock_.advance(std::chrono::hours(1));
  set_price(1.0);
  const Instant first = clock_.now();
  clock_.advance(std::chrono::hours(1));
  set_price(3.0, "USD");
  const Instant second = clock_.now();
  clock_.advance(std::chrono::hours(1));
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(compute_->cost_between(share(1), before, first).currency, "");
    EXPECT_DOUBLE_EQ(compute_->cost_between(share(1), first, second).amount, 1.0);
    EXPECT_EQ(compute_->cost_between(share(1), first, second).currency, "EUR");
    EXPECT_DOUBLE_EQ(compute_->cost_between(share(1), second, clock_.now()).amount, 3.0);
    EXPECT_EQ(compute_->cost_between(share(1), second, clock_.now()).currency, "USD");
    open();
  }
}

}  // namespace
}  // namespace strata::storage::compute
