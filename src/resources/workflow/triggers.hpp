#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/flow/flow_spec.hpp"

namespace strata::resources::workflow {

// The name under which a trigger's progress is kept: a changed schedule starts anew.
std::string trigger_name(const std::string& project, const std::string& flow,
                         const wire::CronTrigger& trigger);

// The fire that is due at `now` when the schedule was last served at `last`: of several that were
// missed, the latest. Nothing when none is due. Errors: kInvalidArgument, kNotFound (zone).
Result<std::optional<Instant>> due_fire(const wire::CronTrigger& trigger, Instant last,
                                        Instant now);
// The first fire after `now`.
Result<std::optional<Instant>> next_fire(const wire::CronTrigger& trigger, Instant now);

// Whether an object of that bucket and key starts the pipeline.
bool matches(const wire::EventTrigger& trigger, const std::string& bucket, const std::string& key);

}  // namespace strata::resources::workflow
