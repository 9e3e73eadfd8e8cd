#include "platform/predictions/predictions.hpp"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/random.hpp"

namespace strata::platform::predictions {
namespace {

using wire::ElementType;
using wire::Tensor;

class PredictionLogTest : public testing::Test {
 protected:
  PredictionLogTest() {
    folder_ = testing::TempDir() + "predictions-" + SystemRandom().hex(8);
    auto identity = std::make_shared<ModelIdentity>();
    identity->project = "default";
    identity->endpoint = "flights";
    identity->model = "m";
    identity->version = "3";
    identity->digest = "sha256:abc";
    identity->contract.columns = {{"wind", wire::ColumnType::kDouble, ElementType::kFp64, true},
                                  {"origin", wire::ColumnType::kString, ElementType::kText, true}};
    identity->contract.tensors = {};
    identity->contract.outputs = {{"predict", ElementType::kFp64, {-1}}};
    model_ = std::move(identity);
    reopen();
  }
  ~PredictionLogTest() override { std::filesystem::remove_all(folder_); }

  void reopen() {
    log_ = std::make_unique<PredictionLog>(folder_, files_, clock_, metrics_);
    ASSERT_TRUE(log_->open());
  }

  std::string add(std::vector<double> winds, const std::string& origin_of_all = "JFK") {
    auto exchange = std::make_shared<Exchange>();
    clock_.advance(std::chrono::milliseconds(1));
    exchange->time = clock_.now();
    exchange->id = random_.uuid7(exchange->time);
    exchange->model = model_;
    exchange->inputs.rows = winds.size();
    const auto rows = static_cast<std::int64_t>(winds.size());
    Tensor wind("wind", ElementType::kFp64, {rows});
    std::copy(winds.begin(), winds.end(), wind.allocate<double>(winds.size()).begin());
    Tensor origin("origin", ElementType::kText, {rows});
    origin.texts.assign(winds.size(), origin_of_all);
    Tensor predict("predict", ElementType::kFp64, {rows});
    for (auto& p : predict.allocate<double>(winds.size()))
      p = 0.1;
    exchange->inputs.tensors.push_back(std::move(wind));
    exchange->inputs.tensors.push_back(std::move(origin));
    exchange->outputs.push_back(std::move(predict));
    std::string id = exchange->id;
    log_->append(std::move(exchange), {});
    return id;
  }

  std::string folder_;
  SystemFiles files_;
  ManualClock clock_{Instant::from_seconds(1'700'000'000)};
  SeededRandom random_{7};
  metrics::Registry metrics_;
  std::shared_ptr<const ModelIdentity> model_;
  std::unique_ptr<PredictionLog> log_;
};

TEST_F(PredictionLogTest, A_prediction_is_found_by_its_id_as_soon_as_it_was_appended) {
  add({1});
  const auto id = add({0.1, 0.2});
  auto found = log_->find("default", id);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->version, "3");
  ASSERT_EQ(found->rows.size(), 2U);
  EXPECT_EQ(found->rows[1].inputs.dump(), R"({"wind":0.2,"origin":"JFK"})");
  EXPECT_EQ(found->rows[1].outputs.dump(), R"({"predict":0.1})");
  EXPECT_FALSE(log_->find("other", id));
  EXPECT_FALSE(log_->find("default", "nonsense"));
}

TEST_F(PredictionLogTest, What_was_flushed_is_there_after_a_restart_and_what_was_cut_off_is_not) {
  const auto kept = add({1});
  ASSERT_TRUE(log_->flush());
  const auto lost = add({2});
  reopen();
  EXPECT_TRUE(log_->find("default", kept));
  EXPECT_FALSE(log_->find("default", lost));
}

TEST_F(PredictionLogTest, Many_flushes_leave_few_files_and_every_row_once) {
  std::vector<std::string> ids;
  for (int i = 0; i < 300; ++i) {
    ids.push_back(add({static_cast<double>(i)}));
    ASSERT_TRUE(log_->flush());
  }
  EXPECT_LT(log_->files("default").size(), 40U);
  const auto count = [&] {
    std::size_t rows = 0;
    for (const auto& path : log_->files("default", "flights")) {
      auto table = wire::decode_parquet(*files_.read_all(path));
      EXPECT_TRUE(table);
      rows += table->rows;
    }
    return rows;
  };
  EXPECT_EQ(count(), 300U);
  reopen();  // the joined files are still there, and are not counted twice
  EXPECT_EQ(count(), 300U);
  EXPECT_TRUE(log_->find("default", ids[17]));
  const auto newest = log_->newest("default", "flights", 3);
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->predictions.size(), 3U);
  EXPECT_EQ(newest->predictions.front().id, ids.back());
}

TEST_F(PredictionLogTest, A_request_of_many_rows_lies_in_several_files_and_reads_as_one) {
  const auto before = add({1});
  const std::size_t rows = 2 * PredictionLog::kSegmentRows + 10;
  std::vector<double> winds(rows);
  for (std::size_t i = 0; i < rows; ++i)
    winds[i] = static_cast<double>(i);
  const auto large = add(winds);
  const auto after = add({2});
  ASSERT_TRUE(log_->flush());
  std::size_t stored = 0;
  for (const auto& path : log_->files("default")) {
    const auto table = wire::decode_parquet(*files_.read_all(path));
    ASSERT_TRUE(table);
    EXPECT_LE(table->rows, PredictionLog::kSegmentRows);
    stored += table->rows;
  }
  EXPECT_EQ(stored, rows + 2);
  reopen();
  const auto found = log_->find("default", large);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->row_count, rows);
  ASSERT_EQ(found->rows.size(), PredictionLog::kRowsShown);
  EXPECT_EQ(found->rows.back().row, 999);
  EXPECT_EQ(found->rows.back().inputs.dump(), R"({"wind":999.0,"origin":"JFK"})");
  const auto newest = log_->newest("default", "flights", 2);
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->predictions.size(), 2U);
  EXPECT_EQ(newest->predictions[0].id, after);
  EXPECT_EQ(newest->predictions[1].id, large);
  EXPECT_EQ(newest->predictions[1].row_count, rows);
  EXPECT_EQ(newest->predictions[1].rows.front().row, 0);
  EXPECT_EQ(log_->find("default", before)->row_count, 1U);
}

TEST_F(PredictionLogTest, A_file_that_cannot_be_read_takes_nothing_else_down) {
  const auto lost = add({1});
  ASSERT_TRUE(log_->flush());
  const auto kept = add({2});
  ASSERT_TRUE(log_->flush());
  ASSERT_TRUE(files_.replace(log_->files("default").front(), "PAR1 no more"));
  const auto newest = log_->newest("default", "flights", 5);
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->predictions.size(), 1U);
  EXPECT_EQ(newest->predictions[0].id, kept);
  EXPECT_EQ(newest->unreadable_files, 1U);
  EXPECT_TRUE(log_->find("default", kept));
  const auto missing = log_->find("default", lost);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kDataLoss);
  EXPECT_EQ(missing.error().to_string().find(folder_), std::string::npos);
}

TEST_F(PredictionLogTest, A_page_ends_early_when_its_values_are_large_and_the_next_goes_on) {
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i)
    ids.push_back(add({1, 2}, std::string(i == 5 ? 6U << 20U : 400'000U, 'x')));
  std::vector<std::string> seen;
  std::string token;
  std::size_t pages = 0;
  do {
    const auto page = log_->newest("default", "flights", 1000, token);
    ASSERT_TRUE(page) << page.error().message;
    std::size_t bytes = 0;
    for (const auto& prediction : page->predictions) {
      seen.push_back(prediction.id);
      EXPECT_EQ(prediction.row_count, 2U);
      // The one row that is too large by itself is given nevertheless, without the second.
      EXPECT_EQ(prediction.rows.size(), prediction.id == ids[5] ? 1U : 2U);
      for (const auto& row : prediction.rows)
        bytes += row.inputs.dump().size();
    }
    ASSERT_FALSE(page->predictions.empty());
    if (page->predictions.size() > 1) EXPECT_LE(bytes, PredictionLog::kBytesShown);
    token = page->next;
    ++pages;
  } while (!token.empty());
  std::reverse(seen.begin(), seen.end());
  EXPECT_EQ(seen, ids);
  EXPECT_GE(pages, 4U);
  EXPECT_EQ(log_->find("default", ids[5])->rows.size(), 1U);
}

TEST_F(PredictionLogTest, Many_columns_bound_a_prediction_as_large_values_do) {
  auto wide = std::make_shared<ModelIdentity>(*model_);
  wide->contract.columns.clear();
  auto exchange = std::make_shared<Exchange>();
  clock_.advance(std::chrono::milliseconds(1));
  exchange->time = clock_.now();
  exchange->id = random_.uuid7(exchange->time);
  exchange->inputs.rows = 500;
  for (int c = 0; c < 600; ++c) {
    const std::string name = "column " + std::to_string(c);
    wide->contract.columns.push_back({name, wire::ColumnType::kDouble, ElementType::kFp64, true});
    Tensor values(name, ElementType::kFp64, {500});
    values.allocate<double>(500);
    exchange->inputs.tensors.push_back(std::move(values));
  }
  exchange->model = wide;
  const std::string id = exchange->id;
  log_->append(std::move(exchange), {});
  const auto found = log_->find("default", id);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->row_count, 500U);
  EXPECT_GT(found->rows.size(), 10U);
  EXPECT_LT(found->rows.size(), 300U);
}

TEST_F(PredictionLogTest, A_page_begins_where_the_one_before_ended_whatever_was_joined_or_added) {
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    ids.push_back(add({static_cast<double>(i)}));
    if (i % 3 == 0) ASSERT_TRUE(log_->flush());
  }
  const auto first = log_->newest("default", "flights", 15);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->next, ids[25]);
  for (int i = 0; i < 40; ++i) {
    add({0});
    ASSERT_TRUE(log_->flush());
  }
  const auto second = log_->newest("default", "flights", 25, first->next);
  ASSERT_TRUE(second);
  ASSERT_EQ(second->predictions.size(), 25U);
  EXPECT_EQ(second->predictions.front().id, ids[24]);
  EXPECT_EQ(second->predictions.back().id, ids[0]);
  EXPECT_EQ(second->next, "");
  for (const auto* wrong : {"nonsense", "0190163d-8694-739b-aea5-966c26f8ad91"}) {
    const auto none = log_->newest("default", "flights", 5, wrong);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::kInvalidArgument);
  }
}

TEST_F(PredictionLogTest, Room_that_was_asked_for_is_taken_until_it_is_given_back_or_written) {
  constexpr std::size_t kMost = PredictionLog::kMaxPending;
  {
    const auto first = log_->admit(kMost - 1);
    ASSERT_TRUE(first);
    EXPECT_TRUE(log_->admit(kMost));  // crosses the bound alone, and gives it back
    const auto second = log_->admit(1);
    ASSERT_TRUE(second);
    EXPECT_FALSE(log_->admit(1));
  }
  EXPECT_TRUE(log_->admit(1));
  auto exchange = std::make_shared<Exchange>();
  exchange->time = clock_.now();
  exchange->id = random_.uuid7(exchange->time);
  exchange->model = model_;
  exchange->inputs.rows = 1;
  for (const auto& column : model_->contract.columns) {
    Tensor one(column.name, column.element, {1});
    if (column.element == ElementType::kText) one.texts = {"JFK"};
    if (column.element != ElementType::kText) one.allocate<double>(1);
    exchange->inputs.tensors.push_back(std::move(one));
  }
  // What a small input looks at may be large.
  exchange->backing = std::make_shared<const std::string>(kMost, 'x');
  log_->append(std::move(exchange), *log_->admit(100));
  EXPECT_FALSE(log_->admit(1));
  ASSERT_TRUE(log_->flush());
  const auto all = log_->admit(kMost);
  ASSERT_TRUE(all);
  EXPECT_FALSE(log_->admit(1));
}

TEST_F(PredictionLogTest, Of_many_that_ask_at_once_only_one_crosses_the_bound) {
  constexpr std::size_t kEach = PredictionLog::kMaxPending / 10;
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  std::vector<std::vector<PredictionLog::Room>> rooms(4);
  for (auto& mine : rooms) {
    threads.emplace_back([&] {
      while (auto room = log_->admit(kEach)) {
        mine.push_back(*std::move(room));
        ++admitted;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(admitted, 11);
}

TEST_F(PredictionLogTest, Appends_from_many_threads_are_all_written) {
  std::vector<std::thread> threads;
  std::atomic<int> at{0};
  std::mutex mutex;  // the test's random source and clock
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) {
        const std::lock_guard lock(mutex);
        add({static_cast<double>(at++)});
      }
    });
  }
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(log_->flush());
  for (auto& thread : threads)
    thread.join();
  ASSERT_TRUE(log_->flush());
  const auto all = log_->newest("default", "flights", 1000);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->predictions.size(), 1000U);
}

// Files from before there were routes are read, and joined with none that have them.
TEST_F(PredictionLogTest, Files_without_routes_stay_readable) {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(add({0.25 + i}));
    ASSERT_TRUE(log_->flush());
    if (i != 9) continue;
    log_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/default/flights")) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      auto table = wire::decode_parquet(bytes);
      ASSERT_TRUE(table.ok());
      const auto gone = std::erase_if(
          table->columns, [](const auto& column) { return column.path.front() == "route"; });
      ASSERT_EQ(gone, 1U);
      ASSERT_TRUE(files_.replace(entry.path().string(), encode_parquet(*table)));
    }
    reopen();
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = log_->find("default", ids[i]);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->route, "live");
    ASSERT_EQ(found->rows.size(), 1U);
    EXPECT_EQ(found->rows[0].inputs["wind"].as_double(), 0.25 + static_cast<double>(i));
    EXPECT_EQ(found->rows[0].outputs.dump(), R"({"predict":0.1})");
  }
  EXPECT_EQ(log_->newest("default", "flights", 100)->predictions.size(), 20U);
}

class CountingFollower final : public LogFollower {
 public:
  void flushed(const std::string& key, std::int64_t sequence,
               const wire::ParquetTable& rows) override {
    EXPECT_EQ(key, "default/flights");
    sequences.push_back(sequence);
    total += rows.rows;
  }
  std::vector<std::int64_t> sequences;
  std::size_t total = 0;
};

TEST_F(PredictionLogTest, A_follower_is_told_of_each_flush_in_order) {
  CountingFollower follower;
  log_->follow(follower);
  for (int i = 0; i < 20; ++i) {
    add({1, 2});
    ASSERT_TRUE(log_->flush());
  }
  EXPECT_EQ(follower.total, 40U);
  ASSERT_EQ(follower.sequences.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_EQ(follower.sequences[i], static_cast<std::int64_t>(i) + 1);
}

// Whatever the mark, the files after it hold exactly the rows of the flushes after it, also when
// many were joined and after a restart.
TEST_F(PredictionLogTest, No_file_lies_across_the_mark_of_a_follower) {
  const std::string key = "default/flights";
  std::int64_t mark = 0;
  const auto kept = [] {
    return Status();
  };
  for (int flush = 1; flush <= 400; ++flush) {
    add({static_cast<double>(flush)});
    ASSERT_TRUE(log_->flush());
    if (flush % 7 == 0) {
      mark = flush - flush % 3;
      ASSERT_TRUE(log_->set_mark(key, mark, kept));
    }
    if (flush % 97 == 0) {
      reopen();
      ASSERT_TRUE(log_->set_mark(key, mark, kept));
    }
  }
  std::size_t rows = 0;
  std::int64_t at = mark;
  while (const auto stretch = log_->next_after(key, at)) {
    EXPECT_EQ(stretch->from, at + 1);
    ASSERT_TRUE(stretch->rows.has_value());
    rows += stretch->rows->rows;
    at = stretch->to;
  }
  EXPECT_EQ(at, 400);
  EXPECT_EQ(rows, static_cast<std::size_t>(400 - mark));
  // And all of them still hold each row once.
  EXPECT_LT(log_->files("default", "flights").size(), 60U);
}

TEST_F(PredictionLogTest, A_mark_that_is_not_kept_is_not_moved) {
  add({1});
  ASSERT_TRUE(log_->flush());
  const auto failed = log_->set_mark("default/flights", 1,
                                     [] { return Status(Error(Code::kUnavailable, "no room")); });
  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(log_->next_after("default/flights", 0).has_value());
}

}  // namespace
}  // namespace strata::platform::predictions
