#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace strata::wire::growthbook {

// The definitions of a project's flags by their keys. One is {"description", "default", "rules"};
// a rule has the fields of a rule in GrowthBook's payload, and of our own
// "layer": {"name", "range": [from, to]}, of whose ids only those in the range see the rule, and
// "ramp": [{"at", "coverage"}, ...], the coverage from each time on.
using FlagDefinitions = std::map<std::string, Json>;

// A share of all ids that sees no experiment.
struct Holdout {
  std::string key;
  double coverage = 0;  // more than 0, up to 1
  std::string hash_attribute = "id";
};

inline constexpr std::size_t kMaxFlagKey = 128;
inline constexpr std::size_t kMaxRules = 100;

// Checks one definition by itself. Errors: kInvalidArgument naming field, problem and fix.
Status check_flag(std::string_view key, const Json& definition);
// Checks what only all flags together show: prerequisites that are not there or lead in a circle,
// one key for two experiments, and experiments of one layer that share ids. Each must have passed
// check_flag. Errors: kInvalidArgument naming the flag and the field.
Status check_flags(const FlagDefinitions& flags);
// What GrowthBook's SDKs are given at the time `now`. As time goes on nobody leaves a ramp.
Json payload_of(const FlagDefinitions& flags, const std::vector<Holdout>& holdouts, Instant now);

}  // namespace strata::wire::growthbook
