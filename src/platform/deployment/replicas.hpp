#pragma once

#include <string>

#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::platform::deployment {

// Errors: kInvalidArgument naming the bound that is wrong.
Status check_replicas(const Replicas& replicas);
Status write_replicas(kernel::Writer& writer, const std::string& project,
                      const std::string& endpoint, const Replicas& replicas);

}  // namespace strata::platform::deployment
