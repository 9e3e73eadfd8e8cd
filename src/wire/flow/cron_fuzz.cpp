#include "wire/flow/cron.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

// The first eight bytes are a moment, the rest a schedule: runs come one after the other, on whole
// minutes, and none is missed in between.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  std::int64_t moment = 0;
  if (size < sizeof moment) return 0;
  std::memcpy(&moment, data, sizeof moment);
  const auto cron = wire::Cron::parse(
      {reinterpret_cast<const char*>(data) + sizeof moment, size - sizeof moment});
  if (!cron) return 0;
  const auto zone = wire::TimeZone::utc();
  constexpr std::int64_t kYears = 200LL * 365 * 86'400;
  Instant at = Instant::from_seconds(moment % kYears);
  for (int i = 0; i < 3; ++i) {
    const auto next = cron->next(at, zone);
    if (!next) return 0;
    if (*next <= at || next->micros % 60'000'000 != 0) __builtin_trap();
    const auto just_before = cron->next(Instant{next->micros - 1'000'000}, zone);
    if (!just_before || *just_before != *next) __builtin_trap();
    at = *next;
  }
  return 0;
}
