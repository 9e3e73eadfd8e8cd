#include "wire/aws/aws_chunked.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace strata::wire::aws {
namespace {

struct Decoded {
  std::string payload;
  Pairs trailers;
};

Result<Decoded> decode(ChunkFraming framing, std::string_view body, std::size_t step) {
  ChunkDecoder decoder(std::move(framing));
  Decoded out;
  while (!body.empty()) {
    auto piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    while (!piece.empty() && !decoder.done()) {
      auto run = decoder.next(piece);
      if (!run) return std::move(run).error();
      out.payload += *run;
    }
  }
  STRATA_TRY(decoder.finish());
  out.trailers = decoder.trailers();
  return out;
}

// The published example: 66560 bytes 'a' in chunks of 64 KiB and 1 KiB.
ChunkSigning example_signing() {
  const CredentialScope scope{"AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3"};
  return {signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope), scope, "20130524T000000Z",
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"};
}

std::string example_body() {
  return "10000;chunk-signature="
         "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
         std::string(65536, 'a') +
         "\r\n400;chunk-signature="
         "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
         std::string(1024, 'a') +
         "\r\n0;chunk-signature="
         "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
}

TEST(AwsChunked, Decodes_the_published_signed_example_however_it_is_cut) {
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{1} << 20}) {
    const auto out =
        decode({.signing = example_signing(), .trailer = false, .decoded_length = 66560},
               example_body(), step);
    ASSERT_TRUE(out.ok()) << out.error().message;
    EXPECT_EQ(out->payload, std::string(66560, 'a'));
  }
}

TEST(AwsChunked, A_changed_byte_or_a_chunk_out_of_order_breaks_the_chain) {
  for (const std::size_t at : {std::size_t{200}, std::size_t{65800}, std::size_t{30}}) {
    auto body = example_body();
    body[at] = body[at] == 'b' ? 'c' : 'b';
    const auto out = decode({.signing = example_signing()}, body, 4096);
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.error().code, Code::kSignatureMismatch) << at;
  }
}

TEST(AwsChunked, Reads_unsigned_chunks_with_a_trailing_checksum) {
  const auto out =
      decode({.signing = {}, .trailer = true, .decoded_length = 9},
             "4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", 3);
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->payload, "123456789");
  EXPECT_EQ(out->trailers, (Pairs{{"x-amz-checksum-crc32", "y/Q5Jg=="}}));
}

TEST(AwsChunked, Checks_the_signature_over_the_trailers) {
  // The published example of STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER: the same payload with a
  // CRC-32C trailer.
  auto signing = example_signing();
  signing.seed_signature = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
  const auto body = [](std::string_view sum) {
    return "10000;chunk-signature="
           "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" +
           std::string(65536, 'a') +
           "\r\n400;chunk-signature="
           "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" +
           std::string(1024, 'a') +
           "\r\n0;chunk-signature="
           "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
           "x-amz-checksum-crc32c:" +
           std::string(sum) +
           "\r\nx-amz-trailer-signature:"
           "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
  };
  const auto good = decode({.signing = signing, .trailer = true}, body("sOO8/Q=="), 1000);
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_EQ(good->trailers, (Pairs{{"x-amz-checksum-crc32c", "sOO8/Q=="}}));
  EXPECT_EQ(decode({.signing = signing, .trailer = true}, body("sOO9/Q=="), 1000).error().code,
            Code::kSignatureMismatch);
}

TEST(AwsChunked, Refuses_bodies_that_break_off_or_lie_about_their_length) {
  const ChunkFraming unsigned_framing{.signing = {}, .trailer = true, .decoded_length = 4};
  for (const std::string_view bad :
       {"", "4\r\n1234\r\n", "4\r\n12", "4\r\n1234\r\n0\r\n", "xyz\r\n", "\r\n",
        "4\r\n12345\r\n0\r\n\r\n", "3\r\n123\r\n0\r\n\r\n", "5\r\n12345\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n1", "ffffffffffffffffff\r\n1", "4\r\n1234\r\n0\r\nno trailer\r\n\r\n",
        "-4\r\n1234\r\n0\r\n\r\n"}) {
    const auto out = decode(unsigned_framing, bad, 5);
    ASSERT_FALSE(out.ok()) << bad;
    EXPECT_EQ(out.error().code, Code::kMalformed) << bad;
  }
  EXPECT_EQ(decode(unsigned_framing, std::string(600, '0'), 5).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace strata::wire::aws
