#include "wire/grpc/grpc.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace strata::wire::grpc {
namespace {

using std::chrono::nanoseconds;

TEST(Grpc, Timeouts_have_one_to_eight_digits_and_a_unit) {
  EXPECT_EQ(*parse_timeout("1S"), nanoseconds(1'000'000'000));
  EXPECT_EQ(*parse_timeout("500m"), nanoseconds(500'000'000));
  EXPECT_EQ(*parse_timeout("99999999n"), nanoseconds(99'999'999));
  EXPECT_EQ(*parse_timeout("0u"), nanoseconds(0));
  EXPECT_EQ(*parse_timeout("2M"), std::chrono::minutes(2));
  EXPECT_GT(*parse_timeout("99999999H"), std::chrono::hours(1'000'000));
  for (const auto* wrong : {"", "S", "1", "123456789S", "1s", "-1S", "1.5S", " 1S", "1S "}) {
    const auto timeout = parse_timeout(wrong);
    ASSERT_FALSE(timeout) << wrong;
    EXPECT_EQ(timeout.error().field, "grpc-timeout");
  }
}

TEST(Grpc, Messages_of_errors_are_escaped_and_back) {
  const std::string text = "100 % of \xC3\xA9 \n\x01";
  EXPECT_EQ(encode_message(text), "100 %25 of %C3%A9 %0A%01");
  EXPECT_EQ(decode_message(encode_message(text)), text);
  EXPECT_EQ(decode_message("50% of %4"), "50% of %4");
}

TEST(Grpc, Frames_carry_a_message_and_whether_it_is_packed) {
  EXPECT_EQ(to_hex(to_frame("abc", {})), "0000000003616263");
  EXPECT_EQ(to_frame("", {}), std::string(5, '\0'));
  const std::string message(5000, 'x');
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const auto frame = to_frame(message, coding);
    const auto head = parse_frame_head(frame);
    ASSERT_TRUE(head && head->packed);
    ASSERT_EQ(frame.size(), kFrameHead + head->length);
    EXPECT_EQ(*unpack(*head, frame.substr(kFrameHead), coding, 5000), message);
    const auto large = unpack(*head, frame.substr(kFrameHead), coding, 4999);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, Code::kTooLarge);
    EXPECT_FALSE(unpack(*head, frame.substr(kFrameHead, 10), coding, 5000));
    EXPECT_FALSE(unpack(*head, frame.substr(kFrameHead), {}, 5000));
  }
  EXPECT_FALSE(parse_frame_head(std::string("\2\0\0\0\0", 5)));
}

TEST(Grpc, Small_messages_go_out_as_they_are_even_where_packing_was_asked_for) {
  EXPECT_EQ(to_frame("abc", ContentCoding::kGzip), to_frame("abc", {}));
}

TEST(Grpc, Encodings_that_are_not_offered_are_named) {
  EXPECT_EQ(*parse_encoding("gzip"), ContentCoding::kGzip);
  EXPECT_FALSE(parse_encoding("identity")->has_value());
  const auto unknown = parse_encoding("snappy");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(status_of(unknown.error().code), Status::kUnimplemented);
}

TEST(Grpc, Content_types_of_other_codecs_are_not_its_own) {
  EXPECT_TRUE(is_grpc("application/grpc"));
  EXPECT_TRUE(is_grpc("application/grpc+proto; charset=utf-8"));
  EXPECT_FALSE(is_grpc("application/grpc-web"));
  EXPECT_FALSE(is_grpc("application/grpc+json"));
  EXPECT_FALSE(is_grpc("application/json"));
}

}  // namespace
}  // namespace strata::wire::grpc
