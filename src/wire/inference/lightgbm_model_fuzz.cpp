#include "wire/inference/lightgbm_model.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

// Any model.lgb. One that is found sound stays so whatever stands behind its trees, and is not
// sound with its last tree cut off.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto shape = check_lightgbm_model(text);
  if (!shape) return 0;
  if (shape->classes < 1 || shape->features < 1 || shape->trees == 0) __builtin_trap();
  if (shape->trees % static_cast<std::size_t>(shape->classes) != 0) __builtin_trap();
  if (shape->trees_end > size) __builtin_trap();
  const auto trees = text.substr(0, shape->trees_end);
  const auto alone = check_lightgbm_model(trees);
  if (!alone || alone->trees != shape->trees) __builtin_trap();
  if (check_lightgbm_model(trees.substr(0, trees.size() - 2))) __builtin_trap();
  if (!check_lightgbm_model(trees + "end of trees\nnum_class=7\n")) __builtin_trap();
  return 0;
}
