#include <cstddef>
#include <cstdint>

#include "doors/growthbook/growthbook.hpp"

// What a tracking plug-in sends: whatever comes, no crash; what is taken is bounded, an exposure
// names its experiment, variation and unit, and properties are JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  using platform::experiments::Tracked;
  const auto events = doors::growthbook::read_events({reinterpret_cast<const char*>(data), size});
  if (!events) return 0;
  for (const Tracked& event : *events) {
    if (event.kind == Tracked::Kind::kExposure) {
      if (event.experiment.empty() || event.variation.empty() || event.unit.empty())
        __builtin_trap();
    } else if (event.name.empty()) {
      __builtin_trap();
    }
    if (event.unit.size() > 1024 || !parse_json(event.properties) || !parse_json(event.attributes))
      __builtin_trap();
  }
  return 0;
}
