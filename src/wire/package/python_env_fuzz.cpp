#include "wire/package/python_env.hpp"

#include <cstddef>
#include <cstdint>

// Any YAML: what was read of an environment is bounded by the text, and none of conda's packages
// is python or pip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto own = parse_python_env(text);
  if (own && !own->conda.empty()) __builtin_trap();
  const auto conda = parse_conda_env(text);
  if (!conda) return 0;
  for (const auto& spec : conda->conda) {
    if (spec == "python" || spec == "pip") __builtin_trap();
  }
  if (conda->python.find_first_not_of("0123456789.") != std::string::npos) __builtin_trap();
  return 0;
}
