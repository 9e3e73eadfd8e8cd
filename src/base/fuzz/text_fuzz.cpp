#include "base/text.hpp"

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// What was written in one of the forms of time is the same time when it is read.
void times(std::string_view text) {
  using namespace strata;
  if (const auto time = parse_rfc3339(text)) {
    const auto again = parse_rfc3339(to_rfc3339(*time));
    // An offset can move the first and last hours of the calendar out of its four digits.
    if (again) require(again->millis() == time->millis());
  }
  if (const auto time = parse_basic_iso8601(text))
    require(parse_basic_iso8601(to_basic_iso8601(*time)).value() == *time);
  if (const auto time = parse_http_date(text))
    require(parse_http_date(to_http_date(*time)).value() == *time);
  if (const auto duration = parse_duration(text)) {
    require(duration->count() >= 0);
    require(!show_duration(*duration).empty());
  }
}

}  // namespace

// The small forms that all protocols share: times, durations, hexadecimal, base64, numbers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  times(text);
  require(from_hex(to_hex(text)).value() == text);
  require(from_base64(to_base64(text)).value() == text);
  require(from_base64(to_base64url(text)).value() == text);
  if (const auto bytes = from_base64(text)) require(bytes->size() <= text.size());
  require(is_utf8(printable(text)));
  require(join(split(text, ','), ",") == text);
  if (const auto number = to_int(text)) require(to_int(std::to_string(*number)) == number);
  static_cast<void>(to_double(text));
  return 0;
}
