#pragma once

// How definitions and their versions stand in the records. Private to the room.

#include <string>
#include <vector>

#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/features/features.hpp"

namespace strata::platform::features {

std::span<const kernel::Migration> feature_migrations();

// The definition that `change` is about, as JSON.
Json definition_of(const Catalog& catalog, const Change& change);

// One change: the definition, its version if that is new, and the number of the version.
Status write_change(kernel::Writer& writer, const kernel::Caller& by, const Catalog& catalog,
                    const Change& change, Instant now);

// The node of a view or service, and what it is made of.
Status report_lineage(kernel::Writer& writer, kernel::Lineage& lineage, const kernel::Caller& by,
                      const Catalog& catalog, const Change& change, Instant now);

// All definitions of a project.
Result<std::vector<Listed>> read_listed(kernel::Reader& reader, const std::string& project);
// Newest first, at most 1000.
Result<std::vector<Version>> read_versions(kernel::Reader& reader, const std::string& project,
                                           const std::string& kind, const std::string& name);

}  // namespace strata::platform::features
