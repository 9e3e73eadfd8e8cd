#include "engines/files/file_blob_store.hpp"

#include <atomic>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/scope.hpp"

namespace strata::engines::files {
namespace {

// Fails the next sync, as a dying disk would.
class FailingFiles final : public SystemFiles {
 public:
  class Wrapped final : public File {
   public:
    Wrapped(std::unique_ptr<File> inner, FailingFiles& owner)
        : inner_(std::move(inner)),
          owner_(owner) {}
    Result<std::size_t> read_at(std::span<char> out, std::uint64_t offset) override {
      return inner_->read_at(out, offset);
    }
    Status append(std::string_view bytes) override { return inner_->append(bytes); }
    Status sync() override {
      ++owner_.syncs;
      if (owner_.fail.exchange(false)) return Error(Code::kInternal, "the disk says no");
      return inner_->sync();
    }
    Result<std::uint64_t> size() override { return inner_->size(); }
    int descriptor() const override { return inner_->descriptor(); }

   private:
    std::unique_ptr<File> inner_;
    FailingFiles& owner_;
  };

  Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode) override {
    return wrap(SystemFiles::create(path, mode));
  }
  Result<std::unique_ptr<File>> append_to(const std::string& path) override {
    return wrap(SystemFiles::append_to(path));
  }

  std::atomic<bool> fail{false};
  std::atomic<int> syncs{0};

 private:
  Result<std::unique_ptr<File>> wrap(Result<std::unique_ptr<File>> file) {
    if (!file) return file;
    return std::unique_ptr<File>(std::make_unique<Wrapped>(*std::move(file), *this));
  }
};

class FileBlobStoreTest : public testing::Test {
 public:
  void SetUp() override {
    directory_ = testing::TempDir() + "blobs_" + SystemRandom().hex(6);
    open();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    store_.reset();
    store_ = std::make_unique<FileBlobStore>(files_, random_, pool_, directory_);
    ASSERT_TRUE(store_->start().ok());
  }
  BlobRef put(const std::string& bytes, const std::string& owner = "owner") {
    auto blob = sync_wait(store_->put(bytes, owner));
    EXPECT_TRUE(blob.ok());
    blob->keep();
    return blob->ref();
  }
  BlobRef write(const std::string& bytes) {
    auto writer = store_->create();
    EXPECT_TRUE((*writer)->append(bytes).ok());
    auto blob = (*writer)->finish();
    EXPECT_TRUE(blob.ok());
    blob->keep();
    return blob->ref();
  }
  std::string read(const BlobRef& ref) {
    const auto slice = store_->open(ref);
    if (!slice) return "error: " + slice.error().message;
    std::string bytes(static_cast<std::size_t>(slice->length), '\0');
    const auto got = slice->file->read_at(bytes, slice->offset);
    return got ? bytes.substr(0, *got) : "error";
  }
  std::size_t files_in(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ + folder)) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }

  std::string directory_;
  FailingFiles files_;
  SystemRandom random_;
  BlockingPool pool_{4};
  std::unique_ptr<FileBlobStore> store_;
};

TEST_F(FileBlobStoreTest, Small_and_large_blobs_read_back_after_a_restart) {
  const auto small = put("small");
  const auto large = write(std::string(500'000, 'x'));
  open();
  EXPECT_EQ(read(small), "small");
  EXPECT_EQ(read(large), std::string(500'000, 'x'));
  const auto later = put("later");
  EXPECT_EQ(later.pack, small.pack);
  EXPECT_EQ(read(later), "later");
  EXPECT_EQ(read(small), "small");
}

TEST_F(FileBlobStoreTest, Blobs_that_wait_together_share_a_sync) {
  LoopGroup loops(2);
  std::atomic<int> right{0};
  const int before = files_.syncs.load();
  {
    TaskScope scope;
    const auto body = [](FileBlobStoreTest& test, int i, std::atomic<int>& n) -> Task<void> {
      const std::string text = "blob " + std::to_string(i);
      auto blob = co_await test.store_->put(text, "");
      if (!blob) co_return;
      blob->keep();
      if (test.read(blob->ref()) == text) ++n;
    };
    for (int i = 0; i < 400; ++i)
      scope.spawn(loops.next(), body(*this, i, right));
    while (scope.running() > 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(right.load(), 400);
  EXPECT_LT(files_.syncs.load() - before, 400);
}

TEST_F(FileBlobStoreTest, After_a_failed_sync_the_pack_is_left_and_the_next_put_works) {
  const auto first = put("first");
  files_.fail = true;
  EXPECT_FALSE(sync_wait(store_->put("lost", "")).ok());
  const auto second = put("second");
  EXPECT_NE(second.pack, first.pack);
  EXPECT_EQ(read(first), "first");
  EXPECT_EQ(read(second), "second");
}

TEST_F(FileBlobStoreTest, What_is_not_kept_or_not_finished_leaves_nothing) {
  {
    auto writer = store_->create();
    ASSERT_TRUE((*writer)->append("half").ok());
  }
  {
    auto writer = store_->create();
    ASSERT_TRUE((*writer)->append("whole but never named").ok());
    auto blob = (*writer)->finish();
    ASSERT_TRUE(blob.ok());
  }
  pool_.stop();
  EXPECT_EQ(files_in("/incoming"), 0U);
  EXPECT_EQ(files_in("/files"), 0U);
}

TEST_F(FileBlobStoreTest, A_sweep_takes_leftovers_and_spares_the_new_and_the_alive) {
  const auto alive = write("alive");
  write("left behind by a crash");
  auto writer = store_->create();
  ASSERT_TRUE((*writer)->append("new").ok());
  auto fresh = (*writer)->finish();
  ASSERT_TRUE(fresh.ok());
  const auto swept =
      store_->sweep([&](const BlobRef& ref) -> Result<bool> { return ref.place == alive.place; });
  ASSERT_TRUE(swept.ok());
  EXPECT_EQ(*swept, 1U);
  EXPECT_EQ(read(alive), "alive");
  EXPECT_EQ(read(fresh->ref()), "new");
}

TEST_F(FileBlobStoreTest, A_scan_finds_every_whole_blob_behind_a_torn_one) {
  const auto first = put("first", "o1");
  const auto path = directory_ + "/packs/00000001.pack";
  {
    auto file = SystemFiles().append_to(path);
    ASSERT_TRUE((*file)->append(std::string("\xED\x5E\x0B\xB1 torn by a crash \xED", 22)).ok());
  }
  open();
  const auto second = put(std::string(100'000, 'y'), "o2");
  for (int i = 0; i < 30; ++i)
    put(std::string(90'000, 'z'), "filler");
  std::vector<std::pair<BlobRef, std::string>> found;
  const auto scanned = store_->scan(1, [&](const BlobRef& ref, std::string_view owner) -> Status {
    if (owner != "filler") found.emplace_back(ref, owner);
    return {};
  });
  ASSERT_TRUE(scanned.ok());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], std::pair(first, std::string("o1")));
  EXPECT_EQ(found[1], std::pair(second, std::string("o2")));
  EXPECT_EQ(read(second), std::string(100'000, 'y'));
}

TEST_F(FileBlobStoreTest, Materialises_one_file_by_link_and_several_blobs_by_copy) {
  const auto large = write(std::string(200'000, 'l'));
  const auto small = put("small");
  const auto target = directory_ + "/target";
  ASSERT_TRUE(store_->materialise(std::vector{large}, target).ok());
  EXPECT_EQ(std::filesystem::hard_link_count(target), 2U);
  const auto joined = directory_ + "/joined";
  ASSERT_TRUE(store_->materialise(std::vector{small, large}, joined).ok());
  EXPECT_EQ(*files_.read_all(joined), "small" + std::string(200'000, 'l'));
  EXPECT_EQ(store_->materialise(std::vector{small}, joined).error().code, Code::kAlreadyExists);
}

}  // namespace
}  // namespace strata::engines::files
