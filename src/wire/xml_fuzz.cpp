#include "wire/xml.hpp"

#include <cstddef>
#include <cstdint>

namespace {

void write(strata::wire::XmlWriter& writer, const strata::wire::XmlElement& element) {
  writer.element("Text", element.text);
  for (const auto& child : element.children) {
    writer.open("Child");
    write(writer, child);
    writer.close();
  }
}

}  // namespace

// Any document; what was read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto root = strata::wire::parse_xml({reinterpret_cast<const char*>(data), size});
  if (!root) return 0;
  strata::wire::XmlWriter writer("Root");
  write(writer, *root);
  if (!strata::wire::parse_xml(writer.finish(), {.depth = 32, .elements = 200'000}).ok())
    __builtin_trap();
  return 0;
}
