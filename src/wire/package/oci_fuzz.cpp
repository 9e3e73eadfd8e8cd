#include "wire/package/oci.hpp"

#include <cstddef>
#include <cstdint>

// Any text as each document: what was read is written and read again the same, and no descriptor
// points outside of the layout's blobs.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(check_oci_layout(text).ok());
  const auto inside = [](const OciDescriptor& one) {
    if (one.blob().size() != 77 || one.blob().find('.') != std::string::npos) __builtin_trap();
  };
  if (const auto index = read_oci_index(text)) {
    inside(*index);
    const std::string written = write_oci_index(*index);
    const auto again = read_oci_index(written);
    if (!again || write_oci_index(*again) != written) __builtin_trap();
  }
  if (const auto manifest = read_oci_manifest(text)) {
    inside(manifest->config);
    for (const auto& layer : manifest->layers)
      inside(layer);
    const std::string written = write_oci_manifest(*manifest);
    const auto again = read_oci_manifest(written);
    if (!again || write_oci_manifest(*again) != written) __builtin_trap();
  }
  return 0;
}
