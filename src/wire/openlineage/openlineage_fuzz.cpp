#include "wire/openlineage/openlineage.hpp"

#include <cstddef>
#include <cstdint>

// No document may crash; what is taken keeps to the bounds, and the same text is read the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  using namespace strata::wire::openlineage;
  const auto document = parse_json({reinterpret_cast<const char*>(data), size});
  if (!document) return 0;
  const auto event = read_event(*document);
  const auto again = read_event(*document);
  if (event.ok() != again.ok()) __builtin_trap();
  if (!event) return event.error().message == again.error().message ? 0 : (__builtin_trap(), 1);
  if (event->time != again->time || event->state != again->state) __builtin_trap();
  if (event->inputs.size() > kMaxDatasets || event->outputs.size() > kMaxDatasets) __builtin_trap();
  if ((event->kind == Kind::kRun) == event->run_id.empty()) __builtin_trap();
  if ((event->kind == Kind::kDataset) != event->job.name.empty()) __builtin_trap();
  for (const auto& output : event->outputs) {
    if (output.id.name.empty() || output.id.name.size() > kMaxName) __builtin_trap();
    if (output.rows.value_or(0) < 0) __builtin_trap();
  }
  return 0;
}
