#include "wire/parquet/thrift_compact.hpp"

namespace strata::wire {

namespace {

enum Type : int {
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kStruct = 12
};
constexpr int kMaxDepth = 16;

std::uint64_t zigzag(std::int64_t v) {
  return (static_cast<std::uint64_t>(v) << 1U) ^ static_cast<std::uint64_t>(v >> 63);
}
std::int64_t unzigzag(std::uint64_t v) {
  return static_cast<std::int64_t>(v >> 1U) ^ -static_cast<std::int64_t>(v & 1U);
}

Error cut_off() {
  return Error(Code::kDataLoss, "thrift: the structure is cut off or damaged");
}

Result<ThriftValue> parse_value(std::string_view& bytes, int type, int depth);

Result<ThriftValue> parse_list(std::string_view& bytes, int depth) {
  if (bytes.empty()) return cut_off();
  const auto head = static_cast<std::uint8_t>(bytes[0]);
  bytes.remove_prefix(1);
  std::uint64_t count = head >> 4U;
  if (count == 15) {
    const auto longer = take_varint(bytes);
    if (!longer) return cut_off();
    count = *longer;
  }
  // Every element takes a byte at least.
  if (count > bytes.size()) return cut_off();
  ThriftValue list;
  list.items.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto item = parse_value(bytes, head & 0x0FU, depth + 1);
    if (!item) return item;
    list.items.push_back(*std::move(item));
  }
  return list;
}

Result<ThriftValue> parse_fields(std::string_view& bytes, int depth) {
  ThriftValue value;
  int id = 0;
  while (true) {
    if (bytes.empty()) return cut_off();
    const auto head = static_cast<std::uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    if (head == 0) return value;
    if ((head >> 4U) != 0) {
      id += head >> 4U;
    } else {
      const auto explicit_id = take_varint(bytes);
      if (!explicit_id) return cut_off();
      id = static_cast<int>(unzigzag(*explicit_id));
    }
    const int type = head & 0x0FU;
    if (type == kTrue || type == kFalse) {
      ThriftValue flag;
      flag.integer = type == kTrue ? 1 : 0;
      value.ids.push_back(id);
      value.items.push_back(std::move(flag));
      continue;
    }
    auto field = parse_value(bytes, type, depth + 1);
    if (!field) return field;
    value.ids.push_back(id);
    value.items.push_back(*std::move(field));
  }
}

Result<ThriftValue> parse_value(std::string_view& bytes, int type, int depth) {
  if (depth > kMaxDepth) return cut_off();
  ThriftValue value;
  switch (type) {
    case kI16:
    case kI32:
    case kI64: {
      const auto number = take_varint(bytes);
      if (!number) return cut_off();
      value.integer = unzigzag(*number);
      return value;
    }
    case kTrue:  // in a list a flag is a byte of its own
    case kFalse:
    case kByte:
    case kDouble: {
      const std::size_t size = type == kDouble ? 8 : 1;
      if (bytes.size() < size) return cut_off();
      value.bytes = bytes.substr(0, size);
      bytes.remove_prefix(size);
      return value;
    }
    case kBinary: {
      const auto size = take_varint(bytes);
      if (!size || *size > bytes.size()) return cut_off();
      value.bytes = bytes.substr(0, *size);
      bytes.remove_prefix(*size);
      return value;
    }
    case kList:
    case kSet:
      return parse_list(bytes, depth);
    case kStruct:
      return parse_fields(bytes, depth);
    default:
      return cut_off();
  }
}

}  // namespace

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7FU) | 0x80U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes.empty()) return std::nullopt;
    const auto byte = static_cast<std::uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

void ThriftWriter::field(int id, int type) {
  const int delta = id - last_.back();
  last_.back() = id;
  if (delta > 0 && delta < 16) {
    out_ += static_cast<char>((delta << 4) | type);
    return;
  }
  out_ += static_cast<char>(type);
  append_varint(out_, zigzag(id));
}

void ThriftWriter::begin_field_struct(int id) {
  field(id, kStruct);
  begin_struct();
}

void ThriftWriter::end_struct() {
  out_ += '\0';
  last_.pop_back();
}

void ThriftWriter::i32(int id, std::int64_t value) {
  field(id, kI32);
  append_varint(out_, zigzag(value));
}

void ThriftWriter::i64(int id, std::int64_t value) {
  field(id, kI64);
  append_varint(out_, zigzag(value));
}

void ThriftWriter::text(int id, std::string_view value) {
  field(id, kBinary);
  append_varint(out_, value.size());
  out_ += value;
}

void ThriftWriter::list_head(std::size_t count, int type) {
  if (count < 15) {
    out_ += static_cast<char>((count << 4U) | static_cast<unsigned>(type));
    return;
  }
  out_ += static_cast<char>(0xF0U | static_cast<unsigned>(type));
  append_varint(out_, count);
}

void ThriftWriter::begin_struct_list(int id, std::size_t count) {
  field(id, kList);
  list_head(count, kStruct);
}

void ThriftWriter::i32_list(int id, const std::vector<std::int64_t>& values) {
  field(id, kList);
  list_head(values.size(), kI32);
  for (const auto value : values)
    append_varint(out_, zigzag(value));
}

void ThriftWriter::text_list(int id, const std::vector<std::string>& values) {
  field(id, kList);
  list_head(values.size(), kBinary);
  for (const auto& value : values) {
    append_varint(out_, value.size());
    out_ += value;
  }
}

const ThriftValue* ThriftValue::find(int id) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == id) return &items[i];
  }
  return nullptr;
}

std::int64_t ThriftValue::number(int id, std::int64_t fallback) const {
  const ThriftValue* value = find(id);
  return value == nullptr ? fallback : value->integer;
}

std::string_view ThriftValue::text(int id) const {
  const ThriftValue* value = find(id);
  return value == nullptr ? std::string_view() : value->bytes;
}

Result<ThriftValue> ThriftValue::parse_struct(std::string_view& bytes) {
  return parse_fields(bytes, 0);
}

}  // namespace strata::wire
