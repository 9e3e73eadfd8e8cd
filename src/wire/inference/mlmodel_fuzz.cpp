#include "wire/inference/mlmodel.hpp"

#include <cstddef>
#include <cstdint>

#include "wire/mlflow/mlflow_artifact.hpp"

// Any MLmodel file; what merely records its making can be taken out of it once, and what is left
// reads the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string canonical = mlflow::canonical_mlmodel(text);
  if (canonical.size() > text.size() || mlflow::canonical_mlmodel(canonical) != canonical)
    __builtin_trap();
  const auto model = parse_mlmodel(text);
  if (!model) return 0;
  for (const auto* schema : {&model->inputs, &model->outputs}) {
    if (!*schema) continue;
    if (!(*schema)->columns.empty() && !(*schema)->tensors.empty()) __builtin_trap();
    for (const auto& tensor : (*schema)->tensors) {
      for (const auto dimension : tensor.shape) {
        if (dimension < -1) __builtin_trap();
      }
    }
  }
  return 0;
}
