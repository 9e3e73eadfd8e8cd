#include "wire/flow/json_reader.hpp"

#include <cstddef>
#include <cstdint>

#include "base/json.hpp"

namespace {

using strata::Json;
using strata::wire::JsonReader;
using strata::wire::JsonScalar;

Json read(JsonReader& reader) {
  switch (reader.peek()) {
    case JsonReader::Kind::kArray: {
      Json out = Json::array();
      reader.enter_array();
      while (reader.next_element())
        out.push(read(reader));
      return out;
    }
    case JsonReader::Kind::kObject: {
      Json::Object out;
      std::string name;
      reader.enter_object();
      while (reader.next_member(name)) {
        const std::string key = name;
        out.emplace_back(key, read(reader));
      }
      return Json(std::move(out));
    }
    default:
      break;
  }
  JsonScalar scalar;
  if (!reader.scalar(scalar)) return {};
  switch (scalar.kind) {
    case JsonScalar::Kind::kNull:
      return {};
    case JsonScalar::Kind::kBool:
      return scalar.boolean;
    case JsonScalar::Kind::kInt:
      return scalar.integer;
    case JsonScalar::Kind::kUnsigned:
      return scalar.unsigned_integer;
    case JsonScalar::Kind::kDouble:
      return scalar.number;
    case JsonScalar::Kind::kText:
      return scalar.text;
  }
  return {};
}

}  // namespace

// Two readers of JSON: whatever the one that builds trees takes, the one that reads value by value
// takes too and sees the same in; stepping over a value takes what reading it takes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  JsonReader reader(text);
  const Json seen = read(reader);
  const bool whole = reader.finish();
  const auto tree = strata::parse_json(text);
  if (tree && (!whole || !(seen == *tree))) __builtin_trap();
  JsonReader skipper(text);
  const auto skipped = skipper.skip();
  if (skipped.size() > text.size()) __builtin_trap();
  if (whole && !skipper.finish()) __builtin_trap();
  return 0;
}
