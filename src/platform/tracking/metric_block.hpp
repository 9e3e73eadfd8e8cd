#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata::platform::tracking {

struct Point {
  std::int64_t step = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

// By time, step and value with a total order over all doubles: -NaN < -Inf < ... < Inf < NaN.
bool by_time(const Point& a, const Point& b);
bool by_step(const Point& a, const Point& b);
bool same_point(const Point& a, const Point& b);  // bit for bit

// Points of one key in columns: step and time as variable-length differences, values XOR-ed with
// the one before, which leaves few bytes for slowly changing series. Format 1; every bit of a value
// comes back.
std::string encode_points(const std::vector<Point>& points);
// Errors: kDataLoss for anything that encode_points does not make. Appends to `out`.
Status decode_points(std::string_view block, std::vector<Point>& out);

// Points of several keys, as one batch brings them.
using Series = std::pair<std::string, std::vector<Point>>;
std::string encode_series(const std::vector<Series>& series);
// Appends the points of `key` alone, passing over the others undecoded, or of all keys when `key`
// is empty.
Status decode_series(std::string_view block, std::string_view key, std::vector<Series>& out);

}  // namespace strata::platform::tracking
