#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/json.hpp"
#include "wire/growthbook/regex.hpp"

namespace strata::wire::growthbook {

// The patterns of a document, compiled once. One that cannot be run matches nothing.
class Patterns {
 public:
  // Takes every "$regex" and "$regexi" in `document`.
  void add(const Json& document);
  const Regex* find(const std::string& pattern, bool fold) const;

 private:
  std::map<std::pair<std::string, bool>, Regex> compiled_;
};

// What conditions are evaluated with. `steps_left` bounds the work of hostile documents: when it
// reaches 0 every condition is false, and the outcome must not be used.
struct ConditionContext {
  const Json* saved_groups = nullptr;
  const Patterns* patterns = nullptr;
  std::int64_t steps_left = 5'000'000;
};

// Whether `attributes` meet a condition in the style of MongoDB. Spec: GrowthBook's mongrule.
bool meets(const Json& attributes, const Json& condition, ConditionContext& context);

// "1.10.0-rc.1" in a form whose order as text is the order of versions.
std::string padded_version(const Json& version);

}  // namespace strata::wire::growthbook
