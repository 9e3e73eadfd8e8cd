#pragma once

#include <string>
#include <vector>

#include "platform/experiments/flags.hpp"

namespace strata::platform::experiments {

// The rule of a flag that splits units as `experiment`; without a name the only one that there is.
// Errors: kInvalidArgument.
Result<Json> experiment_rule(const Version& flag, const std::string& experiment);
// The arms of such a rule with their weights, as a plan has them.
Json arms_of(const Json& rule);

// Checks what start() is given against the flag and makes of it what is frozen: {"name", "flag",
// "flag_version", "experiment", "attribute", "hypothesis", "plan", "metrics"}. Errors:
// kInvalidArgument naming the field.
Result<Json> freeze(const Json& definition, const Version& flag);

// How a metric of the plan is read. SQL with the parameters $experiment, $attribute, $start, $end
// and $now.
std::string units_sql();
std::string metric_sql(const Json& planned, const Json& source);

// The decision for people: one sentence first, then one for each metric and arm.
Json in_words(const Json& decision);

}  // namespace strata::platform::experiments
