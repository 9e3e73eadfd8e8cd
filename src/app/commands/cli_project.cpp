#include "app/commands/cli_project.hpp"

#include <CLI/CLI.hpp>

namespace strata::app {

namespace {

const std::vector<std::pair<std::string, std::string>> kProjectColumns = {
    {"name", "NAME"}, {"role", "YOUR ROLE"}, {"members", "MEMBERS"}, {"created", "CREATED"}};
const std::vector<std::pair<std::string, std::string>> kMemberColumns = {
    {"kind", "KIND"}, {"name", "NAME"}, {"role", "ROLE"}};
const std::vector<std::pair<std::string, std::string>> kTeamColumns = {
    {"name", "NAME"}, {"members", "MEMBERS"}, {"created", "CREATED"}};

// Names instead of a list of objects, for a table's cell.
Json with_member_names(const Json& item) {
  std::string names;
  for (const auto& member : item["members"].as_array()) {
    const bool team = member.is_object() && member.text("kind") == "team";
    names += (names.empty() ? "" : ", ") + std::string(team ? "team " : "") +
             (member.is_string() ? member.as_string() : member.text("name"));
  }
  Json row = item;
  row.set("members", names.empty() ? Json() : Json(names));
  return row;
}

Status list(CliContext& context, ApiClient& client, const std::string& items,
            const std::vector<std::pair<std::string, std::string>>& columns) {
  const auto answer = client.get("/api/v1/" + items);
  if (!answer) return answer.error();
  context.print(*answer, items, columns, with_member_names);
  return {};
}

// A project's members after a change.
Status show_members(CliContext& context, const Result<Json>& changed) {
  if (!changed) return changed.error();
  context.print(*changed, "members", kMemberColumns);
  return {};
}

// A team after a change, also one that nobody is left in.
Status show_team(CliContext& context, const Result<Json>& changed) {
  if (!changed) return changed.error();
  if (context.structured()) {
    context.dump(*changed);
  } else {
    context.print(Json::object({{"teams", Json(Json::Array{*changed})}}), "teams", kTeamColumns,
                  with_member_names);
  }
  return {};
}

struct Options {
  std::string name, user, team, role = "member";
};

std::string member_path(const Options& options) {
  return "/api/v1/projects/" + encode_segment(options.name) + "/members";
}

void add_membership(CLI::App& project, CliContext& context) {
  static Options options;
  const auto name_member = [](CLI::App& command) {
    command.add_option("project", options.name, "Name of the project")->required();
    auto* who = command.add_option_group("who", "a user or a team");
    who->add_option("--user", options.user, "Name of the user");
    who->add_option("--team", options.team, "Name of the team: everyone in it");
    who->require_option(1);
  };
  auto* grant = project.add_subcommand("grant", "Give a user or a team a role in a project");
  name_member(*grant);
  grant->add_option("--role", options.role, "viewer, member, or admin: decides over its members");
  grant->callback([&context] {
    context.with_client([&](ApiClient& client) {
      const bool team = options.user.empty();
      return show_members(context,
                          client.post(member_path(options),
                                      Json::object({{"kind", team ? "team" : "user"},
                                                    {"name", team ? options.team : options.user},
                                                    {"role", options.role}})));
    });
  });
  auto* revoke = project.add_subcommand("revoke", "Take a role away again");
  name_member(*revoke);
  revoke->callback([&context] {
    context.with_client([&](ApiClient& client) {
      const bool team = options.user.empty();
      return show_members(context,
                          client.remove(member_path(options) + (team ? "/team/" : "/user/") +
                                        encode_segment(team ? options.team : options.user)));
    });
  });
}

void add_teams(CLI::App& app, CliContext& context) {
  auto* team = app.add_subcommand("team", "Teams: who shares a role in a project");
  team->require_subcommand(1);
  team->add_subcommand("list", "Your teams; all of them for an admin")->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return list(context, client, "teams", kTeamColumns); });
  });
  static std::string name, user;
  auto* create = team->add_subcommand("create", "Create a team");
  create->add_option("name", name, "Name of the team")->required();
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto made = client.post("/api/v1/teams", Json::object({{"name", name}}));
      if (!made) return made.error();
      context.print(Json::object({{"teams", Json(Json::Array{*made})}}), "teams", kTeamColumns,
                    with_member_names);
      return {};
    });
  });
  for (const std::string verb : {"add", "remove"}) {
    auto* command = team->add_subcommand(
        verb, verb == "add" ? "Add a user to a team" : "Remove a user from a team");
    command->add_option("team", name, "Name of the team")->required();
    command->add_option("user", user, "Name of the user")->required();
    command->callback([&context, verb] {
      context.with_client([&](ApiClient& client) {
        const std::string path = "/api/v1/teams/" + encode_segment(name) + "/members";
        return show_team(context, verb == "add" ? client.post(path, Json::object({{"user", user}}))
                                                : client.remove(path + "/" + encode_segment(user)));
      });
    });
  }
}

}  // namespace

void add_project_commands(CLI::App& app, CliContext& context) {
  auto* project = app.add_subcommand("project", "Projects: tenants that do not see each other");
  project->require_subcommand(1);
  project->add_subcommand("list", "Projects in which you have a role")->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return list(context, client, "projects", kProjectColumns); });
  });
  static std::string name;
  auto* create = project->add_subcommand("create", "Create a project");
  create->add_option("name", name, "Name of the project")->required();
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      auto made = client.post("/api/v1/projects", Json::object({{"name", name}}));
      if (!made) return made.error();
      made->set("role", "admin");
      context.print(Json::object({{"projects", Json(Json::Array{*made})}}), "projects",
                    kProjectColumns, with_member_names);
      return {};
    });
  });
  add_membership(*project, context);
  add_teams(app, context);
}

}  // namespace strata::app
