#include "wire/package/requirement.hpp"

#include <cstddef>
#include <cstdint>

// Any requirements file: the canonical form of each line that was read is a requirement with that
// same form, locked exactly when the line was, and every line is either locked or says why not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const auto lines = read_requirements({reinterpret_cast<const char*>(data), size});
  if (!lines) return 0;
  for (const auto& line : *lines) {
    if (!line.requirement) {
      if (line.open.empty()) __builtin_trap();
      continue;
    }
    const auto& one = *line.requirement;
    if (one.locked() != line.open.empty()) __builtin_trap();
    if (normal_package_name(one.name) != one.name) __builtin_trap();
    const auto again = parse_requirement(one.canonical());
    if (!again || again->canonical() != one.canonical() || again->locked() != one.locked())
      __builtin_trap();
  }
  return 0;
}
