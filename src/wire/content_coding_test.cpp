#include "wire/content_coding.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

constexpr std::uint64_t kLimit = 1U << 20U;

std::string packed(ContentCoding coding, std::string_view text) {
  return Deflater(coding).pack(text, true);
}

// The whole of a body that arrives in pieces of `step` bytes.
Result<std::string> unpacked(ContentCoding coding, std::string_view body, std::size_t step,
                             std::uint64_t limit = kLimit) {
  Inflater inflater(coding, limit);
  std::string all;
  const auto take = [&](std::string_view run) {
    all += run;
    return Status();
  };
  while (!body.empty()) {
    const auto piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    STRATA_TRY(inflater.unpack(piece, take));
  }
  STRATA_TRY(inflater.finish());
  return all;
}

TEST(ContentCoding, Reads_what_a_field_says) {
  EXPECT_EQ(*parse_content_encoding("gzip"), ContentCoding::kGzip);
  EXPECT_EQ(*parse_content_encoding(" X-GZip "), ContentCoding::kGzip);
  EXPECT_EQ(*parse_content_encoding("deflate"), ContentCoding::kDeflate);
  EXPECT_EQ(*parse_content_encoding("identity"), std::nullopt);
  for (const auto* other : {"br", "zstd", "gzip, gzip", "gzip, deflate", "compress"})
    EXPECT_EQ(parse_content_encoding(other).error().code, Code::kUnsupportedMediaType) << other;
}

TEST(ContentCoding, Answers_in_a_coding_that_was_asked_for) {
  EXPECT_EQ(accepted_coding("deflate, gzip;q=0.5"), ContentCoding::kGzip);
  EXPECT_EQ(accepted_coding("deflate, gzip;q=0"), ContentCoding::kDeflate);
  EXPECT_EQ(accepted_coding("br, identity"), std::nullopt);
  EXPECT_EQ(accepted_coding(""), std::nullopt);
}

TEST(ContentCoding, Gives_back_what_was_packed_however_it_is_cut) {
  std::string text;
  for (int i = 0; i < 50'000; ++i)
    text += std::to_string(i * 7919 % 10'007) + ",";
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    for (const std::string_view body : {std::string_view(text), std::string_view()}) {
      const std::string small = packed(coding, body);
      EXPECT_LT(small.size(), std::max<std::size_t>(body.size(), 32));
      for (const std::size_t step : {std::size_t{1}, std::size_t{1000}, small.size()})
        EXPECT_EQ(*unpacked(coding, small, step), body);
    }
  }
}

TEST(ContentCoding, Reads_several_gzip_members_as_one_body) {
  const std::string two = packed(ContentCoding::kGzip, "one") + packed(ContentCoding::kGzip, "two");
  EXPECT_EQ(*unpacked(ContentCoding::kGzip, two, 5), "onetwo");
}

TEST(ContentCoding, Stops_at_the_limit_whatever_a_body_unpacks_to) {
  const std::string bomb = packed(ContentCoding::kGzip, std::string(8U << 20U, '\0'));
  ASSERT_LT(bomb.size(), 64U << 10U);
  EXPECT_EQ(unpacked(ContentCoding::kGzip, bomb, bomb.size()).error().code, Code::kTooLarge);
  // Empty members unpack to nothing, for ever.
  std::string nothing;
  while (nothing.size() < 2000)
    nothing += packed(ContentCoding::kGzip, "");
  EXPECT_EQ(unpacked(ContentCoding::kGzip, nothing, 100, 1000).error().code, Code::kTooLarge);
  const std::string exact = packed(ContentCoding::kGzip, std::string(1000, 'x'));
  EXPECT_TRUE(unpacked(ContentCoding::kGzip, exact, 7, 1000));
  EXPECT_FALSE(unpacked(ContentCoding::kGzip, exact, 7, 999));
}

TEST(ContentCoding, Refuses_what_is_damaged_cut_off_or_followed_by_more) {
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const std::string good = packed(coding, "the body of a request");
    for (std::size_t size = 0; size < good.size(); ++size)
      EXPECT_EQ(unpacked(coding, good.substr(0, size), 4).error().code, Code::kMalformed) << size;
    EXPECT_EQ(unpacked(coding, good + "more", 4).error().code, Code::kMalformed);
    std::string wrong = good;
    wrong[wrong.size() - 5] ^= 1;  // in the checksum, of either
    if (coding == ContentCoding::kDeflate) wrong[wrong.size() - 1] ^= 1;
    EXPECT_EQ(unpacked(coding, wrong, 4).error().code, Code::kMalformed);
    EXPECT_EQ(unpacked(coding, "{\"inputs\": []}", 4).error().code, Code::kMalformed);
  }
}

}  // namespace
}  // namespace strata::wire
