// The wire format against the examples of its specification and numbers at the edges of their
// types.
#include "wire/protobuf/protobuf.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace strata::wire::protobuf {
namespace {

std::string hex(std::string_view text) {
  return *from_hex(text);
}

// protobuf.dev/programming-guides/encoding: "A Simple Message", "Length-Delimited Records",
// "Repeated Elements".
TEST(Protobuf, Reads_the_examples_of_the_specification) {
  const std::string simple = hex("089601");
  Reader first(simple, "Test1");
  ASSERT_TRUE(first.next());
  std::int64_t number = 0;
  first.integer("a", number);
  EXPECT_EQ(first.number(), 1U);
  EXPECT_EQ(number, 150);
  EXPECT_FALSE(first.next());
  EXPECT_FALSE(first.failed());

  const std::string text = hex("120774657374696e67");
  Reader second(text, "Test2");
  ASSERT_TRUE(second.next());
  std::string value;
  second.text("b", value);
  EXPECT_EQ(value, "testing");

  const std::string packed = hex("3206038e029ea705");
  Reader third(packed, "Test5");
  ASSERT_TRUE(third.next());
  std::vector<std::int32_t> list;
  third.numbers<std::int32_t>("f", [&](std::int32_t one) { list.push_back(one); });
  EXPECT_EQ(list, (std::vector<std::int32_t>{3, 270, 86942}));
}

TEST(Protobuf, Writes_what_the_specification_shows) {
  Writer writer;
  writer.integer(1, 150);
  writer.text(2, "testing");
  writer.packed(6, std::vector<std::int64_t>{3, 270, 86942});
  EXPECT_EQ(to_hex(writer.out()), "089601120774657374696e673206038e029ea705");
}

TEST(Protobuf, Leaves_out_what_is_zero_but_not_in_lists) {
  Writer writer;
  writer.integer(1, 0);
  writer.boolean(2, false);
  writer.text(3, "");
  writer.packed(4, std::vector<std::int64_t>{});
  EXPECT_EQ(writer.out(), "");
  writer.element(3, "");
  writer.packed(4, std::vector<std::int64_t>{0});
  EXPECT_EQ(to_hex(writer.out()), "1a00220100");
}

TEST(Protobuf, Keeps_numbers_at_the_edges_of_their_types) {
  const std::vector<std::int64_t> edges = {0,
                                           -1,
                                           127,
                                           128,
                                           std::numeric_limits<std::int64_t>::min(),
                                           std::numeric_limits<std::int64_t>::max(),
                                           (std::int64_t{1} << 53) + 1};
  Writer writer;
  writer.packed(7, edges);
  const std::string bytes = writer.take();
  Reader reader(bytes, "Edges");
  ASSERT_TRUE(reader.next());
  std::vector<std::int64_t> back;
  reader.numbers<std::int64_t>("n", [&](std::int64_t one) { back.push_back(one); });
  EXPECT_EQ(back, edges);
}

TEST(Protobuf, Takes_repeated_numbers_packed_and_one_by_one) {
  const std::string floats = hex("0d0000803f0a080000004000004040");
  Reader reader(floats, "Floats");
  std::vector<float> list;
  while (reader.next())
    reader.numbers<float>("f", [&](float one) { list.push_back(one); });
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(list, (std::vector<float>{1, 2, 3}));
}

TEST(Protobuf, Passes_over_unknown_fields_and_groups) {
  // 5: group { 1: 7, 2: group {} }, 9: fixed32, 10: fixed64, 1: 1
  const std::string bytes =
      hex("2b08071314") + hex("2c") + hex("4d01000000510200000000000000") + hex("0801");
  Reader reader(bytes, "M");
  std::int64_t known = 0;
  while (reader.next()) {
    if (reader.number() == 1) reader.integer("known", known);
  }
  EXPECT_FALSE(reader.failed()) << reader.error().message;
  EXPECT_EQ(known, 1);
}

TEST(Protobuf, Refuses_what_is_broken_and_says_so) {
  const std::string deep(200, '\x0b');
  for (const std::string& bytes :
       {hex("08"), hex("0880"), hex("08ffffffffffffffffff02"), hex("0a05616263"), hex("0d0000"),
        hex("09000000"), hex("00"), hex("0e"), hex("0c"), hex("0b14"), hex("0b"), deep,
        hex("f8ffffffff0f00")}) {
    Reader reader(bytes, "Broken");
    while (reader.next()) {
    }
    ASSERT_TRUE(reader.failed()) << to_hex(bytes);
    EXPECT_EQ(reader.error().code, Code::kMalformed);
    EXPECT_NE(reader.error().message.find("Broken"), std::string::npos);
  }
}

TEST(Protobuf, Names_the_field_that_has_another_type) {
  const std::string bytes = hex("0801");
  Reader reader(bytes, "Typed");
  ASSERT_TRUE(reader.next());
  std::string text;
  reader.text("label", text);
  ASSERT_TRUE(reader.failed());
  EXPECT_EQ(reader.error().field, "label");
  EXPECT_FALSE(reader.next());
}

TEST(Protobuf, Refuses_text_that_is_no_UTF8) {
  const std::string bytes = hex("0a02fffe");
  Reader reader(bytes, "Text");
  ASSERT_TRUE(reader.next());
  std::string text;
  reader.text("name", text);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace strata::wire::protobuf
