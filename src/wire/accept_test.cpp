#include "wire/accept.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

constexpr std::array<std::string_view, 3> kOffers = {"application/json", "text/csv",
                                                     "application/vnd.apache.parquet"};

std::string chosen(std::string_view accept) {
  const auto at = choose_media(accept, kOffers);
  return at ? std::string(kOffers.at(*at)) : "none";
}

TEST(Accept, Takes_what_the_caller_likes_best) {
  EXPECT_EQ(chosen("text/csv;q=0.1, application/json"), "application/json");
  EXPECT_EQ(chosen("application/json;q=0.5, text/csv;q=0.51"), "text/csv");
  EXPECT_EQ(chosen("application/json; q=0.5, TEXT/CSV ; header=present ; Q=0.9"), "text/csv");
  EXPECT_EQ(chosen("*/*;q=0.1, text/csv;q=0.05"), "application/json");
  EXPECT_EQ(chosen("image/png, text/csv"), "text/csv");
}

TEST(Accept, Goes_by_name_and_then_by_order_among_equals) {
  EXPECT_EQ(chosen("text/csv, application/json"), "text/csv");
  EXPECT_EQ(chosen("*/*, text/csv"), "text/csv");
  EXPECT_EQ(chosen("text/*, */*"), "text/csv");
  EXPECT_EQ(chosen("*/*"), "application/json");
  EXPECT_EQ(chosen("application/*"), "application/json");
  EXPECT_EQ(chosen(""), "application/json");
}

TEST(Accept, A_weight_of_zero_excludes) {
  EXPECT_EQ(chosen("application/json;q=0, */*"), "text/csv");
  EXPECT_EQ(chosen("*/*;q=0.000"), "none");
  EXPECT_EQ(chosen("text/*;q=0, text/csv;q=0.2"), "text/csv");
}

TEST(Accept, Finds_nothing_where_nothing_fits) {
  for (const auto* accept : {"image/png", "text/html, image/*", "text", "/", ";q=1", "text/csvx"})
    EXPECT_EQ(chosen(accept), "none") << accept;
}

TEST(Accept, Passes_over_weights_that_are_none) {
  for (const auto* weight : {"q=", "q=2", "q=x", "q=0x", "q=-1", "q=0.1234", "q"})
    EXPECT_EQ(chosen(std::string("text/csv;") + weight + ", application/json;q=0.9"), "text/csv")
        << weight;
}

}  // namespace
}  // namespace strata::wire
