#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.hpp"

// The wire format of Protocol Buffers, without schemas: each protocol reads and writes its messages
// field by field. Spec: protobuf.dev/programming-guides/encoding.
namespace strata::wire::protobuf {

enum class WireType : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

// One field as it stands in a message.
struct Field {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t scalar = 0;  // of kVarint, kFixed64 and kFixed32
  std::string_view bytes;    // of kBytes: a view into the message
};

// Reads a message field by field, in the order in which they were sent. Fields that nobody knows
// are passed over by not asking for their value; groups, which proto3 does not have, are passed
// over whole. What follows a fault is never read.
//
//   while (reader.next()) switch (reader.number()) { case 1: reader.text("name", out); ... }
//   if (reader.failed()) return reader.error();
//
// The first fault stays. All messages of faults name the message's type and the field.
class Reader {
 public:
  static constexpr int kMaxDepth = 100;  // of groups

  // `message` is the type's name, for errors; both must outlive the reader.
  Reader(std::string_view bytes, std::string_view message) : rest_(bytes), message_(message) {}

  // Goes on to the next field. False at the end and after a fault.
  bool next();
  std::uint32_t number() const { return field_.number; }
  const Field& field() const { return field_; }

  // The value of the field in hand, as its type in the schema says. A field that was sent with
  // another wire type is a fault. Texts must be UTF-8, as proto3 wants them.
  void text(std::string_view name, std::string& out);
  std::string_view bytes(std::string_view name);
  std::string_view message(std::string_view name) { return bytes(name); }
  void boolean(std::string_view name, bool& out);
  void integer(std::string_view name, std::int64_t& out);  // int32, int64, uint64 as its bits
  void number_of(std::string_view name, double& out);      // double

  // The values of a repeated field of numbers, packed or one by one: int32, int64, uint32, uint64
  // and bool as T of std::int32_t ... bool, float and double as they are. Calls take(T) for each.
  template <class T, class Take>
  void numbers(std::string_view name, Take&& take);

  bool failed() const { return fault_.has_value(); }
  Error error() const { return *fault_; }  // kMalformed
  void fail(std::string_view name, std::string_view what);

 private:
  bool read_varint(std::uint64_t& out);
  template <class T>
  bool read_fixed(T& out) {
    if (rest_.size() < sizeof(T)) return broken("ends in the middle of a number");
    std::memcpy(&out, rest_.data(), sizeof(T));
    if constexpr (std::endian::native == std::endian::big) out = std::byteswap(out);
    rest_.remove_prefix(sizeof(T));
    return true;
  }
  bool read_tag();
  bool read_value();
  bool skip_group(std::uint32_t number);
  bool broken(std::string_view what);
  bool is(WireType type, std::string_view name);

  std::string_view rest_;
  std::string_view message_;
  Field field_;
  std::optional<Error> fault_;
};

// Reads the varint at the front of `bytes` and drops it there. Nothing when it is cut off or longer
// than 64 bits.
std::optional<std::uint64_t> take_varint(std::string_view& bytes);

// Puts a message together. proto3: a scalar of zero and an empty text are left out, unless it
// stands in a list.
class Writer {
 public:
  Writer() = default;
  // Goes on behind what stands in `begun`.
  explicit Writer(std::string begun) : out_(std::move(begun)) {}

  void text(std::uint32_t number, std::string_view value) {
    if (!value.empty()) element(number, value);
  }
  void boolean(std::uint32_t number, bool value) { integer(number, value ? 1 : 0); }
  void integer(std::uint32_t number, std::int64_t value) {
    unsigned_integer(number, static_cast<std::uint64_t>(value));
  }
  void unsigned_integer(std::uint32_t number, std::uint64_t value) {
    if (value == 0) return;
    tag(number, WireType::kVarint);
    varint(value);
  }
  // A member of a repeated field of texts, bytes or messages, or a message that is set; also empty.
  void element(std::uint32_t number, std::string_view value) {
    begin_element(number, value.size());
    out_ += value;
  }
  void message(std::uint32_t number, const Writer& value) { element(number, value.out_); }
  // The head of an element whose `size` bytes the caller appends to out() himself.
  void begin_element(std::uint32_t number, std::size_t size) {
    tag(number, WireType::kBytes);
    varint(size);
  }
  // A packed repeated field of integers; nothing when there are none.
  template <class List>
  void packed(std::uint32_t number, const List& values) {
    if (values.empty()) return;
    Writer inner;
    for (const auto value : values)
      inner.varint(static_cast<std::uint64_t>(value));
    element(number, inner.out_);
  }

  std::string& out() { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void tag(std::uint32_t number, WireType type) {
    varint(std::uint64_t{number} << 3U | static_cast<std::uint64_t>(type));
  }
  void varint(std::uint64_t value);

  std::string out_;
};

template <class T, class Take>
void Reader::numbers(std::string_view name, Take&& take) {
  constexpr bool kFixed = std::is_floating_point_v<T>;
  constexpr WireType kOne = !kFixed          ? WireType::kVarint
                            : sizeof(T) == 4 ? WireType::kFixed32
                                             : WireType::kFixed64;
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  if (field_.type == kOne) {
    if constexpr (kFixed) {
      take(std::bit_cast<T>(static_cast<Bits>(field_.scalar)));
    } else {
      take(static_cast<T>(field_.scalar));
    }
    return;
  }
  if (!is(WireType::kBytes, name)) return;
  std::string_view packed = field_.bytes;
  if constexpr (kFixed) {
    if (packed.size() % sizeof(T) != 0) return fail(name, "its packed numbers are cut off");
    for (; !packed.empty(); packed.remove_prefix(sizeof(T))) {
      Bits bits{};
      std::memcpy(&bits, packed.data(), sizeof bits);
      if constexpr (std::endian::native == std::endian::big) bits = std::byteswap(bits);
      take(std::bit_cast<T>(bits));
    }
  } else {
    while (!packed.empty()) {
      const auto value = take_varint(packed);
      if (!value) return fail(name, "its packed numbers are cut off");
      take(static_cast<T>(*value));
    }
  }
}

}  // namespace strata::wire::protobuf
