#include <cstddef>
#include <cstdint>

#include "wire/growthbook/evaluate.hpp"

// A payload with the attributes of a subject in it: no feature may crash, and the same subject gets
// the same answer again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  using namespace strata::wire::growthbook;
  const auto document = parse_json({reinterpret_cast<const char*>(data), size});
  if (!document || !document->is_object() || !(*document)["features"].is_object()) return 0;
  const Payload payload(*document);
  Subject subject;
  if ((*document)["attributes"].is_object()) subject.attributes = (*document)["attributes"];
  if (document->boolean("sticky")) subject.sticky = Json::object();
  for (const auto& [key, feature] : (*document)["features"].as_object()) {
    const auto first = Evaluation(payload, subject).feature(key);
    const auto second = Evaluation(payload, subject).feature(key);
    if (first.value != second.value) __builtin_trap();
  }
  return 0;
}
