#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// Apache Thrift's compact protocol, as far as Parquet needs it.
// Spec: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

void append_varint(std::string& out, std::uint64_t value);
// Takes one from the front; nothing when it is cut off or too long.
std::optional<std::uint64_t> take_varint(std::string_view& bytes);

// Appends structs to a text. Field ids must rise within a struct.
class ThriftWriter {
 public:
  explicit ThriftWriter(std::string& out) : out_(out) {}

  void begin_struct() { last_.push_back(0); }
  void begin_item() { begin_struct(); }  // an element of a list of structs
  void begin_field_struct(int id);
  void end_struct();

  void i32(int id, std::int64_t value);
  void i64(int id, std::int64_t value);
  void text(int id, std::string_view value);
  void begin_struct_list(int id, std::size_t count);
  void i32_list(int id, const std::vector<std::int64_t>& values);
  void text_list(int id, const std::vector<std::string>& values);

 private:
  void field(int id, int type);
  void list_head(std::size_t count, int type);
  std::string& out_;
  std::vector<int> last_;  // the last field id of each open struct
};

// A parsed value of any type.
struct ThriftValue {
  std::int64_t integer = 0;
  std::string_view bytes;
  std::vector<ThriftValue> items;  // elements of a list, members of a struct
  std::vector<int> ids;            // of the members of a struct

  const ThriftValue* find(int id) const;
  std::int64_t number(int id, std::int64_t fallback) const;
  std::string_view text(int id) const;

  // Takes one struct from the front of `bytes`; texts look into them. Errors: kDataLoss.
  static Result<ThriftValue> parse_struct(std::string_view& bytes);
};

}  // namespace strata::wire
