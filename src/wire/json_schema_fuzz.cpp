#include "wire/json_schema.hpp"

#include <cstddef>
#include <cstdint>

namespace {

// Every keyword that the checker knows, nested as our documents nest them.
constexpr std::string_view kSchema = R"({
  "type": "object", "required": ["name"], "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 8},
    "count": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
    "kind": {"enum": ["a", "b"]},
    "items": {"type": "array", "maxItems": 3, "items": {"type": "number"}},
    "tags": {"type": "object", "additionalProperties": {"type": "string"}}
  }})";

}  // namespace

// Any value against one schema: what passes has only members that the schema names.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  static const Json schema = parse_json(kSchema).value();
  const auto value = parse_json({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  if (!wire::check_schema(schema, *value)) return 0;
  if (!value->is_object() || value->find("name") == nullptr) __builtin_trap();
  for (const auto& [name, member] : value->as_object()) {
    if (schema["properties"].find(name) == nullptr) __builtin_trap();
  }
  return 0;
}
