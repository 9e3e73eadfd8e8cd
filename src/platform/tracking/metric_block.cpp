#include "platform/tracking/metric_block.hpp"

#include <bit>

namespace strata::platform::tracking {

namespace {

constexpr char kFormat = 1;

std::int64_t order_of(double value) {
  const auto bits = std::bit_cast<std::int64_t>(value);
  return bits < 0 ? bits ^ INT64_MAX : bits;
}

void put_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>((v & 0x7F) | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

void put_difference(std::string& out, std::int64_t value, std::int64_t before) {
  const auto difference = static_cast<std::uint64_t>(value) -
                          static_cast<std::uint64_t>(before);  // wraps, and back again
  put_varint(out, (difference << 1) ^ (0 - (difference >> 63)));
}

// One byte of lengths (leading and trailing zero bytes), then the bytes between.
void put_bits(std::string& out, std::uint64_t bits) {
  if (bits == 0) {
    out += static_cast<char>(8 << 4);
    return;
  }
  const int leading = std::countl_zero(bits) / 8;
  const int trailing = std::countr_zero(bits) / 8;
  out += static_cast<char>((leading << 4) | trailing);
  for (int i = trailing; i < 8 - leading; ++i)
    out += static_cast<char>(bits >> (8 * i));
}

Error damaged() {
  return Error(Code::kDataLoss, "a block of metric points is damaged");
}

class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  bool varint(std::uint64_t& v) {
    v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) return false;
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      v |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool difference(std::int64_t& value) {
    std::uint64_t coded = 0;
    if (!varint(coded)) return false;
    const std::uint64_t step = (coded >> 1) ^ (0 - (coded & 1));
    value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + step);
    return true;
  }

  bool bits(std::uint64_t& v) {
    v = 0;
    if (bytes_.empty()) return false;
    const auto lengths = static_cast<unsigned char>(take(1)[0]);
    const int leading = lengths >> 4;
    const int trailing = lengths & 0x0F;
    if (leading == 8) return trailing == 0;
    if (leading + trailing > 7 || bytes_.size() < static_cast<std::size_t>(8 - leading - trailing))
      return false;
    for (int i = trailing; i < 8 - leading; ++i) {
      v |= static_cast<std::uint64_t>(static_cast<unsigned char>(take(1)[0])) << (8 * i);
    }
    return true;
  }

  bool text(std::string_view& out) {
    std::uint64_t size = 0;
    if (!varint(size) || size > bytes_.size()) return false;
    out = take(size);
    return true;
  }

  bool format() { return !bytes_.empty() && take(1)[0] == kFormat; }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view take(std::size_t count) {
    const auto head = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return head;
  }
  std::string_view bytes_;
};

}  // namespace

bool by_time(const Point& a, const Point& b) {
  if (a.timestamp_ms != b.timestamp_ms) return a.timestamp_ms < b.timestamp_ms;
  if (a.step != b.step) return a.step < b.step;
  return order_of(a.value) < order_of(b.value);
}

bool by_step(const Point& a, const Point& b) {
  if (a.step != b.step) return a.step < b.step;
  if (a.timestamp_ms != b.timestamp_ms) return a.timestamp_ms < b.timestamp_ms;
  return order_of(a.value) < order_of(b.value);
}

bool same_point(const Point& a, const Point& b) {
  return a.step == b.step && a.timestamp_ms == b.timestamp_ms &&
         std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value);
}

std::string encode_points(const std::vector<Point>& points) {
  std::string out(1, kFormat);
  put_varint(out, points.size());
  std::int64_t before = 0;
  for (const auto& point : points) {
    put_difference(out, point.step, before);
    before = point.step;
  }
  before = 0;
  for (const auto& point : points) {
    put_difference(out, point.timestamp_ms, before);
    before = point.timestamp_ms;
  }
  std::uint64_t bits = 0;
  for (const auto& point : points) {
    const auto now = std::bit_cast<std::uint64_t>(point.value);
    put_bits(out, now ^ bits);
    bits = now;
  }
  return out;
}

Status decode_points(std::string_view block, std::vector<Point>& out) {
  Cursor cursor(block);
  std::uint64_t count = 0;
  // Each point takes three bytes at least, which bounds what a damaged count can ask for.
  if (!cursor.format() || !cursor.varint(count) || count > cursor.left() / 3) return damaged();
  const std::size_t first = out.size();
  out.resize(first + count);
  std::int64_t value = 0;
  for (std::size_t i = first; i < out.size(); ++i) {
    if (!cursor.difference(value)) return damaged();
    out[i].step = value;
  }
  value = 0;
  for (std::size_t i = first; i < out.size(); ++i) {
    if (!cursor.difference(value)) return damaged();
    out[i].timestamp_ms = value;
  }
  std::uint64_t bits = 0;
  for (std::size_t i = first; i < out.size(); ++i) {
    std::uint64_t change = 0;
    if (!cursor.bits(change)) return damaged();
    bits ^= change;
    out[i].value = std::bit_cast<double>(bits);
  }
  if (cursor.left() != 0) return damaged();
  return {};
}

std::string encode_series(const std::vector<Series>& series) {
  std::string out(1, kFormat);
  put_varint(out, series.size());
  for (const auto& [key, points] : series) {
    put_varint(out, key.size());
    out += key;
    const std::string block = encode_points(points);
    put_varint(out, block.size());
    out += block;
  }
  return out;
}

Status decode_series(std::string_view block, std::string_view key, std::vector<Series>& out) {
  Cursor cursor(block);
  std::uint64_t count = 0;
  if (!cursor.format() || !cursor.varint(count)) return damaged();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string_view name;
    std::string_view points;
    if (!cursor.text(name) || !cursor.text(points)) return damaged();
    if (!key.empty() && name != key) continue;
    out.emplace_back(std::string(name), std::vector<Point>());
    STRATA_TRY(decode_points(points, out.back().second));
  }
  if (cursor.left() != 0) return damaged();
  return {};
}

}  // namespace strata::platform::tracking
