#include "app/commands/cells.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "base/bytes.hpp"

namespace strata::app {

namespace {

struct Range {
  std::uint32_t first, last;
};

constexpr std::array<Range, 7> kHarmful{{{0, 0x1F},
                                         {0x7F, 0x9F},
                                         {0x061C, 0x061C},
                                         {0x200E, 0x200F},
                                         {0x2028, 0x202E},
                                         {0x2066, 0x2069},
                                         {0xFEFF, 0xFEFF}}};
constexpr std::array<Range, 5> kCombining{
    {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}}};
constexpr std::array<Range, 12> kWide{{{0x1100, 0x115F},
                                       {0x2E80, 0x303E},
                                       {0x3041, 0xA4CF},
                                       {0xA960, 0xA97C},
                                       {0xAC00, 0xD7A3},
                                       {0xF900, 0xFAFF},
                                       {0xFE30, 0xFE6F},
                                       {0xFF00, 0xFF60},
                                       {0xFFE0, 0xFFE6},
                                       {0x1F300, 0x1F64F},
                                       {0x1F900, 0x1F9FF},
                                       {0x20000, 0x3FFFD}}};

template <std::size_t N>
bool lies_in(const std::array<Range, N>& ranges, std::uint32_t point) {
  return std::ranges::any_of(
      ranges, [&](const Range& range) { return point >= range.first && point <= range.last; });
}

struct Character {
  std::string_view bytes;
  std::uint32_t point = 0;
};

// Takes the first character off; a byte that begins none is U+FFFD.
Character take(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  Character out{text.substr(0, length), lead};
  if (!is_utf8(out.bytes)) {
    text.remove_prefix(1);
    return {"\xEF\xBF\xBD", 0xFFFD};
  }
  text.remove_prefix(length);
  if (length == 1) return out;
  out.point = lead & (0xFFU >> (length + 1));
  for (const char next : out.bytes.substr(1))
    out.point = (out.point << 6U) | (static_cast<unsigned char>(next) & 0x3FU);
  return out;
}

std::size_t width_of(const Character& character) {
  if (lies_in(kCombining, character.point)) return 0;
  return lies_in(kWide, character.point) ? 2 : 1;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = take(text);
    out += lies_in(kHarmful, next.point) ? " " : next.bytes;
  }
  return out;
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty())
    width += width_of(take(text));
  return width;
}

std::string cut(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  std::string out;
  std::size_t used = 1;  // of the ellipsis
  std::string_view rest = text;
  while (!rest.empty()) {
    const Character next = take(rest);
    used += width_of(next);
    if (used > width) break;
    out += next.bytes;
  }
  return out + "\u2026";
}

void print_line(std::string_view text) {
  std::printf("%s\n", one_line(text).c_str());
}

}  // namespace strata::app
