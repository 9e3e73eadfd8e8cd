#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::wire {

// A value of a YAML or JSON document together with where it stands, so that an error can point at
// it.
struct FlowDocument {
  enum class Kind : std::uint8_t { kScalar, kList, kMap };

  struct Member;

  Kind kind = Kind::kScalar;
  Json value;        // a scalar with the type that the YAML core schema gives it
  std::string text;  // a scalar as it was written
  std::vector<FlowDocument> items;
  std::vector<Member> members;  // keys are scalars
  int line = 0, column = 0;     // from 1; 0 when not known (JSON)

  const FlowDocument* find(std::string_view key) const;
  bool is_null() const { return kind == Kind::kScalar && value.is_null(); }
  // "text", "number", "list" ..., for messages.
  std::string_view type_name() const;
  Json to_json() const;
};

struct FlowDocument::Member {
  FlowDocument key, value;
};

// Reads one YAML document (aliases are followed, within a bound on what they expand to).
// Errors: kMalformed as "file:line:column: ...", also for repeated keys and what expands to too
// much; kTooLarge for the text itself.
Result<FlowDocument> read_yaml(std::string_view text, const std::string& file);
FlowDocument document_of(const Json& json);

}  // namespace strata::wire
