#pragma once

#include <atomic>
#include <memory>

#include "resources/workflow/tables.hpp"
#include "runtime/byte_source.hpp"

namespace strata::resources::workflow {

// The logs of a run's attempts, oldest attempt first, as they stand; with `follow` also as they
// grow, until the run has ended. Errors: kUnavailable once `draining` is set, and while following
// those of Identity::renewed() and kPermissionDenied as soon as the caller may no longer read them,
// so that whoever follows sees a stream cut short and not the end of the run.
std::unique_ptr<ByteSource> open_logs(const Ports& ports, const std::atomic<bool>& draining,
                                      const kernel::Caller& caller,
                                      const Workflows::LogRequest& request);

}  // namespace strata::resources::workflow
