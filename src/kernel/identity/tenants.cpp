#include <algorithm>

#include "base/bytes.hpp"
#include "kernel/identity/identity_state.hpp"

namespace strata::kernel {

namespace {

constexpr std::size_t kMaxProjects = 1000;  // an upper bound of what is kept in memory

Error no_project(std::string_view name) {
  return not_found(fmt::format("there is no project '{}'", printable(name)));
}

Error no_team(std::string_view name) {
  return not_found(fmt::format("there is no team '{}'", printable(name)));
}

std::string_view kind_name(Member::Kind kind) {
  return kind == Member::Kind::kTeam ? "team" : "user";
}

}  // namespace

std::optional<Role> Identity::State::role_in(const User& user, std::string_view project) const {
  const auto at = projects.find(project);
  if (at == projects.end()) return std::nullopt;
  if (user.role == Role::kAdmin) return Role::kAdmin;
  std::optional<Role> strongest;
  if (project == kDefaultProject) strongest = user.role;
  for (const auto& member : at->second.members) {
    bool means = member.kind == Member::Kind::kUser && member.name == user.name;
    if (member.kind == Member::Kind::kTeam) {
      const auto team = teams.find(member.name);
      means = team != teams.end() && team->second.members.contains(user.name);
    }
    if (means && (!strongest || *strongest < member.role)) strongest = member.role;
  }
  return strongest;
}

Permissions Identity::State::permissions_in(const User& user, std::string_view project) const {
  const auto role = role_in(user, project);
  if (!role) return {};
  if (user.role == Role::kAdmin || *role != Role::kAdmin) return permissions_of(*role);
  Permissions allowed = permissions_of(Role::kMember);
  allowed.set(static_cast<std::size_t>(Permission::kProjectAdmin));
  return allowed;
}

// Into a state that has its users already.
Status Identity::load_tenants(Reader& reader, State& state) {
  const auto teams = reader.query("SELECT name, created FROM teams");
  if (!teams) return teams.error();
  for (const auto& row : *teams)
    state.teams[row.text(0)] = Team{row.text(0), Instant{row.integer(1)}, {}};
  const auto in_teams = reader.query("SELECT team, user_id FROM team_members");
  if (!in_teams) return in_teams.error();
  for (const auto& row : *in_teams)
    state.teams[row.text(0)].members.insert(state.users[UserId(row.text(1))].name);
  const auto projects = reader.query("SELECT id, created FROM projects");
  if (!projects) return projects.error();
  for (const auto& row : *projects)
    state.projects[row.text(0)] = Project{row.text(0), Instant{row.integer(1)}, {}};
  const auto members = reader.query(
      "SELECT project, kind, name, role FROM project_members ORDER BY project, kind, name");
  if (!members) return members.error();
  for (const auto& row : *members) {
    const auto role = parse_role(row.text(3));
    if (!role) return role.error();
    const auto kind = row.text(1) == "team" ? Member::Kind::kTeam : Member::Kind::kUser;
    state.projects[row.text(0)].members.push_back({kind, row.text(2), *role});
  }
  return {};
}

Status Identity::may_administer(const Caller& by, std::string_view project) const {
  if (by.may(Permission::kAdmin)) return {};
  if (by.project.str() == project && by.may(Permission::kProjectAdmin)) return {};
  return Error(
      Code::kPermissionDenied,
      fmt::format("only an admin of the project '{}' may change its members", printable(project)));
}

// One change of the records with its audit entry, visible to all when it returns; a statement that
// changes no row leaves no entry.
Task<Status> Identity::change(const Caller& by, std::string_view action, std::string target,
                              const std::function<Result<std::int64_t>(Writer&)>& statement) {
  const std::function<Status(Writer&)> write = [&](Writer& w) -> Status {
    const auto changed = statement(w);
    if (!changed) return changed.error();
    if (*changed == 0) return {};
    STRATA_TRY(audit_(w, by, action, target, Json::object()));
    return reload(w);
  };
  co_return co_await records_.write(write);
}

Task<Result<Project>> Identity::create_project(const Caller& by, std::string name) {
  STRATA_CO_TRY(check_name("name", name));
  if (!by.may(Permission::kAdmin))
    co_return Error(Code::kPermissionDenied, "only an admin may create projects");
  if (projects().size() >= kMaxProjects)
    co_return Error(Code::kQuotaExceeded,
                    fmt::format("there are {} projects already", kMaxProjects));
  const Instant now = clock_.now();
  const auto insert = [&](Writer& w) -> Result<std::int64_t> {
    auto done = w.execute("INSERT INTO projects (id, name, created) VALUES (?, ?, ?)",
                          {name, name, now.micros});
    if (!done && done.error().code == Code::kAlreadyExists) {
      return Error(Code::kAlreadyExists, fmt::format("there is a project '{}' already", name),
                   "name");
    }
    return done;
  };
  STRATA_CO_TRY(co_await change(by, "project.create", "project:" + name, insert));
  co_return Project{name, now, {}};
}

std::vector<Project> Identity::projects() const {
  const std::shared_lock lock(mutex_);
  std::vector<Project> all;
  for (const auto& [name, project] : state_->projects)
    all.push_back(project);
  return all;
}

std::vector<std::pair<Project, Role>> Identity::projects_of(const Caller& caller) const {
  const std::shared_lock lock(mutex_);
  std::vector<std::pair<Project, Role>> mine;
  const auto user = state_->users.find(caller.user);
  if (user == state_->users.end()) return mine;
  for (const auto& [name, project] : state_->projects) {
    if (const auto role = state_->role_in(user->second, name)) mine.emplace_back(project, *role);
  }
  return mine;
}

Task<Result<Project>> Identity::set_member(const Caller& by, std::string project, Member member) {
  STRATA_CO_TRY(may_administer(by, project));
  {
    const std::shared_lock lock(mutex_);
    if (!state_->projects.contains(project)) co_return no_project(project);
    const bool team = member.kind == Member::Kind::kTeam;
    if (team && !state_->teams.contains(member.name)) co_return no_team(member.name);
    if (!team && !state_->user_ids.contains(member.name))
      co_return not_found(fmt::format("there is no user '{}'", printable(member.name)));
  }
  const auto upsert = [&](Writer& w) {
    return w.execute(
        "INSERT INTO project_members (project, kind, name, role) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project, kind, name) DO UPDATE SET role = excluded.role "
        "WHERE project_members.role <> excluded.role",
        {project, kind_name(member.kind), member.name, role_name(member.role)});
  };
  STRATA_CO_TRY(co_await change(by, "project.grant",
                                fmt::format("project:{} {}:{} {}", project, kind_name(member.kind),
                                            member.name, role_name(member.role)),
                                upsert));
  co_return find_project(project);
}

Task<Result<Project>> Identity::remove_member(const Caller& by, std::string project,
                                              Member::Kind kind, std::string name) {
  STRATA_CO_TRY(may_administer(by, project));
  const auto known = find_project(project);
  if (!known) co_return known.error();
  const bool is_member =
      std::any_of(known->members.begin(), known->members.end(),
                  [&](const Member& m) { return m.kind == kind && m.name == name; });
  if (!is_member) {
    co_return not_found(fmt::format("the {} '{}' was given no role in the project '{}'",
                                    kind_name(kind), printable(name), project));
  }
  const auto remove = [&](Writer& w) {
    return w.execute("DELETE FROM project_members WHERE project = ? AND kind = ? AND name = ?",
                     {project, kind_name(kind), name});
  };
  STRATA_CO_TRY(co_await change(by, "project.revoke",
                                fmt::format("project:{} {}:{}", project, kind_name(kind), name),
                                remove));
  co_return find_project(project);
}

Result<Project> Identity::find_project(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = state_->projects.find(name);
  if (at == state_->projects.end()) return no_project(name);
  return at->second;
}

Task<Result<Team>> Identity::create_team(const Caller& by, std::string name) {
  STRATA_CO_TRY(check_name("name", name));
  if (!by.may(Permission::kAdmin))
    co_return Error(Code::kPermissionDenied, "only an admin may create teams");
  const auto insert = [&](Writer& w) -> Result<std::int64_t> {
    auto done =
        w.execute("INSERT INTO teams (name, created) VALUES (?, ?)", {name, clock_.now().micros});
    if (!done && done.error().code == Code::kAlreadyExists)
      return Error(Code::kAlreadyExists, fmt::format("there is a team '{}' already", name), "name");
    return done;
  };
  STRATA_CO_TRY(co_await change(by, "team.create", "team:" + name, insert));
  co_return find_team(name);
}

std::vector<Team> Identity::teams_of(const Caller& caller) const {
  const std::shared_lock lock(mutex_);
  std::vector<Team> seen;
  for (const auto& [name, team] : state_->teams) {
    if (caller.may(Permission::kAdmin) || team.members.contains(caller.user_name))
      seen.push_back(team);
  }
  return seen;
}

Result<Team> Identity::find_team(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = state_->teams.find(name);
  if (at == state_->teams.end()) return no_team(name);
  return at->second;
}

Task<Result<Team>> Identity::set_in_team(const Caller& by, std::string team, std::string user_name,
                                         bool in) {
  if (!by.may(Permission::kAdmin))
    co_return Error(Code::kPermissionDenied, "only an admin may change teams");
  const auto known = find_team(team);
  if (!known) co_return known.error();
  const auto who = user(user_name);
  if (!who) co_return who.error();
  if (!in && !known->members.contains(user_name)) {
    co_return not_found(
        fmt::format("'{}' is not in the team '{}'", printable(user_name), printable(team)));
  }
  const auto write = [&](Writer& w) {
    return in ? w.execute(
                    "INSERT INTO team_members (team, user_id) VALUES (?, ?) "
                    "ON CONFLICT DO NOTHING",
                    {team, who->id.str()})
              : w.execute("DELETE FROM team_members WHERE team = ? AND user_id = ?",
                          {team, who->id.str()});
  };
  STRATA_CO_TRY(co_await change(by, in ? "team.add" : "team.remove",
                                fmt::format("team:{} user:{}", team, user_name), write));
  co_return find_team(team);
}

std::vector<User> Identity::users_seen_by(const Caller& caller) const {
  const std::shared_lock lock(mutex_);
  std::vector<User> seen;
  for (const auto& [id, user] : state_->users) {
    const bool shares = state_->role_in(user, caller.project.str()).has_value();
    if (caller.may(Permission::kAdmin) || shares) seen.push_back(user);
  }
  return seen;
}

}  // namespace strata::kernel
