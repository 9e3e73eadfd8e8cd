#include "wire/xgboost/xgboost_model.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Any model.json or model.ubj. One that is found sound has what its shape says, and is not sound
// with its last byte cut off or another one behind it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto shape = check_xgboost_model(text);
  if (!shape) return 0;
  if (shape->features < 1 || shape->groups < 1 || shape->targets < 1) __builtin_trap();
  if (shape->classes > shape->groups || shape->targets > shape->groups) __builtin_trap();
  const auto end = text.find_last_not_of(" \t\r\n");
  if (check_xgboost_model(std::string_view(text).substr(0, end))) __builtin_trap();
  if (check_xgboost_model(text + "}")) __builtin_trap();
  return 0;
}
