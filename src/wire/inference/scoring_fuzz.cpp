#include "wire/inference/scoring.hpp"

#include <cstddef>
#include <cstdint>

#include "wire/inference/tensor.hpp"

// The first byte chooses JSON or CSV, the rest is the body: every array is as large as its shape
// says, no larger than the body, and every text is there.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto request =
      decode_scoring(body, (data[0] & 1U) == 0 ? "application/json" : "text/csv; charset=utf-8");
  if (!request) return 0;
  for (const auto& array : request->arrays) {
    const auto count = element_count(array.shape);
    if (!count || *count != array.cells.size()) __builtin_trap();
    for (const auto& cell : array.cells) {
      if (cell.kind == ScoringCell::Kind::kText && cell.text >= request->texts.size())
        __builtin_trap();
    }
  }
  return 0;
}
