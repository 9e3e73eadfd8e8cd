#include "wire/xgboost/ubjson.hpp"

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace strata::wire {

namespace {

constexpr int kDeepest = 64;

template <std::unsigned_integral T>
T big_endian(const char* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>((std::uint64_t{value} << 8U) | static_cast<std::uint8_t>(bytes[i]));
  return value;
}

// Bytes of a number; 0 for what is none.
std::size_t width_of(char kind) {
  switch (kind) {
    case 'i':
    case 'U':
      return 1;
    case 'I':
      return 2;
    case 'l':
    case 'd':
      return 4;
    case 'L':
    case 'D':
      return 8;
    default:
      return 0;
  }
}

Json number_of(char kind, const char* at) {
  switch (kind) {
    case 'i':
      return static_cast<std::int8_t>(*at);
    case 'U':
      return static_cast<std::uint8_t>(*at);
    case 'I':
      return static_cast<std::int16_t>(big_endian<std::uint16_t>(at));
    case 'l':
      return static_cast<std::int32_t>(big_endian<std::uint32_t>(at));
    case 'L':
      return static_cast<std::int64_t>(big_endian<std::uint64_t>(at));
    case 'd':
      return static_cast<double>(std::bit_cast<float>(big_endian<std::uint32_t>(at)));
    default:
      return std::bit_cast<double>(big_endian<std::uint64_t>(at));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Result<Json> document() {
    auto value = element(0);
    if (value && at_ != bytes_.size()) return bad("bytes follow behind the document");
    return value;
  }

 private:
  Error bad(std::string_view what) const {
    return Error(Code::kMalformed, fmt::format("byte {}: {}", at_, what));
  }
  std::size_t left() const { return bytes_.size() - at_; }

  Result<char> next() {
    if (left() == 0) return bad("the document ends early");
    return bytes_[at_++];
  }

  Result<Json> number(char kind) {
    const auto width = width_of(kind);
    if (left() < width) return bad("the document ends early");
    const char* at = bytes_.data() + at_;
    at_ += width;
    return number_of(kind, at);
  }

  Result<std::size_t> length() {
    const auto kind = next();
    if (!kind) return kind.error();
    if (width_of(*kind) == 0 || *kind == 'd' || *kind == 'D') return bad("this is no length");
    auto value = number(*kind);
    if (!value) return std::move(value).error();
    if (value->as_int() < 0) return bad("a length is negative");
    return static_cast<std::size_t>(value->as_int());
  }

  Result<std::string> text() {
    const auto size = length();
    if (!size) return size.error();
    if (*size > left()) return bad("a text is longer than what is left");
    at_ += *size;
    return std::string(bytes_.substr(at_ - *size, *size));
  }

  Result<Json> element(int depth) {
    const auto kind = next();
    if (!kind) return kind.error();
    if (depth > kDeepest) return bad("values are nested too deeply");
    if (width_of(*kind) != 0) return number(*kind);
    switch (*kind) {
      case 'Z':
        return Json();
      case 'T':
        return Json(true);
      case 'F':
        return Json(false);
      case 'S': {
        auto value = text();
        if (!value) return std::move(value).error();
        return Json(*std::move(value));
      }
      case '[':
        return array(depth);
      case '{':
        return object(depth);
      default:
        return bad("no kind of value is written so");
    }
  }

  Result<Json> typed_array() {
    ++at_;
    const auto kind = next();
    if (!kind) return kind.error();
    const auto width = width_of(*kind);
    if (width == 0) return bad("an array of such elements is not known");
    const auto mark = next();
    if (!mark || *mark != '#') return bad("an array of one kind has no length");
    const auto count = length();
    if (!count) return count.error();
    if (*count > left() / width) return bad("an array is longer than what is left");
    if (*kind == 'd' || *kind == 'D') {
      at_ += *count * width;
      return Json(static_cast<std::int64_t>(*count));
    }
    Json::Array out;
    out.reserve(*count);
    for (std::size_t i = 0; i < *count; ++i, at_ += width)
      out.push_back(number_of(*kind, bytes_.data() + at_));
    return Json(std::move(out));
  }

  Result<Json> array(int depth) {
    if (left() > 0 && bytes_[at_] == '$') return typed_array();
    std::optional<std::size_t> count;
    if (left() > 0 && bytes_[at_] == '#') {
      ++at_;
      const auto size = length();
      if (!size) return size.error();
      count = *size;
    }
    Json::Array out;
    while (count ? out.size() < *count : (left() > 0 && bytes_[at_] != ']')) {
      auto value = element(depth + 1);
      if (!value) return value;
      out.push_back(*std::move(value));
    }
    if (!count) {
      const auto end = next();
      if (!end) return end.error();
    }
    return Json(std::move(out));
  }

  Result<Json> object(int depth) {
    Json::Object out;
    while (left() > 0 && bytes_[at_] != '}') {
      auto key = text();
      if (!key) return std::move(key).error();
      auto value = element(depth + 1);
      if (!value) return value;
      out.emplace_back(*std::move(key), *std::move(value));
    }
    const auto end = next();
    if (!end) return end.error();
    return Json(std::move(out));
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Json> parse_ubjson(std::string_view bytes) {
  return Reader(bytes).document();
}

}  // namespace strata::wire
