#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "engines/rocksdb/rocksdb_state_store.hpp"
#include "platform/streams/memory_state_store.hpp"
#include "runtime/random.hpp"

namespace strata::engines::rocksdb {
namespace {

using platform::streams::MemoryDisk;
using platform::streams::MemoryStateStore;
using platform::streams::StateStore;

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("strata_rocksdb_" + SystemRandom().hex(8));
  ~Folder() { std::filesystem::remove_all(path); }
};

TEST(RocksDb, Answers_as_the_store_of_the_tests_does_before_and_after_it_is_opened_again) {
  const Folder folder;
  auto store = open_state_store(folder.path);
  ASSERT_TRUE(store.ok()) << store.error().message;
  MemoryStateStore model(std::make_shared<MemoryDisk>());
  std::mt19937 random(3);
  const auto any_key = [&] {
    return std::string(1, static_cast<char>(random() % 3)) + std::to_string(random() % 20);
  };
  for (int round = 0; round < 200; ++round) {
    StateStore::Pairs pairs;
    for (std::size_t i = 0; i < random() % 8; ++i)
      pairs.emplace_back(any_key(), std::string(random() % 100, '\0'));
    ASSERT_TRUE((*store)->write(pairs).ok());
    ASSERT_TRUE(model.write(pairs).ok());
    const std::vector<std::string> keys = {any_key(), any_key(), "none"};
    ASSERT_EQ(*(*store)->get(keys), *model.get(keys));
    const std::string prefix(1, static_cast<char>(random() % 3));
    ASSERT_EQ(*(*store)->scan(prefix), *model.scan(prefix));
    const std::vector<StateStore::Range> ranges = {{any_key(), any_key()}, {prefix, "~"}};
    const std::size_t limit = random() % 20;
    const auto found = (*store)->read(keys, ranges, limit);
    const auto expected = model.read(keys, ranges, limit);
    ASSERT_EQ(found->values, expected->values);
    ASSERT_EQ(found->ranges, expected->ranges);
    const std::vector<std::string> gone = {any_key(), "none"};
    ASSERT_TRUE((*store)->remove(gone).ok());
    ASSERT_TRUE(model.remove(gone).ok());
    if (round % 50 != 49) continue;
    ASSERT_TRUE((*store)->flush().ok());
    store->reset();
    store = open_state_store(folder.path);
    ASSERT_TRUE(store.ok()) << store.error().message;
  }
}

}  // namespace
}  // namespace strata::engines::rocksdb
