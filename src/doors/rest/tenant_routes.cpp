#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Identity;
using kernel::Member;
using kernel::Permission;

namespace {

Json member_json(const Member& member) {
  return Json::object({{"kind", member.kind == Member::Kind::kTeam ? "team" : "user"},
                       {"name", member.name},
                       {"role", kernel::role_name(member.role)}});
}

Json project_json(const kernel::Project& project) {
  Json members = Json::array();
  for (const auto& member : project.members)
    members.push(member_json(member));
  return Json::object({{"name", project.name},
                       {"created", to_rfc3339(project.created)},
                       {"members", std::move(members)}});
}

Json team_json(const kernel::Team& team) {
  Json members = Json::array();
  for (const auto& name : team.members)
    members.push(name);
  return Json::object({{"name", team.name},
                       {"created", to_rfc3339(team.created)},
                       {"members", std::move(members)}});
}

template <class T>
Response reply_with(const Result<T>& made, Json (*to_json)(const T&), const Authorized& call,
                    int status = 200) {
  if (!made) return error_response(made.error(), call.request());
  return Response::json(to_json(*made), status);
}

Result<Member::Kind> kind_of(std::string_view text) {
  if (text == "user") return Member::Kind::kUser;
  if (text == "team") return Member::Kind::kTeam;
  return invalid("kind", "a member is a user or a team");
}

Task<Response> list_projects(const Authorized& call, Identity& identity) {
  Json projects = Json::array();
  for (const auto& [project, role] : identity.projects_of(call.caller())) {
    Json entry = project_json(project);
    entry.set("role", kernel::role_name(role));
    entry.set("current", project.name == call.caller().project.str());
    projects.push(std::move(entry));
  }
  co_return Response::json(Json::object({{"projects", std::move(projects)}}));
}

Task<Response> create_project(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto made = co_await identity.create_project(call.caller(), body->text("name"));
  co_return reply_with(made, project_json, call, 201);
}

Task<Response> set_member(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto kind = kind_of(body->text("kind", "user"));
  if (!kind) co_return error_response(kind.error(), call.request());
  const auto role = kernel::parse_role(body->text("role", "member"));
  if (!role) co_return error_response(role.error(), call.request());
  const Member member{*kind, body->text("name"), *role};
  const auto changed = co_await identity.set_member(call.caller(), call.param("name"), member);
  co_return reply_with(changed, project_json, call);
}

Task<Response> remove_member(const Authorized& call, Identity& identity) {
  const auto kind = kind_of(call.param("kind"));
  if (!kind) co_return error_response(kind.error(), call.request());
  const auto changed = co_await identity.remove_member(call.caller(), call.param("name"), *kind,
                                                       call.param("member"));
  co_return reply_with(changed, project_json, call);
}

Task<Response> list_teams(const Authorized& call, Identity& identity) {
  Json teams = Json::array();
  for (const auto& team : identity.teams_of(call.caller()))
    teams.push(team_json(team));
  co_return Response::json(Json::object({{"teams", std::move(teams)}}));
}

Task<Response> create_team(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto made = co_await identity.create_team(call.caller(), body->text("name"));
  co_return reply_with(made, team_json, call, 201);
}

Task<Response> add_to_team(const Authorized& call, Identity& identity) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto changed =
      co_await identity.set_in_team(call.caller(), call.param("name"), body->text("user"), true);
  co_return reply_with(changed, team_json, call);
}

Task<Response> remove_from_team(const Authorized& call, Identity& identity) {
  const auto changed =
      co_await identity.set_in_team(call.caller(), call.param("name"), call.param("user"), false);
  co_return reply_with(changed, team_json, call);
}

constexpr std::string_view kNameSchema =
    R"({"type":"object","required":["name"],"additionalProperties":false,
  "properties":{"name":{"type":"string","minLength":1,"maxLength":64}}})";
constexpr std::string_view kMemberSchema =
    R"({"type":"object","required":["name"],"additionalProperties":false,
  "properties":{"name":{"type":"string","minLength":1,"maxLength":64},
  "kind":{"type":"string","enum":["user","team"]},
  "role":{"type":"string","enum":["viewer","member","admin"]}}})";
constexpr std::string_view kTeamMemberSchema =
    R"({"type":"object","required":["user"],"additionalProperties":false,
  "properties":{"user":{"type":"string","minLength":1,"maxLength":64}}})";

}  // namespace

std::vector<Route> tenant_routes(Identity& identity) {
  const auto bind = [&identity](Task<Response> (*handler)(const Authorized&, Identity&)) {
    return [&identity, handler](const Authorized& call) {
      return handler(call, identity);
    };
  };
  std::vector<Route> routes;
  const auto add = [&](Method method, std::string pattern, Permission permission,
                       Task<Response> (*handler)(const Authorized&, Identity&), http::Doc doc) {
    routes.emplace_back(method, std::move(pattern), permission, http::Limits{}, bind(handler), doc);
  };
  add(Method::kGet, "/api/v1/projects", Permission::kSignedIn, list_projects,
      {"listProjects", "Projects in which the caller has a role, and their members", "identity"});
  add(Method::kPost, "/api/v1/projects", Permission::kAdmin, create_project,
      {"createProject", "Create a project", "identity", kNameSchema});
  // Whether the caller administers that very project is the service's to know.
  add(Method::kPost, "/api/v1/projects/{name}/members", Permission::kProjectAdmin, set_member,
      {"setProjectMember", "Give a user or a team a role in a project", "identity", kMemberSchema});
  add(Method::kDelete, "/api/v1/projects/{name}/members/{kind}/{member}", Permission::kProjectAdmin,
      remove_member,
      {"removeProjectMember", "Take the role that a user or a team was given", "identity"});
  add(Method::kGet, "/api/v1/teams", Permission::kSignedIn, list_teams,
      {"listTeams", "The caller's teams, an admin's view shows all", "identity"});
  add(Method::kPost, "/api/v1/teams", Permission::kAdmin, create_team,
      {"createTeam", "Create a team", "identity", kNameSchema});
  add(Method::kPost, "/api/v1/teams/{name}/members", Permission::kAdmin, add_to_team,
      {"addToTeam", "Add a user to a team", "identity", kTeamMemberSchema});
  add(Method::kDelete, "/api/v1/teams/{name}/members/{user}", Permission::kAdmin, remove_from_team,
      {"removeFromTeam", "Remove a user from a team", "identity"});
  return routes;
}

}  // namespace strata::doors::rest
