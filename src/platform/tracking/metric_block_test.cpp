#include "platform/tracking/metric_block.hpp"

#include <bit>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace strata::platform::tracking {
namespace {

using Limits = std::numeric_limits<double>;

std::vector<Point> decoded(std::string_view block) {
  std::vector<Point> points;
  EXPECT_TRUE(decode_points(block, points));
  return points;
}

void expect_same(const std::vector<Point>& a, const std::vector<Point>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(same_point(a[i], b[i])) << i;
}

TEST(MetricBlock, Every_bit_of_every_point_comes_back) {
  const std::vector<Point> odd = {
      {0, 0, 0.0},
      {-5, 1, -0.0},
      {INT64_MAX, INT64_MAX, Limits::infinity()},
      {INT64_MIN, 0, -Limits::infinity()},
      {7, 7, Limits::quiet_NaN()},
      {7, 7, std::bit_cast<double>(std::uint64_t{0xFFF8000000000001})},
      {1, 2, Limits::denorm_min()},
      {1, 2, Limits::max()},
  };
  expect_same(decoded(encode_points(odd)), odd);
  expect_same(decoded(encode_points({})), {});
}

TEST(MetricBlock, Random_points_come_back) {
  std::mt19937_64 random(11);
  std::vector<Point> points;
  for (int i = 0; i < 5000; ++i) {
    points.push_back({static_cast<std::int64_t>(random()), static_cast<std::int64_t>(random()),
                      std::bit_cast<double>(random())});
  }
  expect_same(decoded(encode_points(points)), points);
}

TEST(MetricBlock, A_usual_series_takes_few_bytes) {
  std::vector<Point> points;
  for (int i = 0; i < 4096; ++i)
    points.push_back({i, 1'700'000'000'000 + i * 1000, i * 0.25});
  EXPECT_LT(encode_points(points).size(), points.size() * 8);
}

TEST(MetricBlock, Damaged_blocks_are_refused_and_never_read_beyond_their_end) {
  const std::string good = encode_points({{1, 2, 3.5}, {2, 3, 4.5}, {3, 4, 5.25}});
  std::vector<Point> points;
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_points(std::string_view(good).substr(0, size), points)) << size;
  }
  EXPECT_FALSE(decode_points(good + "x", points));
  std::string huge("\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 10);
  EXPECT_FALSE(decode_points(huge, points));
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string noise = good;
    noise[random() % noise.size()] = static_cast<char>(random());
    (void)decode_points(noise, points).ok();
  }
}

TEST(MetricBlock, One_key_of_a_batch_is_read_alone) {
  const std::vector<Series> batch = {{"a", {{1, 1, 1.0}}}, {"b", {{2, 2, 2.0}, {3, 3, 3.0}}}};
  const std::string block = encode_series(batch);
  std::vector<Series> one;
  ASSERT_TRUE(decode_series(block, "b", one));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].second.size(), 2U);
  std::vector<Series> all;
  ASSERT_TRUE(decode_series(block, "", all));
  EXPECT_EQ(all.size(), 2U);
  EXPECT_FALSE(decode_series(block.substr(0, block.size() - 1), "", all));
}

TEST(MetricOrder, Is_total_even_with_nan) {
  const Point low{1, 1, -Limits::infinity()}, high{1, 1, Limits::infinity()};
  const Point nan{1, 1, Limits::quiet_NaN()};
  EXPECT_TRUE(by_time(low, high));
  EXPECT_TRUE(by_time(high, nan));
  EXPECT_FALSE(by_time(nan, high));
  EXPECT_FALSE(by_time(nan, nan));
  EXPECT_TRUE(by_step({1, 9, 0}, {2, 1, 0}));
  EXPECT_TRUE(by_time({2, 1, 0}, {1, 9, 0}));
}

}  // namespace
}  // namespace strata::platform::tracking
