#pragma once

// What is pushed into a stream, and the bytes of one push in the log.

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "platform/expressions/expressions.hpp"

namespace strata::platform::streams {

using expressions::Type;
using expressions::Value;

struct Column {
  std::string name;
  Type type = Type::kInt64;
  auto operator<=>(const Column&) const = default;
};

// In place of when a row was made: when it arrives.
inline constexpr std::int64_t kOnArrival = std::numeric_limits<std::int64_t>::min();

// One row as it came: what it says of some columns at a time.
struct Row {
  bool deleted = false;                     // the key is gone since `event`
  std::int64_t event = 0;                   // microseconds: when it was so
  std::int64_t created = kOnArrival;        // microseconds: when the row was made
  std::vector<std::optional<Value>> cells;  // by column; nothing where the row does not say
};

// One push, which is in the log as a whole or not at all.
struct Record {
  std::string project, stream;
  std::string idempotency_key;  // may be empty
  std::int64_t received = 0;    // microseconds
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::string pushed_by = {};  // the name of the user; empty in records from before there was one
};

// The bytes of a record: a format number, then texts with their length, numbers little-endian.
std::string encode(const Record& record);
// Errors: kDataLoss for bytes that encode() does not make.
Result<Record> decode(std::string_view bytes);

// Puts values behind each other and takes them back, for all that this room stores.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_ += static_cast<char>(value); }
  void u32(std::uint32_t value) { fixed(value); }
  void u64(std::uint64_t value) { fixed(value); }
  void i64(std::int64_t value) { fixed(static_cast<std::uint64_t>(value)); }
  void text(std::string_view value);
  void value(const Value& value);  // without its type
  std::string take() && { return std::move(out_); }

 private:
  template <class T>
  void fixed(T value) {
    for (std::size_t i = 0; i < sizeof value; ++i)
      out_ += static_cast<char>(value >> (8 * i));
  }
  std::string out_;
};

// Every call gives zeros once the bytes were too short or wrong; ok() tells.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(fixed(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(fixed(4)); }
  std::uint64_t u64() { return fixed(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(fixed(8)); }
  std::string text();
  Value value(Type type);
  Type type();
  // A count of things of which each takes at least a byte.
  std::uint32_t count();
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && left_.empty(); }

 private:
  std::uint64_t fixed(std::size_t size);
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace strata::platform::streams
