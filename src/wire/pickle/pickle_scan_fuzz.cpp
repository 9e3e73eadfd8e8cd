// Whatever the bytes: no crash, no more opcodes than bytes, and globals that are each once and in
// order; what was read is within the bytes, and reads the same without what follows it.
#include "wire/pickle/pickle_scan.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto scan = strata::wire::scan_pickle(bytes);
  if (!scan) return 0;
  if (scan->bytes > size || scan->opcodes > scan->bytes) std::abort();
  for (std::size_t i = 1; i < scan->globals.size(); ++i)
    if (!(scan->globals[i - 1] < scan->globals[i])) std::abort();
  const auto again = strata::wire::scan_pickle(bytes.substr(0, scan->bytes));
  if (!again || again->globals != scan->globals || again->bytes != scan->bytes) std::abort();
  return 0;
}
