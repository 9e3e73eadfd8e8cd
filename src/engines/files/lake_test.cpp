#include "storage/lake/lake.hpp"

#include <atomic>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "engines/files/file_blob_store.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "runtime/scope.hpp"

// The lake on real files and real records; what clients see of it is tested in tests/clients/s3.
namespace strata::storage::lake {
namespace {

using engines::files::FileBlobStore;
using engines::sqlite::SqliteRecords;

class BrokenSource final : public ByteSource {
 public:
  explicit BrokenSource(int pieces) : left_(pieces) {}
  Task<Result<std::string_view>> next() override {
    if (left_-- > 0) co_return std::string_view(piece_);
    co_return Error(Code::kUnavailable, "the sender went away");
  }

 private:
  std::string piece_ = std::string(100'000, 'b');
  int left_;
};

class LakeTest : public testing::Test {
 public:
  void SetUp() override {
    directory_ = testing::TempDir() + "lake_" + SystemRandom().hex(6);
    std::filesystem::create_directories(directory_);
    caller_.user_name = "ada";
    caller_.project = ProjectId("default");
    caller_.permissions.set();
    open();
    ASSERT_TRUE(sync_wait(lake_->create_bucket(caller_, "bucket")).ok());
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(directory_);
  }
  void close() {
    lake_.reset();
    pool_.reset();
    blobs_.reset();
    records_.reset();
  }
  void open() {
    close();
    pool_ = std::make_unique<BlockingPool>(4);
    auto records = SqliteRecords::open(directory_ + "/records.db", 2);
    ASSERT_TRUE(records.ok());
    records_ = *std::move(records);
    for (const auto migrations : {Lake::migrations(), kernel::Audit::migrations(),
                                  kernel::EventBus::migrations(), kernel::Lineage::migrations()}) {
      ASSERT_TRUE(records_->migrate(migrations).ok());
    }
    audit_ = std::make_unique<kernel::Audit>(*records_, clock_);
    events_ = std::make_unique<kernel::EventBus>(*records_, clock_);
    lineage_ = std::make_unique<kernel::Lineage>(*records_, clock_);
    blobs_ = std::make_unique<FileBlobStore>(files_, random_, *pool_, directory_ + "/lake");
    blobs_->set_pack_limit(200'000);
    ASSERT_TRUE(blobs_->start().ok());
    lake_ = std::make_unique<Lake>(
        Lake::Ports{*records_, *blobs_, *pool_, *audit_, *events_, *lineage_, clock_, random_});
  }
  ObjectName name(const std::string& key) { return *ObjectName::make("bucket", key); }
  Result<ObjectInfo> put(const std::string& key, const std::string& body, PutOptions options = {}) {
    TextSource source(body);
    return sync_wait(lake_->put(caller_, name(key), source, std::move(options)));
  }
  std::string get(const std::string& key) {
    auto object = sync_wait(lake_->get(caller_, name(key), {}));
    if (!object) return std::string("error: ") + std::string(code_name(object.error().code));
    const auto source = lake_->read(*std::move(object));
    return *sync_wait(read_all(*source, 1ULL << 30));
  }
  std::size_t files_in(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(directory_ + "/lake" + folder)) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }
  std::size_t tidy() {
    const auto given = sync_wait(lake_->tidy(true, {}));
    EXPECT_TRUE(given.ok());
    return given.value_or(0);
  }

  std::string directory_;
  SystemFiles files_;
  SystemRandom random_;
  ManualClock clock_{Instant::from_seconds(1'800'000'000)};
  std::unique_ptr<BlockingPool> pool_;
  std::unique_ptr<SqliteRecords> records_;
  std::unique_ptr<kernel::Audit> audit_;
  std::unique_ptr<kernel::EventBus> events_;
  std::unique_ptr<kernel::Lineage> lineage_;
  std::unique_ptr<FileBlobStore> blobs_;
  std::unique_ptr<Lake> lake_;
  Caller caller_;
};

TEST_F(LakeTest, A_put_says_what_it_is_to_readers_events_and_lineage) {
  const auto info = put("k", "hello");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(info->digest, content_digest("hello"));
  const auto events = sync_wait(events_->since(0));
  ASSERT_EQ(events->size(), 2U);  // the bucket's, then the object's
  EXPECT_EQ(events->back().type, "object.created");
  EXPECT_EQ(events->back().subject, "lake:bucket/k");
  EXPECT_EQ(events->back().data.text("digest"), info->digest);
  const auto node = sync_wait(lineage_->find(caller_.project, {"object", "bucket/k", ""}));
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(node->digest, info->digest);
  EXPECT_EQ(node->ref.version, to_hex(sha256("hello")).substr(0, 16));
  EXPECT_EQ(node->owner, "ada");
}

TEST_F(LakeTest, A_body_that_breaks_off_leaves_the_former_version_and_no_bytes) {
  ASSERT_TRUE(put("k", "former").ok());
  for (const int pieces : {0, 1, 30}) {
    BrokenSource broken(pieces);
    EXPECT_FALSE(sync_wait(lake_->put(caller_, name("k"), broken, {})).ok());
  }
  EXPECT_EQ(get("k"), "former");
  EXPECT_EQ(files_in("/incoming"), 0U);
  EXPECT_EQ(files_in("/files"), 0U);
}

TEST_F(LakeTest, Of_many_conditional_writers_exactly_one_wins) {
  LoopGroup loops(4);
  std::atomic<int> won{0};
  std::atomic<int> refused{0};
  {
    TaskScope scope;
    const auto body = [](LakeTest& test, int i, std::atomic<int>& w,
                         std::atomic<int>& r) -> Task<void> {
      TextSource source(std::string(static_cast<std::size_t>(i % 2 == 0 ? 10 : 200'000),
                                    static_cast<char>('a' + i % 26)));
      PutOptions options;
      options.when.if_none_match = "*";
      const auto target = test.name("race");
      const auto stored =
          co_await test.lake_->put(test.caller_, target, source, std::move(options));
      if (stored) ++w;
      if (!stored && stored.error().code == Code::kPreconditionFailed) ++r;
    };
    for (int i = 0; i < 40; ++i)
      scope.spawn(loops.next(), body(*this, i, won, refused));
    while (scope.running() > 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(won.load(), 1);
  EXPECT_EQ(refused.load(), 39);
}

TEST_F(LakeTest, Overwritten_and_removed_bytes_are_given_back) {
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(put("large", std::string(300'000 + static_cast<std::size_t>(i), 'x')).ok());
  for (int i = 0; i < 60; ++i)
    ASSERT_TRUE(put("small", std::string(20'000, static_cast<char>('a' + i % 26))).ok());
  EXPECT_GT(files_in("/packs"), 4U);
  EXPECT_GT(tidy(), 3U);
  EXPECT_EQ(get("small"), std::string(20'000, static_cast<char>('a' + 59 % 26)));
  EXPECT_LE(files_in("/packs"), 2U);
  ASSERT_TRUE(sync_wait(lake_->remove(caller_, name("large"), {})).ok());
  pool_->stop();
  EXPECT_EQ(files_in("/files"), 0U);
}

TEST_F(LakeTest, A_mostly_dead_pack_is_compacted_and_its_living_still_read) {
  const auto key = [](int i) {
    return "k" + std::to_string(i);
  };
  const auto body = [](int i) {
    return std::string(10'000, static_cast<char>('!' + i % 90));
  };
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(put(key(i), body(i)).ok());
  for (int i = 0; i < 100; ++i) {
    if (i % 5 != 0) ASSERT_TRUE(sync_wait(lake_->remove(caller_, name(key(i)), {})).ok());
  }
  const auto before = files_in("/packs");
  EXPECT_GE(tidy(), 3U);
  EXPECT_LE(files_in("/packs"), before - 2);
  for (int i = 0; i < 100; i += 5)
    EXPECT_EQ(get(key(i)), body(i));
  open();
  EXPECT_EQ(get(key(95)), body(95));
}

TEST_F(LakeTest, What_a_crash_left_without_a_record_is_swept_at_the_next_start) {
  ASSERT_TRUE(put("kept", std::string(200'000, 'k')).ok());
  {
    auto writer = blobs_->create();
    ASSERT_TRUE((*writer)->append(std::string(200'000, 'o')).ok());
    auto blob = (*writer)->finish();
    ASSERT_TRUE(blob.ok());
    blob->keep();  // as if the process had died before the record's commit
  }
  EXPECT_EQ(files_in("/files"), 2U);
  open();
  EXPECT_EQ(tidy(), 1U);
  EXPECT_EQ(files_in("/files"), 1U);
  EXPECT_EQ(get("kept"), std::string(200'000, 'k'));
}

TEST_F(LakeTest, Another_projects_bucket_is_neither_read_nor_written_and_its_name_is_taken) {
  ASSERT_TRUE(put("k", "mine").ok());
  Caller stranger = caller_;
  stranger.project = ProjectId("other");
  EXPECT_EQ(sync_wait(lake_->get(stranger, name("k"), {})).error().code, Code::kPermissionDenied);
  TextSource source("theirs");
  EXPECT_EQ(sync_wait(lake_->put(stranger, name("k"), source, {})).error().code,
            Code::kPermissionDenied);
  EXPECT_EQ(sync_wait(lake_->list(stranger, "bucket", {})).error().code, Code::kPermissionDenied);
  const auto made = sync_wait(lake_->create_bucket(stranger, "bucket"));
  EXPECT_EQ(made.error().code, Code::kAlreadyExists);
  EXPECT_EQ(made.error().field, "owner");
  EXPECT_TRUE(sync_wait(lake_->buckets(stranger))->empty());
  EXPECT_EQ(get("k"), "mine");
}

TEST_F(LakeTest, A_caller_needs_the_permission_even_inside_the_process) {
  Caller reader = caller_;
  reader.permissions.reset();
  EXPECT_EQ(sync_wait(lake_->get(reader, name("k"), {})).error().code, Code::kPermissionDenied);
  reader.permissions.set(static_cast<std::size_t>(kernel::Permission::kLakeRead));
  EXPECT_EQ(sync_wait(lake_->get(reader, name("k"), {})).error().code, Code::kNotFound);
  EXPECT_EQ(sync_wait(lake_->remove(reader, name("k"), {})).error().code, Code::kPermissionDenied);
}

TEST_F(LakeTest, Materialises_objects_as_files) {
  ASSERT_TRUE(put("small", "small").ok());
  ASSERT_TRUE(put("large", std::string(1'500'000, 'l')).ok());
  ASSERT_TRUE(put("empty", "").ok());
  for (const auto* key : {"small", "large", "empty"}) {
    const auto path = directory_ + "/out_" + key;
    ASSERT_TRUE(sync_wait(lake_->materialise(caller_, name(key), path)).ok()) << key;
    EXPECT_EQ(*files_.read_all(path), get(key));
  }
  EXPECT_EQ(std::filesystem::hard_link_count(directory_ + "/out_large"), 2U);
}

TEST_F(LakeTest, A_copy_of_a_large_object_moves_no_bytes_and_outlives_its_source) {
  ASSERT_TRUE(put("a", std::string(400'000, 'x')).ok());
  ASSERT_TRUE(sync_wait(lake_->copy(caller_, name("a"), name("b"), {})).ok());
  EXPECT_EQ(files_in("/files"), 1U);
  ASSERT_TRUE(sync_wait(lake_->remove(caller_, name("a"), {})).ok());
  tidy();
  EXPECT_EQ(get("b"), std::string(400'000, 'x'));
  const auto bucket = sync_wait(lake_->bucket(caller_, "bucket"));
  EXPECT_EQ(bucket->objects, 1U);
  EXPECT_EQ(bucket->bytes, 400'000U);
}

TEST_F(LakeTest, Removing_a_bucket_takes_its_unfinished_uploads_along) {
  const auto upload = sync_wait(lake_->create_upload(caller_, name("k"), {}));
  TextSource part(std::string(300'000, 'p'));
  ASSERT_TRUE(sync_wait(lake_->put_part(caller_, name("k"), upload->id, 1, part, {})).ok());
  EXPECT_EQ(files_in("/files"), 1U);
  ASSERT_TRUE(sync_wait(lake_->delete_bucket(caller_, "bucket")).ok());
  pool_->stop();
  EXPECT_EQ(files_in("/files"), 0U);
}

TEST(ObjectName, Takes_what_may_exist_and_nothing_else) {
  for (const auto& key :
       std::vector<std::string>{"a", "/", "../x", "a//b", std::string(1024, 'k')}) {
    EXPECT_TRUE(ObjectName::make("b", key).ok()) << key;
  }
  EXPECT_EQ(ObjectName::make("b", "").error().field, "key");
  EXPECT_EQ(ObjectName::make("b", std::string(1025, 'k')).error().field, "key");
  EXPECT_EQ(ObjectName::make("b", "\xFF").error().field, "key");
}

TEST(ByteRanges, Follow_the_standard_and_ignore_nonsense) {
  const auto first = parse_range("bytes=2-5");
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->first, 2U);
  EXPECT_EQ(first->last, 5U);
  EXPECT_FALSE(parse_range("bytes=-3")->first.has_value());
  EXPECT_FALSE(parse_range("bytes=3-")->last.has_value());
  for (const auto* bad : {"", "bytes=", "bytes=-", "bytes=5-2", "bytes=1-2,4-5", "lines=1-2",
                          "bytes=a-b", "bytes=+1-2"}) {
    EXPECT_FALSE(parse_range(bad).has_value()) << bad;
  }
}

TEST(BlobRefs, Read_back_as_written_and_damage_is_noticed) {
  const std::vector<BlobRef> refs = {
      {12, 4096, 500}, {0, 0xF00AB54A98CEB1F0ULL, 1'048'576}, {1, 16, 0}};
  EXPECT_EQ(*decode_refs(encode_refs(refs)), refs);
  EXPECT_TRUE(decode_refs("")->empty());
  for (const auto* bad : {"x", "p1:2", "p0:1:2", "f12", "p1:2:3,", "p1:2:3;f1:2", "f1:2x"}) {
    EXPECT_EQ(decode_refs(bad).error().code, Code::kDataLoss) << bad;
  }
}

}  // namespace
}  // namespace strata::storage::lake
