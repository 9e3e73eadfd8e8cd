#include "wire/parquet/parquet.hpp"

#include <cstddef>
#include <cstdint>

// Any file: a table that was read is written to a file that reads as the same table.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const auto table = decode_parquet({reinterpret_cast<const char*>(data), size});
  if (!table) return 0;
  const auto again = decode_parquet(encode_parquet(*table));
  if (!again || again->rows != table->rows || !again->same_layout(*table)) __builtin_trap();
  for (std::size_t i = 0; i < table->columns.size(); ++i) {
    const auto& before = table->columns[i];
    const auto& after = again->columns[i];
    if (before.present != after.present || before.lengths != after.lengths ||
        before.fixed != after.fixed || before.texts != after.texts ||
        before.repeats != after.repeats)
      __builtin_trap();
  }
  return 0;
}
