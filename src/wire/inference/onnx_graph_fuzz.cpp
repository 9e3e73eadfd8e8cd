#include "wire/inference/onnx_graph.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

// Any model.onnx. What is cut in its middle never seems to hold less than it did: a prefix that is
// still a model has no loop that the whole has not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto traits = inspect_onnx(text);
  if (!traits) return 0;
  if (traits->loops && traits->steady) __builtin_trap();
  const auto part = inspect_onnx(text.substr(0, size / 2));
  if (part && part->loops && !traits->loops) __builtin_trap();
  const auto twice = inspect_onnx(std::string(text) + std::string(text));
  if (!twice || twice->loops != traits->loops || twice->steady != traits->steady) __builtin_trap();
  return 0;
}
