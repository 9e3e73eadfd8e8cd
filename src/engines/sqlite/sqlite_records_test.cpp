#include "engines/sqlite/sqlite_records.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/random.hpp"
#include "runtime/scope.hpp"

namespace strata::engines::sqlite {
namespace {

using kernel::Migration;
using kernel::Reader;
using kernel::Writer;

constexpr Migration kSchema[] = {
    {"room", 1, "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0));"},
    {"room", 2, "ALTER TABLE t ADD COLUMN note TEXT;"}};

class SqliteRecordsTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "records_" + SystemRandom().hex(6) + ".db";
    open();
  }
  void open() {
    records_.reset();
    auto opened = SqliteRecords::open(path_, 2);
    ASSERT_TRUE(opened.ok());
    records_ = *std::move(opened);
    ASSERT_TRUE(records_->migrate(kSchema).ok());
  }
  Result<std::int64_t> put(const std::string& key, std::int64_t n) {
    return records_->write_blocking(
        [&](Writer& w) { return w.execute("INSERT INTO t (k, n) VALUES (?, ?)", {key, n}); });
  }
  std::int64_t count() {
    const auto rows =
        records_->read_blocking([](Reader& r) { return r.query("SELECT COUNT(*) FROM t"); });
    return rows->front().integer(0);
  }
  std::string path_;
  std::unique_ptr<SqliteRecords> records_;
};

TEST_F(SqliteRecordsTest, Keeps_what_was_written_across_a_restart) {
  ASSERT_TRUE(put("a", 1).ok());
  open();
  EXPECT_EQ(count(), 1);
}

TEST_F(SqliteRecordsTest, Tells_a_taken_key_from_a_broken_rule) {
  ASSERT_TRUE(put("a", 1).ok());
  EXPECT_EQ(put("a", 2).error().code, Code::kAlreadyExists);
  EXPECT_EQ(put("b", -1).error().code, Code::kConflict);
}

TEST_F(SqliteRecordsTest, A_failed_write_leaves_nothing_and_harms_no_other) {
  LoopGroup loops(2);
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::atomic<int> hooks{0};
  {
    TaskScope scope;
    const auto body = [](SqliteRecords& records, int i, std::atomic<int>& g, std::atomic<int>& b,
                         std::atomic<int>& h) -> Task<void> {
      const auto change = [&](Writer& w) -> Status {
        w.after_commit([&] { ++h; });
        const auto put = w.execute("INSERT INTO t (k, n) VALUES (?, ?)", {std::to_string(i), i});
        if (!put) return put.error();
        if (i % 3 == 0) return Error(Code::kConflict, "changed its mind");
        return {};
      };
      const auto status = co_await records.write(change);
      ++(status.ok() ? g : b);
    };
    for (int i = 0; i < 300; ++i)
      scope.spawn(loops.next(), body(*records_, i, good, bad, hooks));
    while (scope.running() > 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(good.load(), 200);
  EXPECT_EQ(bad.load(), 100);
  EXPECT_EQ(hooks.load(), 200);
  EXPECT_EQ(count(), 200);
}

TEST_F(SqliteRecordsTest, A_read_sees_one_state_and_every_earlier_write) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(put(std::to_string(i), i).ok());
    EXPECT_EQ(count(), i + 1);
  }
}

TEST_F(SqliteRecordsTest, Refuses_records_of_a_newer_program) {
  ASSERT_TRUE(records_
                  ->write_blocking([](Writer& w) {
                    return w.execute(
                        "INSERT INTO schema_journal (room, version) VALUES ('room', 9)");
                  })
                  .ok());
  EXPECT_EQ(records_->migrate(kSchema).error().code, Code::kDataLoss);
}

TEST_F(SqliteRecordsTest, A_backup_is_a_whole_database) {
  ASSERT_TRUE(put("a", 7).ok());
  const std::string copy = path_ + ".copy";
  ASSERT_TRUE(records_->backup(copy).ok());
  path_ = copy;
  open();
  EXPECT_EQ(count(), 1);
}

}  // namespace
}  // namespace strata::engines::sqlite
