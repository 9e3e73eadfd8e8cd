#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace strata::wire {

// One JSON value that is neither array nor object.
struct JsonScalar {
  enum class Kind : std::uint8_t { kNull, kBool, kInt, kUnsigned, kDouble, kText };
  Kind kind = Kind::kNull;
  bool boolean = false;
  std::int64_t integer = 0;            // kInt
  std::uint64_t unsigned_integer = 0;  // kUnsigned: integers that only fit without a sign
  double number = 0;                   // kDouble
  std::string text;                    // kText; keeps its capacity between reads

  bool is_number() const {
    return kind == Kind::kInt || kind == Kind::kUnsigned || kind == Kind::kDouble;
  }
};

// Reads JSON (RFC 8259) value by value without building a tree, so that a large array of numbers
// costs no more than its numbers. Also reads the bare words NaN, Infinity and -Infinity, which
// Python's json writes. The first fault ends all reading: every call then returns false and error()
// says what and where.
class JsonReader {
 public:
  static constexpr int kMaxDepth = 64;

  // `text` must outlive the reader. `origin` is added to positions in messages, for a part of a
  // larger text.
  explicit JsonReader(std::string_view text, std::size_t origin = 0);

  enum class Kind : std::uint8_t { kScalar, kArray, kObject, kEnd };
  // What stands next; kEnd at the end of the text or after a fault.
  Kind peek();

  bool enter_object();
  // Moves to the next member and gives its name; false behind the last one.
  bool next_member(std::string& name);
  bool enter_array();
  // Moves to the next element; false behind the last one.
  bool next_element();
  bool scalar(JsonScalar& out);
  bool text(std::string& out);
  // Steps over one value of any kind; its raw text, empty after a fault.
  std::string_view skip();
  // Nothing but space may follow.
  bool finish();

  bool failed() const { return error_.has_value(); }
  // Meaningful once failed().
  Error error() const { return error_.value_or(Error(Code::kMalformed, "malformed JSON")); }
  bool fail(std::string_view what);
  std::size_t position() const { return at_; }

 private:
  void skip_space();
  bool enter(char open, std::string_view what);
  bool next_item(char close);
  bool read_text(std::string& out);
  bool read_escape(std::string& out);
  bool read_hex4(std::uint32_t& out);
  bool read_number(JsonScalar& out);
  bool word(std::string_view w);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t origin_;
  int depth_ = 0;
  std::array<bool, kMaxDepth + 1>
      first_{};  // whether the container at that depth has given an item yet
  std::optional<Error> error_;
};

}  // namespace strata::wire
