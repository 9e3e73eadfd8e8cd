#include <cstddef>
#include <cstdint>

#include "platform/streams/record.hpp"
#include "platform/streams/state.hpp"

// What is read is, written again, the same bytes; states that are read fold without harm.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::platform::streams;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto record = decode(bytes)) {
    if (encode(*record) != bytes) __builtin_trap();
    KeyState once, twice;
    for (std::uint32_t i = 0; i < record->rows.size(); ++i)
      fold(once, record->columns, record->rows[i], {1, i});
    for (auto i = static_cast<std::uint32_t>(record->rows.size()); i-- > 0;)
      fold(twice, record->columns, record->rows[i], {1, i});
    if (encode(once) != encode(twice)) __builtin_trap();
  }
  if (const auto state = decode_state(bytes)) {
    const auto again = decode_state(encode(*state));
    if (!again || encode(*again) != encode(*state)) __builtin_trap();
  }
  return 0;
}
