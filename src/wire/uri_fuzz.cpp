#include "wire/uri.hpp"

#include <cstddef>
#include <cstdint>

// Any query or path: decoding shrinks, and encoding undoes it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto decoded = percent_decode(text);
  if (decoded && decoded->size() > text.size()) __builtin_trap();
  if (percent_decode(percent_encode(text)).value() != text) __builtin_trap();
  if (percent_decode(percent_encode(text, true)).value() != text) __builtin_trap();
  const auto query = parse_query(text);
  if (!query) return 0;
  std::string rebuilt;
  for (const auto& [name, value] : *query) {
    if (!rebuilt.empty()) rebuilt += '&';
    rebuilt += percent_encode(name) + "=" + percent_encode(value);
  }
  if (parse_query(rebuilt).value() != *query) __builtin_trap();
  return 0;
}
