#include "kernel/identity/permission.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::kernel {

namespace {

constexpr std::array kNames = {
#define X(name, text) std::string_view(text),
    STRATA_PERMISSIONS(X)
#undef X
};

void grant(Permissions& to, Permission permission) {
  to.set(static_cast<std::size_t>(permission));
}

std::string_view area_of(std::string_view name) {
  return name.substr(0, name.find(':'));
}

Permissions compute_permissions(Role role) {
  Permissions granted;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto permission = static_cast<Permission>(i);
    // What is about the server as a whole, across its projects.
    const bool whole = permission == Permission::kAdmin || permission == Permission::kAuditRead ||
                       permission == Permission::kMetricsRead;
    const bool member = !whole && permission != Permission::kProjectAdmin;
    const bool viewer = member && (kNames[i].ends_with(":read") ||
                                   kNames[i] == "endpoint:predict" || kNames[i] == "sql:query");
    if (role == Role::kAdmin || (role == Role::kMember ? member : viewer)) granted.set(i);
  }
  grant(granted, Permission::kPublic);
  grant(granted, Permission::kSignedIn);
  return granted;
}

}  // namespace

std::string_view permission_name(Permission permission) {
  return kNames[static_cast<std::size_t>(permission)];
}

Permission permission_to_read(std::string_view ref) {
  constexpr auto kKinds = std::to_array<std::pair<std::string_view, Permission>>(
      {{"bucket", Permission::kLakeRead},
       {"lake", Permission::kLakeRead},
       {"object", Permission::kLakeRead},
       {"table", Permission::kSqlQuery},
       {"query", Permission::kSqlQuery},
       {"flow", Permission::kFlowRead},
       {"flow_run", Permission::kFlowRead},
       {"task", Permission::kFlowRead},
       {"experiment", Permission::kTrackingRead},
       {"run", Permission::kTrackingRead},
       {"dataset", Permission::kTrackingRead},
       {"logged_model", Permission::kTrackingRead},
       {"model", Permission::kModelRead},
       {"signing", Permission::kModelRead},
       {"endpoint", Permission::kEndpointRead},
       {"prediction", Permission::kEndpointRead},
       {"feature_entity", Permission::kFeatureRead},
       {"feature_source", Permission::kFeatureRead},
       {"feature_view", Permission::kFeatureRead},
       {"feature_service", Permission::kFeatureRead},
       {"stream", Permission::kFeatureRead},
       {"flag", Permission::kFlagRead},
       {"flag_group", Permission::kFlagRead},
       {"flag_holdout", Permission::kFlagRead},
       {"flag_key", Permission::kFlagRead},
       {"flag_experiment", Permission::kFlagRead},
       {"release", Permission::kEndpointRead},
       {"alert_route", Permission::kEndpointRead},
       {"alert_silence", Permission::kEndpointRead},
       {"external_job", Permission::kLineageRead},
       {"external_run", Permission::kLineageRead},
       {"external_dataset", Permission::kLineageRead},
       {"node", Permission::kNodeRead}});
  const std::string_view kind = ref.substr(0, ref.find(':'));
  for (const auto& [name, permission] : kKinds) {
    if (name == kind) return permission;
  }
  return Permission::kAuditRead;
}

std::string_view role_name(Role role) {
  constexpr std::array<std::string_view, 3> kRoles = {"viewer", "member", "admin"};
  return kRoles[static_cast<std::size_t>(role)];
}

Result<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::kViewer, Role::kMember, Role::kAdmin}) {
    if (text == role_name(role)) return role;
  }
  return invalid("role", fmt::format("'{}' is no role; use viewer, member or admin", text));
}

// Asked at every request, so computed once.
Permissions permissions_of(Role role) {
  static const std::array<Permissions, 3> kByRole = {compute_permissions(Role::kViewer),
                                                     compute_permissions(Role::kMember),
                                                     compute_permissions(Role::kAdmin)};
  return kByRole[static_cast<std::size_t>(role)];
}

Result<Permissions> parse_scopes(std::string_view text) {
  Permissions granted;
  grant(granted, Permission::kPublic);
  grant(granted, Permission::kSignedIn);
  for (const auto& piece : split(text, ',')) {
    const std::string scope(trim(piece));
    if (scope == "all") return Permissions().set();
    bool known = false;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (kNames[i] != scope && area_of(kNames[i]) != scope) continue;
      granted.set(i);
      known = true;
    }
    if (known) continue;
    const std::vector<std::string> names(kNames.begin(), kNames.end());
    const std::string nearest = did_you_mean(scope, names);
    return invalid("scope", fmt::format("'{}' is no scope{}", printable(scope),
                                        nearest.empty()
                                            ? "; use all, or for example lake:read,endpoint:predict"
                                            : fmt::format(". Did you mean '{}'?", nearest)));
  }
  return granted;
}

std::string scopes_text(const Permissions& scopes) {
  if (scopes.all()) return "all";
  std::string out;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (!scopes.test(i)) continue;
    if (!out.empty()) out += ',';
    out += kNames[i];
  }
  return out;
}

}  // namespace strata::kernel
