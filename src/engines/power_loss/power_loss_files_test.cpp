#include "engines/power_loss/power_loss_files.hpp"

#include <set>

#include <gtest/gtest.h>

namespace strata::engines::power_loss {
namespace {

// What `path` holds after a power cut, over many seeds; "gone" where it is not there.
template <class F>
std::set<std::string> outcomes(const std::string& path, F act) {
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PowerLossFiles disk(seed);
    EXPECT_TRUE(disk.make_dirs("/d"));
    act(disk);
    disk.cut(PowerLossFiles::Cut::kPower);
    found.insert(disk.after()->read_all(path).value_or("gone"));
  }
  return found;
}

void write(PowerLossFiles& disk, const std::string& path, bool sync) {
  auto file = disk.create(path);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->append("abc"));
  if (sync) EXPECT_TRUE((*file)->sync());
}

using Set = std::set<std::string>;

TEST(PowerLossFiles, A_write_that_was_not_synced_is_lost_kept_or_torn) {
  const auto act = [](PowerLossFiles& disk) {
    write(disk, "/d/f", false);
    EXPECT_TRUE(disk.sync_names("/d"));
  };
  EXPECT_EQ(outcomes("/d/f", act), (Set{"", "a", "ab", "abc"}));
}

TEST(PowerLossFiles, A_synced_file_without_a_synced_name_may_be_gone) {
  const auto act = [](PowerLossFiles& disk) {
    write(disk, "/d/f", true);
  };
  EXPECT_EQ(outcomes("/d/f", act), (Set{"abc", "gone"}));
}

TEST(PowerLossFiles, What_is_published_or_replaced_stays) {
  const auto publish = [](PowerLossFiles& disk) {
    write(disk, "/d/new", true);
    EXPECT_TRUE(disk.publish("/d/new", "/d/f"));
  };
  EXPECT_EQ(outcomes("/d/f", publish), Set{"abc"});
  EXPECT_EQ(outcomes("/d/new", publish), Set{"gone"});
  const auto replace = [](PowerLossFiles& disk) {
    EXPECT_TRUE(disk.replace("/d/f", "old"));
    EXPECT_TRUE(disk.replace("/d/f", "new"));
  };
  EXPECT_EQ(outcomes("/d/f", replace), Set{"new"});
}

TEST(PowerLossFiles, A_removed_name_may_come_back_until_its_directory_is_synced) {
  const auto remove = [](PowerLossFiles& disk) {
    EXPECT_TRUE(disk.replace("/d/f", "old"));
    EXPECT_TRUE(disk.remove("/d/f"));
  };
  EXPECT_EQ(outcomes("/d/f", remove), (Set{"gone", "old"}));
  const auto settle = [&](PowerLossFiles& disk) {
    remove(disk);
    EXPECT_TRUE(disk.sync_names("/d"));
  };
  EXPECT_EQ(outcomes("/d/f", settle), Set{"gone"});
}

TEST(PowerLossFiles, A_kill_loses_nothing_but_leaves_it_at_risk) {
  Set found;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    PowerLossFiles disk(seed);
    EXPECT_TRUE(disk.make_dirs("/d"));
    write(disk, "/d/f", false);
    disk.cut(PowerLossFiles::Cut::kKill);
    const auto next = disk.after();
    EXPECT_EQ(next->read_all("/d/f").value_or("gone"), "abc");
    next->cut(PowerLossFiles::Cut::kPower);
    found.insert(next->after()->read_all("/d/f").value_or("gone"));
  }
  EXPECT_TRUE(found.contains("gone") && found.contains("") && found.contains("abc"));
}

TEST(PowerLossFiles, What_happens_after_the_cut_is_seen_by_nobody) {
  PowerLossFiles disk(1);
  EXPECT_TRUE(disk.replace("/f", "before"));
  disk.cut_after(3, PowerLossFiles::Cut::kPower);
  EXPECT_TRUE(disk.replace("/f", "after"));
  EXPECT_TRUE(disk.is_off());
  EXPECT_EQ(disk.after()->read_all("/f").value_or("gone"), "before");
}

}  // namespace
}  // namespace strata::engines::power_loss
