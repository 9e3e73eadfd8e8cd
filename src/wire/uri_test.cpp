#include "wire/uri.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

TEST(Uri, Encodes_all_but_unreserved_bytes) {
  EXPECT_EQ(percent_encode("a b/c~d\xC3\xA4+"), "a%20b%2Fc~d%C3%A4%2B");
  EXPECT_EQ(percent_encode("a/b c", true), "a/b%20c");
}

TEST(Uri, Decodes_what_it_encoded_and_keeps_plus_signs) {
  std::string all;
  for (int i = 0; i < 256; ++i)
    all += static_cast<char>(i);
  EXPECT_EQ(*percent_decode(percent_encode(all)), all);
  EXPECT_EQ(*percent_decode("a+b"), "a+b");
}

TEST(Uri, Refuses_a_broken_escape) {
  for (const std::string_view bad : {"%", "%2", "a%zz", "%%20"}) {
    EXPECT_EQ(percent_decode(bad).error().code, Code::kMalformed) << bad;
  }
}

TEST(Uri, Reads_a_query_in_its_order) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(*parse_query("uploads&b=x%20y+z&&b=%3D=&c="),
            (Pairs{{"uploads", ""}, {"b", "x y z"}, {"b", "=="}, {"c", ""}}));
  EXPECT_EQ(*parse_query(""), Pairs{});
  EXPECT_FALSE(parse_query("a=%").ok());
}

}  // namespace
}  // namespace strata::wire
