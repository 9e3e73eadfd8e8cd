#include "wire/flow/tar.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

TEST(Tar, What_is_written_reads_back) {
  const std::string deep = std::string(80, 'd') + "/" + std::string(90, 'f');
  const auto archive = write_tar(
      {{"a.py", "print(1)\n", false}, {"bin/run", "", true}, {deep, std::string(513, 'x'), false}});
  ASSERT_TRUE(archive.ok());
  const auto files = read_tar(*archive);
  ASSERT_TRUE(files.ok()) << files.error().message;
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ((*files)[0].content, "print(1)\n");
  EXPECT_TRUE((*files)[1].executable);
  EXPECT_EQ((*files)[2].path, deep);
  EXPECT_EQ((*files)[2].content.size(), 513U);
}

TEST(Tar, Paths_that_lead_outside_are_refused) {
  for (const auto* const path : {"../x", "/etc/passwd", "a/../../x", "a//b", ".."}) {
    const auto archive = write_tar({{path, "x", false}});
    EXPECT_EQ(read_tar(*archive).error().code, Code::kInvalidArgument) << path;
  }
}

TEST(Tar, Damaged_and_cut_archives_are_errors) {
  const std::string archive = *write_tar({{"a", std::string(600, 'x'), false}});
  EXPECT_FALSE(read_tar("").ok());
  EXPECT_FALSE(read_tar("not an archive").ok());
  EXPECT_FALSE(read_tar(std::string(2000, 'x')).ok());
  for (const std::size_t cut : {512U, 700U, 1100U})
    EXPECT_FALSE(read_tar(archive.substr(0, cut)).ok()) << cut;
  std::string damaged = archive;
  damaged[0] = 'b';
  EXPECT_FALSE(read_tar(damaged).ok());
}

TEST(Tar, A_link_is_refused) {
  std::string archive = *write_tar({{"a", "", false}});
  archive[156] = '2';
  // The checksum counts the type byte too: '0' became '2'.
  archive[153] = static_cast<char>(archive[153] + 2);
  EXPECT_FALSE(read_tar(archive).ok());
}

}  // namespace
}  // namespace strata::wire
