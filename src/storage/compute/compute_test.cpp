#include "storage/compute/compute.hpp"

#include <filesystem>

#include <gtest/gtest.h>

namespace strata::storage::compute {
namespace {

TEST(Compute, Reads_what_proc_says_of_the_machine) {
  EXPECT_EQ(
      parse_cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: other\n"),
      "Some CPU @ 2.0GHz");
  EXPECT_EQ(parse_isa("flags\t\t: fpu sse4_2 avx2 sha_ni\n"),
            (std::vector<std::string>{"sse4_2", "avx2", "sha_ni"}));
  EXPECT_EQ(parse_isa("Features\t: fp asimd crc32\n"),
            (std::vector<std::string>{"asimd", "crc32"}));
  EXPECT_EQ(parse_memory_total("MemTotal:       1024 kB\nMemFree: 1 kB\n"), 1024U * 1024U);
  EXPECT_EQ(parse_memory_total(""), 0U);
}

TEST(Compute, Takes_an_inventory_of_this_machine) {
  const auto found = take_inventory(std::filesystem::temp_directory_path());
  EXPECT_FALSE(found.name.empty());
  EXPECT_GE(found.cores, 1);
  EXPECT_GT(found.memory_bytes, 0U);
  ASSERT_EQ(found.disks.size(), 1U);
  EXPECT_GT(found.disks[0].total_bytes, 0U);
}

TEST(Compute, Measures_something_plausible_everywhere) {
  const auto measured = measure(std::filesystem::temp_directory_path());
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  EXPECT_GT(measured->memory_gb_s, 0.1);
  EXPECT_GT(measured->disk_write_gb_s, 0);
  EXPECT_GT(measured->disk_read_gb_s, 0);
  EXPECT_GT(measured->fdatasync_p50_us, 0);
  EXPECT_GE(measured->fdatasync_p99_us, measured->fdatasync_p50_us);
  // What a core of any machine can do: a kernel that the compiler saw through claims far more.
  EXPECT_GT(measured->fp64_gflops, 0.1);
  EXPECT_LT(measured->fp64_gflops, 2000);
  EXPECT_GT(measured->fp32_gflops, measured->fp64_gflops / 2);
  EXPECT_LT(measured->fp32_gflops, 4000);
  const auto again = measurements_from(to_json(*measured));
  EXPECT_EQ(again.fp32_gflops, measured->fp32_gflops);
}

TEST(Compute, A_folder_that_is_not_there_is_an_error_and_no_number) {
  EXPECT_EQ(measure("/no/such/folder").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace strata::storage::compute
