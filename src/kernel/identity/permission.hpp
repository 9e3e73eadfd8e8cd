#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace strata::kernel {

// What a route may ask of its caller; the text is also the scope of a token ("lake:read", or "lake"
// for all of an area).
#define STRATA_PERMISSIONS(X)         \
  X(kPublic, "public")                \
  X(kSignedIn, "signed-in")           \
  X(kLakeRead, "lake:read")           \
  X(kLakeWrite, "lake:write")         \
  X(kSqlQuery, "sql:query")           \
  X(kFlowRead, "flow:read")           \
  X(kFlowWrite, "flow:write")         \
  X(kTrackingRead, "tracking:read")   \
  X(kTrackingWrite, "tracking:write") \
  X(kModelRead, "model:read")         \
  X(kModelWrite, "model:write")       \
  X(kEndpointRead, "endpoint:read")   \
  X(kEndpointWrite, "endpoint:write") \
  X(kPredict, "endpoint:predict")     \
  X(kFeatureRead, "feature:read")     \
  X(kFeatureWrite, "feature:write")   \
  X(kFlagRead, "flag:read")           \
  X(kFlagWrite, "flag:write")         \
  X(kLineageRead, "lineage:read")     \
  X(kNodeRead, "node:read")           \
  X(kAuditRead, "audit:read")         \
  X(kMetricsRead, "metrics:read")     \
  X(kProjectAdmin, "project:admin")   \
  X(kAdmin, "admin")

enum class Permission : std::uint8_t {
#define X(name, text) name,
  STRATA_PERMISSIONS(X)
#undef X
      kCount
};

using Permissions = std::bitset<static_cast<std::size_t>(Permission::kCount)>;

std::string_view permission_name(Permission permission);

// What it takes to read about a thing, by the kind before ':' in its reference ("model:flights").
// A kind that belongs to no area is for those who may read the audit log.
Permission permission_to_read(std::string_view ref);

// What a role may do: viewer reads and predicts, member does all but administration, admin does
// all.
enum class Role : std::uint8_t { kViewer, kMember, kAdmin };
std::string_view role_name(Role role);
Result<Role> parse_role(std::string_view text);
Permissions permissions_of(Role role);

// "all", or a comma-separated list of permission texts and areas. Errors: kInvalidArgument naming
// the nearest known scope.
Result<Permissions> parse_scopes(std::string_view text);
// The text that parse_scopes() reads as these.
std::string scopes_text(const Permissions& scopes);

}  // namespace strata::kernel
