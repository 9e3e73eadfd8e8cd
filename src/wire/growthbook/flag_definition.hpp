#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
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

// A saved group: {"description", "values": [texts or numbers]}, which conditions name by $inGroup.
using SavedGroups = std::map<std::string, Json>;

inline constexpr std::size_t kMaxFlagKey = 128;
inline constexpr std::size_t kMaxRules = 100;
inline constexpr std::size_t kMaxGroupValues = 10'000;

// Checks one definition by itself. Errors: kInvalidArgument naming field, problem and fix.
Status check_flag(std::string_view key, const Json& definition);
Status check_group(std::string_view name, const Json& definition);
// Reads {"description", "coverage", "hashAttribute"}. Errors: the same.
Result<Holdout> read_holdout(std::string_view key, const Json& definition);
// Checks what only all flags together show: prerequisites that are not there or lead in a circle,
// saved groups that are not there, one key for two experiments, and experiments of one layer that
// share ids. Each must have passed its own check. Errors: kInvalidArgument naming the flag and the
// field.
Status check_flags(const FlagDefinitions& flags, const SavedGroups& groups = {});
// What GrowthBook's SDKs are given at the time `now`, with the groups that the flags name. As time
// goes on nobody leaves a ramp.
Json payload_of(const FlagDefinitions& flags, const std::vector<Holdout>& holdouts, Instant now,
                const SavedGroups& groups = {});
// When a ramp makes the payload another one, after `now`; nothing when none does any more.
std::optional<Instant> next_step(const FlagDefinitions& flags, Instant now);
// When one did last, up to `now`.
std::optional<Instant> last_step(const FlagDefinitions& flags, Instant now);

}  // namespace strata::wire::growthbook
