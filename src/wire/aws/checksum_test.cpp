#include "wire/aws/checksum.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace strata::wire::aws {
namespace {

constexpr std::string_view kCheck = "123456789";

TEST(Checksum, Gives_the_published_check_values) {
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kCrc32, kCheck)), "cbf43926");
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kCrc32c, kCheck)), "e3069283");
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kCrc64Nvme, kCheck)), "ae8b14860a799888");
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kSha1, kCheck)),
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kSha256, kCheck)),
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
  EXPECT_EQ(to_hex(checksum_of(ChecksumKind::kCrc64Nvme, "")), "0000000000000000");
}

TEST(Checksum, Does_not_depend_on_how_the_bytes_are_cut) {
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += static_cast<char>(i * 37);
  for (const auto kind : kChecksumKinds) {
    Checksum sum(kind);
    for (std::size_t at = 0, step = 1; at < text.size(); at += step, step = step % 23 + 1) {
      sum.update(std::string_view(text).substr(at, step));
    }
    EXPECT_EQ(sum.finish(), checksum_of(kind, text)) << checksum_name(kind);
  }
}

TEST(Checksum, Combines_the_crcs_of_parts_into_the_crc_of_the_whole) {
  std::string text;
  for (int i = 0; i < 5000; ++i)
    text += static_cast<char>(i * 91 + i / 7);
  for (const auto kind : {ChecksumKind::kCrc32, ChecksumKind::kCrc32c, ChecksumKind::kCrc64Nvme}) {
    for (const std::size_t cut : {0UL, 1UL, 8UL, 1023UL, 4999UL, 5000UL}) {
      const auto a = std::string_view(text).substr(0, cut);
      const auto b = std::string_view(text).substr(cut);
      EXPECT_EQ(combine_crc(kind, checksum_of(kind, a), checksum_of(kind, b), b.size()),
                checksum_of(kind, text))
          << checksum_name(kind) << " at " << cut;
    }
  }
}

TEST(Checksum, Refuses_a_value_of_another_length_and_names_the_header) {
  EXPECT_TRUE(parse_checksum(ChecksumKind::kCrc32, "y/Q5Jg==", "x-amz-checksum-crc32").ok());
  for (const std::string_view bad : {"", "y/Q5", "!!!!", "y/Q5JgAAAAA="}) {
    const auto parsed = parse_checksum(ChecksumKind::kCrc32, bad, "x-amz-checksum-crc32");
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().field, "x-amz-checksum-crc32");
  }
}

}  // namespace
}  // namespace strata::wire::aws
