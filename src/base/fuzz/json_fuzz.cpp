#include "base/json.hpp"

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

// Any text: what was read can be written and read again, and is then the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = strata::parse_json(text);
  if (!value) return 0;
  const std::string compact = value->dump();
  if (!strata::is_utf8(compact)) __builtin_trap();
  const auto again = strata::parse_json(compact);
  if (!again || !(*again == *value) || again->dump() != compact) __builtin_trap();
  const auto indented = strata::parse_json(value->dump(2));
  if (!indented || !(*indented == *value)) __builtin_trap();
  return 0;
}
