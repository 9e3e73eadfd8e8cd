#pragma once

#include <vector>

#include "kernel/lineage/lineage.hpp"

namespace strata::kernel {

// The state at `as_of` of the thing of that kind and name, else the first one after; else, of
// objects, of all in the folder of that name that came to be from `not_before` on, `limit` at most.
// Empty when nothing is known of it.
Result<std::vector<NodeRef>> lineage_states(Reader& reader, const ProjectId& project,
                                            const NodeRef& ref, Instant as_of, Instant not_before,
                                            int limit);

}  // namespace strata::kernel
