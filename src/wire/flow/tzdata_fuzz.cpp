#include "wire/flow/tzdata.hpp"

#include <cstddef>
#include <cstdint>

// Any TZif file: at any moment of four centuries it has an offset, and a wall-clock time that it
// calls unique means a moment at which the clock shows it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using strata::wire::TimeZone;
  const auto zone = TimeZone::parse("Fuzz/Zone", {reinterpret_cast<const char*>(data), size});
  if (!zone) return 0;
  constexpr std::int64_t kYear = 31'556'952;
  for (std::int64_t year = -200; year <= 200; year += 7) {
    const std::int64_t moment = year * kYear + year * 1234;
    const std::int32_t offset = zone->offset_at(moment);
    if (offset < -2 * 86'400 || offset > 2 * 86'400) __builtin_trap();
    const auto meaning = zone->to_utc(moment + offset);
    if (meaning.second < meaning.first) __builtin_trap();
    if (meaning.kind == TimeZone::Kind::kGap) continue;
    if (meaning.first + zone->offset_at(meaning.first) != moment + offset) __builtin_trap();
  }
  return 0;
}
