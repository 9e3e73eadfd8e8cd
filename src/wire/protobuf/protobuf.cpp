#include "wire/protobuf/protobuf.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::wire::protobuf {

namespace {

constexpr std::uint32_t kMaxFieldNumber = (1U << 29U) - 1;

std::string_view type_name(WireType type) {
  switch (type) {
    case WireType::kVarint:
      return "a varint";
    case WireType::kFixed64:
      return "eight bytes";
    case WireType::kBytes:
      return "bytes of a length";
    case WireType::kFixed32:
      return "four bytes";
    case WireType::kStartGroup:
    case WireType::kEndGroup:
      break;
  }
  return "a group";
}

}  // namespace

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  constexpr std::size_t kLongest = 10;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kLongest && i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (i + 1 == kLongest && byte > 1) return std::nullopt;
    value |= std::uint64_t{byte & 0x7FU} << (7 * i);
    if ((byte & 0x80U) != 0) continue;
    bytes.remove_prefix(i + 1);
    return value;
  }
  return std::nullopt;
}

void Writer::varint(std::uint64_t value) {
  while (value >= 0x80U) {
    out_ += static_cast<char>((value & 0x7FU) | 0x80U);
    value >>= 7U;
  }
  out_ += static_cast<char>(value);
}

bool Reader::broken(std::string_view what) {
  if (!fault_)
    fault_ = Error(Code::kMalformed, fmt::format("this is no {} message: it {}", message_, what));
  rest_ = {};
  return false;
}

void Reader::fail(std::string_view name, std::string_view what) {
  if (!fault_) {
    fault_ =
        Error(Code::kMalformed, fmt::format("field {} of the {} message: {}", name, message_, what),
              std::string(name));
  }
  rest_ = {};
}

bool Reader::read_varint(std::uint64_t& out) {
  const auto value = take_varint(rest_);
  if (!value) return broken("ends in the middle of a number, or has one that is too long");
  out = *value;
  return true;
}

bool Reader::read_tag() {
  std::uint64_t tag = 0;
  if (!read_varint(tag)) return false;
  const std::uint64_t number = tag >> 3U;
  const auto type = static_cast<std::uint8_t>(tag & 7U);
  if (number == 0 || number > kMaxFieldNumber) return broken("has a field number out of range");
  if (type > static_cast<std::uint8_t>(WireType::kFixed32))
    return broken("has a field of an unknown wire type");
  field_ = Field{static_cast<std::uint32_t>(number), static_cast<WireType>(type), 0, {}};
  return true;
}

bool Reader::read_value() {
  switch (field_.type) {
    case WireType::kVarint:
      return read_varint(field_.scalar);
    case WireType::kFixed64:
      return read_fixed(field_.scalar);
    case WireType::kFixed32: {
      std::uint32_t bits = 0;
      if (!read_fixed(bits)) return false;
      field_.scalar = bits;
      return true;
    }
    case WireType::kBytes: {
      std::uint64_t length = 0;
      if (!read_varint(length)) return false;
      if (length > rest_.size()) return broken("ends before its last field does");
      field_.bytes = rest_.substr(0, static_cast<std::size_t>(length));
      rest_.remove_prefix(static_cast<std::size_t>(length));
      return true;
    }
    case WireType::kStartGroup:
    case WireType::kEndGroup:
      break;
  }
  return true;
}

// The groups that are open stand in a list, not in calls: their depth is the sender's choice.
bool Reader::skip_group(std::uint32_t number) {
  std::uint32_t open[kMaxDepth];
  int depth = 0;
  open[depth++] = number;
  while (depth > 0) {
    if (!read_tag()) return false;
    if (field_.type == WireType::kEndGroup) {
      if (field_.number != open[--depth]) return broken("ends a group that was not begun");
    } else if (field_.type == WireType::kStartGroup) {
      if (depth == kMaxDepth) return broken("nests groups too deep");
      open[depth++] = field_.number;
    } else if (!read_value()) {
      return false;
    }
  }
  return true;
}

bool Reader::next() {
  while (!fault_ && !rest_.empty()) {
    if (!read_tag()) return false;
    if (field_.type == WireType::kEndGroup) return broken("ends a group that was not begun");
    if (field_.type != WireType::kStartGroup) return read_value();
    if (!skip_group(field_.number)) return false;
  }
  return false;
}

bool Reader::is(WireType type, std::string_view name) {
  if (field_.type == type) return true;
  fail(name, fmt::format("was sent as {}, its type is sent as {}", type_name(field_.type),
                         type_name(type)));
  return false;
}

void Reader::text(std::string_view name, std::string& out) {
  if (!is(WireType::kBytes, name)) return;
  if (!is_utf8(field_.bytes)) return fail(name, "is not UTF-8");
  out = field_.bytes;
}

std::string_view Reader::bytes(std::string_view name) {
  return is(WireType::kBytes, name) ? field_.bytes : std::string_view();
}

void Reader::boolean(std::string_view name, bool& out) {
  if (is(WireType::kVarint, name)) out = field_.scalar != 0;
}

void Reader::integer(std::string_view name, std::int64_t& out) {
  if (is(WireType::kVarint, name)) out = static_cast<std::int64_t>(field_.scalar);
}

void Reader::number_of(std::string_view name, double& out) {
  if (is(WireType::kFixed64, name)) out = std::bit_cast<double>(field_.scalar);
}

}  // namespace strata::wire::protobuf
