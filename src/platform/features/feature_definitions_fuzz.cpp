#include <cstddef>
#include <cstdint>

#include "platform/features/catalog.hpp"

// What is read and planned is, written as JSON, read and planned to the same versions again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::platform::features;
  const auto document =
      read_features_yaml({reinterpret_cast<const char*>(data), size}, "features.yaml");
  if (!document) return 0;
  const auto again = read_features_json(to_json(document->definitions));
  if (!again) __builtin_trap();
  const auto first = make_catalog(document->definitions);
  const auto second = make_catalog(again->definitions);
  if (first.ok() != second.ok()) __builtin_trap();
  if (!first) return 0;
  for (const auto& [name, view] : first->views) {
    if (second->views.at(name).version != view.version) __builtin_trap();
  }
  for (const auto& [name, service] : first->services) {
    if (second->services.at(name).version != service.version) __builtin_trap();
  }
  return 0;
}
