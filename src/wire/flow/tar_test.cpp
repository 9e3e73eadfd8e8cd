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

TEST(Tar, A_path_of_any_length_reads_back) {
  for (const std::size_t length : {99U, 100U, 101U, 255U, 256U, 300U, 1000U}) {
    for (const std::string& path : {std::string(length, 'n'), std::string(length / 2, 'd') + "/" +
                                                                  std::string(length, 'f')}) {
      const auto files = read_tar(*write_tar({{path, "x", false}, {"z", "y", false}}));
      ASSERT_TRUE(files.ok()) << files.error().message;
      EXPECT_EQ((*files)[0].path, path);
      EXPECT_EQ((*files)[1].path, "z");
    }
  }
}

TEST(Tar, A_size_that_octal_cannot_hold_is_listed) {
  constexpr std::uint64_t kSize = (std::uint64_t{9} << 30U) + 7;
  const std::string head = tar_header("big", kSize, false);
  const std::string tail = tar_padding(kSize) + tar_end();
  const TarSource source{head.size() + kSize + tail.size(),
                         [&](std::uint64_t at, std::size_t count) {
                           std::string out(count, '\0');
                           for (std::size_t i = 0; i < count && at + i < head.size(); ++i)
                             out[i] = head[at + i];
                           return Result<std::string>(out);
                         }};
  const auto entries = list_tar(source, 10);
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  EXPECT_EQ(entries->front().size, kSize);
  EXPECT_EQ(entries->front().offset, head.size());
}

TEST(Tar, A_path_that_comes_twice_and_too_many_files_are_refused) {
  EXPECT_FALSE(read_tar(*write_tar({{"a", "", false}, {"a", "x", false}})).ok());
  const std::string archive = *write_tar({{"a", "", false}, {"b", "x", false}});
  const TarSource source{archive.size(), [&](std::uint64_t at, std::size_t count) {
                           return Result<std::string>(archive.substr(at, count));
                         }};
  EXPECT_TRUE(list_tar(source, 2).ok());
  EXPECT_EQ(list_tar(source, 1).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace strata::wire
