#include "wire/flow/flow_spec.hpp"

#include <cstddef>
#include <cstdint>

// Any YAML: a pipeline that was read has one canonical JSON form, which reads as the same version.
// The text also serves as one with references.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto same = [](const wire::FlowReference& reference) -> Result<std::string> {
    return reference.name;
  };
  static_cast<void>(wire::expand_references(text, same).ok());
  static_cast<void>(wire::whole_reference(text));
  const auto spec = wire::read_flow_yaml(text, {});
  if (!spec) return 0;
  const Json canonical = wire::flow_to_json(*spec);
  const auto again = wire::read_flow_json(canonical, {});
  if (!again || wire::flow_version(*again) != wire::flow_version(*spec)) __builtin_trap();
  static_cast<void>(wire::flow_parameters(*spec, Json::object()).ok());
  return 0;
}
