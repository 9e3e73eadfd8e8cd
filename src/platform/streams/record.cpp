#include "platform/streams/record.hpp"

#include <bit>

namespace strata::platform::streams {

namespace {

constexpr std::uint8_t kFormat = 2;
// Without who pushed. Written where nobody is named, so that digests of former pushes still hold.
constexpr std::uint8_t kNameless = 1;
enum : std::uint8_t { kAbsent, kNull, kPresent };

Row read_row(ByteReader& in, const std::vector<Column>& columns) {
  Row row;
  const std::uint8_t deleted = in.u8();
  if (deleted > 1) in.fail();
  row.deleted = deleted == 1;
  row.event = in.i64();
  row.created = in.i64();
  for (const auto& column : columns) {
    const std::uint8_t state = in.u8();
    if (state > kPresent) in.fail();
    if (state == kAbsent) row.cells.emplace_back();
    if (state == kNull) row.cells.emplace_back(Value::null(column.type));
    if (state == kPresent) row.cells.emplace_back(in.value(column.type));
    if (!in.ok()) break;
  }
  return row;
}

}  // namespace

void ByteWriter::text(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  out_ += value;
}

void ByteWriter::value(const Value& value) {
  if (value.type == Type::kString) return text(value.text);
  if (value.type == Type::kBool) return u8(value.integer != 0 ? 1 : 0);
  if (value.type == Type::kDouble) return u64(std::bit_cast<std::uint64_t>(value.number));
  i64(value.integer);
}

std::uint64_t ByteReader::fixed(std::size_t size) {
  if (!ok_ || left_.size() < size) {
    ok_ = false;
    return 0;
  }
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < size; ++i)
    out |= std::uint64_t{static_cast<std::uint8_t>(left_[i])} << (8 * i);
  left_.remove_prefix(size);
  return out;
}

std::string ByteReader::text() {
  const std::uint32_t size = u32();
  if (!ok_ || left_.size() < size) {
    ok_ = false;
    return "";
  }
  std::string out(left_.substr(0, size));
  left_.remove_prefix(size);
  return out;
}

Type ByteReader::type() {
  const std::uint8_t type = u8();
  if (type >= expressions::kTypes) ok_ = false;
  return ok_ ? static_cast<Type>(type) : Type::kBool;
}

Value ByteReader::value(Type type) {
  if (type == Type::kString) return Value::of(text());
  if (type == Type::kDouble) return Value::of(std::bit_cast<double>(u64()));
  if (type == Type::kTimestamp) return Value::of_micros(i64());
  if (type == Type::kInt64) return Value::of(i64());
  const std::uint8_t boolean = u8();
  if (boolean > 1) ok_ = false;
  return Value::of(boolean == 1);
}

std::uint32_t ByteReader::count() {
  const std::uint32_t count = u32();
  if (count > left_.size()) ok_ = false;
  return ok_ ? count : 0;
}

std::string encode(const Record& record) {
  ByteWriter out;
  out.u8(record.pushed_by.empty() ? kNameless : kFormat);
  out.text(record.project);
  out.text(record.stream);
  out.text(record.idempotency_key);
  out.i64(record.received);
  if (!record.pushed_by.empty()) out.text(record.pushed_by);
  out.u32(static_cast<std::uint32_t>(record.columns.size()));
  for (const auto& column : record.columns) {
    out.text(column.name);
    out.u8(static_cast<std::uint8_t>(column.type));
  }
  out.u32(static_cast<std::uint32_t>(record.rows.size()));
  for (const auto& row : record.rows) {
    out.u8(row.deleted ? 1 : 0);
    out.i64(row.event);
    out.i64(row.created);
    for (const auto& cell : row.cells) {
      out.u8(!cell ? kAbsent : cell->present ? kPresent : kNull);
      if (cell && cell->present) out.value(*cell);
    }
  }
  return std::move(out).take();
}

Result<Record> decode(std::string_view bytes) {
  ByteReader in(bytes);
  const std::uint8_t format = in.u8();
  if (format != kFormat && format != kNameless) in.fail();
  Record out;
  out.project = in.text();
  out.stream = in.text();
  out.idempotency_key = in.text();
  out.received = in.i64();
  if (format == kFormat) out.pushed_by = in.text();
  for (std::uint32_t left = in.count(); left > 0 && in.ok(); --left) {
    std::string name = in.text();
    out.columns.push_back({std::move(name), in.type()});
  }
  for (std::uint32_t left = in.count(); left > 0 && in.ok(); --left)
    out.rows.push_back(read_row(in, out.columns));
  if (in.done()) return out;
  return Error(Code::kDataLoss, "a record of the log of features is damaged");
}

}  // namespace strata::platform::streams
