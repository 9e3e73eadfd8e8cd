#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engines/files/file_blob_store.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "storage/lake/lake.hpp"

// What a page of a listing costs: rows that are read, and whether the index alone finds them.
namespace strata::storage::lake {
namespace {

using engines::files::FileBlobStore;
using engines::sqlite::SqliteRecords;
using kernel::Reader;
using kernel::Records;
using kernel::Rows;
using kernel::SqlArgs;
using kernel::Writer;

struct Watched {
  std::set<std::string> plans;  // how SQLite finds the rows of each statement
  std::size_t rows = 0;
};

class WatchedReader final : public Reader {
 public:
  WatchedReader(Reader& inner, Watched& watched) : inner_(inner), watched_(watched) {}
  Result<Rows> query(std::string_view sql, const SqlArgs& args) override {
    const auto plan = inner_.query(fmt::format("EXPLAIN QUERY PLAN {}", sql), args);
    if (!plan) return plan.error();
    for (const auto& step : *plan)
      watched_.plans.insert(step.text(3));
    auto rows = inner_.query(sql, args);
    if (rows) watched_.rows += rows->size();
    return rows;
  }

 private:
  Reader& inner_;
  Watched& watched_;
};

// The same records, with an eye on what is read.
class WatchedRecords final : public Records {
 public:
  explicit WatchedRecords(Records& inner) : inner_(inner) {}
  Status migrate(std::span<const kernel::Migration> migrations) override {
    return inner_.migrate(migrations);
  }
  Watched watched;

 protected:
  void submit_read(std::move_only_function<void(Reader&)>& job,
                   std::move_only_function<void()> done) override {
    const auto look = [&](Reader& reader) -> Status {
      WatchedReader eye(reader, watched);
      job(eye);
      return {};
    };
    EXPECT_TRUE(inner_.read_blocking(look).ok());
    done();
  }
  void submit_write(std::move_only_function<bool(Writer&)>& job,
                    std::move_only_function<void(Status)> done) override {
    bool kept = false;
    const auto change = [&](Writer& writer) -> Status {
      kept = job(writer);
      return kept ? Status() : Status(Error(Code::kCancelled, "rolled back"));
    };
    auto status = inner_.write_blocking(change);
    done(kept ? std::move(status) : Status());
  }

 private:
  Records& inner_;
};

class ListingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_);
    auto opened = SqliteRecords::open(directory_ + "/records.db", 1);
    ASSERT_TRUE(opened.ok());
    sqlite_ = *std::move(opened);
    for (const auto migrations : {Lake::migrations(), kernel::Audit::migrations(),
                                  kernel::EventBus::migrations(), kernel::Lineage::migrations()}) {
      ASSERT_TRUE(sqlite_->migrate(migrations).ok());
    }
    records_.emplace(*sqlite_);
    audit_.emplace(*sqlite_, clock_);
    events_.emplace(*sqlite_, clock_);
    lineage_.emplace(*sqlite_, clock_);
    blobs_.emplace(files_, random_, pool_, directory_ + "/lake");
    ASSERT_TRUE(blobs_->start().ok());
    lake_.emplace(
        Lake::Ports{*records_, *blobs_, pool_, *audit_, *events_, *lineage_, clock_, random_});
    caller_.user_name = "ada";
    caller_.project = ProjectId("default");
    caller_.permissions.set();
    ASSERT_TRUE(sync_wait(lake_->create_bucket(caller_, "bucket")).ok());
    fill();
  }
  void TearDown() override {
    lake_.reset();
    blobs_.reset();
    sqlite_.reset();
    std::filesystem::remove_all(directory_);
  }

  // 20 folders of 200 objects each.
  void fill() {
    TextSource source("x");
    ASSERT_TRUE(sync_wait(lake_->put(caller_, *ObjectName::make("bucket", "first"), source, {})));
    const auto copies = [](Writer& writer) -> Status {
      for (int folder = 0; folder < 20; ++folder) {
        for (int file = 0; file < 200; ++file) {
          const auto made = writer.execute(
              "INSERT INTO lake_objects SELECT bucket, ?, size, etag, digest, modified, owner, "
              "facts, tags, blobs FROM lake_objects WHERE key = ?",
              {kernel::Blob{fmt::format("folder{:02}/{:03}", folder, file)},
               kernel::Blob{"first"}});
          if (!made) return made.error();
        }
      }
      return {};
    };
    ASSERT_TRUE(sqlite_->write_blocking(copies).ok());
  }

  Listing page(const std::string& prefix, const std::string& delimiter, const std::string& after) {
    ListOptions options;
    options.prefix = prefix;
    options.delimiter = delimiter;
    options.after = after;
    options.limit = kPage;
    records_->watched = {};
    auto listing = sync_wait(lake_->list(caller_, "bucket", std::move(options)));
    EXPECT_TRUE(listing.ok());
    return listing.value_or({});
  }

  void expect_found_by_index() {
    bool objects = false;
    for (const auto& step : records_->watched.plans) {
      EXPECT_TRUE(step.starts_with("SEARCH ")) << step;  // no SCAN, no USE TEMP B-TREE
      if (!step.contains("lake_objects")) continue;
      objects = true;
      EXPECT_TRUE(step.contains("(bucket=? AND key>")) << step;  // begins at the page
    }
    EXPECT_TRUE(objects);
  }

  static constexpr std::size_t kPage = 10;
  std::string directory_ = testing::TempDir() + "listing_" + SystemRandom().hex(6);
  SystemFiles files_;
  SystemRandom random_;
  ManualClock clock_{Instant::from_seconds(1'800'000'000)};
  BlockingPool pool_{2};
  std::unique_ptr<SqliteRecords> sqlite_;
  std::optional<WatchedRecords> records_;
  std::optional<kernel::Audit> audit_;
  std::optional<kernel::EventBus> events_;
  std::optional<kernel::Lineage> lineage_;
  std::optional<FileBlobStore> blobs_;
  std::optional<Lake> lake_;
  Caller caller_;
};

TEST_F(ListingTest, A_page_of_keys_reads_as_many_rows_as_it_has_keys) {
  for (const auto& [prefix, after] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", ""}, {"", "folder10/100"}, {"folder07/", ""}, {"folder07/", "folder07/150"}}) {
    const auto listing = page(prefix, "", after);
    EXPECT_EQ(listing.objects.size(), kPage);
    EXPECT_TRUE(listing.truncated);
    EXPECT_LE(records_->watched.rows, kPage + 2);  // the bucket, and whether there is more
    expect_found_by_index();
  }
}

TEST_F(ListingTest, A_page_of_common_prefixes_leaps_over_what_they_cover) {
  constexpr std::size_t kRowsOfALeap = 64;
  for (const auto* after : {"", "folder03/"}) {
    const auto listing = page("folder", "/", after);
    EXPECT_EQ(listing.prefixes.size(), kPage);
    EXPECT_TRUE(listing.truncated);
    // Those keys are 2000 and more.
    EXPECT_LE(records_->watched.rows, (kPage + 1) * kRowsOfALeap + 1);
    expect_found_by_index();
  }
}

}  // namespace
}  // namespace strata::storage::lake
