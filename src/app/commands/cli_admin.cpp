#include "app/commands/cli_admin.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"

namespace strata::app {

namespace {

const std::vector<std::pair<std::string, std::string>> kUserColumns = {{"name", "NAME"},
                                                                       {"team", "TEAM"},
                                                                       {"role", "ROLE"},
                                                                       {"disabled", "DISABLED"},
                                                                       {"created", "CREATED"}};
const std::vector<std::pair<std::string, std::string>> kTokenColumns = {
    {"id", "ID"},           {"user", "USER"},      {"access_key_id", "ACCESS KEY ID"},
    {"project", "PROJECT"}, {"scope", "SCOPE"},    {"created", "CREATED"},
    {"expires", "EXPIRES"}, {"revoked", "REVOKED"}};
void show(CliContext& context, const Json& answer, std::string_view items,
          const std::vector<std::pair<std::string, std::string>>& columns) {
  if (context.structured()) {
    context.dump(answer);
    return;
  }
  context.print(Json::object({{std::string(items), Json(Json::Array{answer})}}), items, columns);
}

void add_user_commands(CLI::App& app, CliContext& context) {
  auto* user = app.add_subcommand("user", "People who may use this server");
  user->require_subcommand(1);
  auto* list = user->add_subcommand("list", "All users");
  list->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto users = client.get("/api/v1/users");
      if (!users) return users.error();
      context.print(*users, "users", kUserColumns);
      return {};
    });
  });
  static std::string name, team = "default", role = "member";
  auto* create = user->add_subcommand("create", "Create a user");
  create->add_option("name", name, "Name of the user")->required();
  create->add_option("--team", team,
                     "Team that owns what the user makes; made with its first member");
  create->add_option("--role", role, "viewer, member or admin");
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto made = client.post("/api/v1/users",
                                    Json::object({{"name", name}, {"team", team}, {"role", role}}));
      if (!made) return made.error();
      show(context, *made, "users", kUserColumns);
      return {};
    });
  });
  for (const std::string verb : {"disable", "enable"}) {
    auto* command =
        user->add_subcommand(verb, verb == "disable" ? "Refuse all of a user's tokens at once"
                                                     : "Accept a disabled user again");
    command->add_option("name", name, "Name of the user")->required();
    command->callback([&context, verb] {
      context.with_client([&](ApiClient& client) -> Status {
        const auto done =
            client.post("/api/v1/users/" + encode_segment(name) + "/" + verb, Json::object());
        if (!done) return done.error();
        show(context, *done, "users", kUserColumns);
        return {};
      });
    });
  }
}

void add_token_commands(CLI::App& app, CliContext& context) {
  auto* token = app.add_subcommand("token", "Tokens and S3 keys");
  token->require_subcommand(1);
  token->add_subcommand("list", "Tokens, without their secrets")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto tokens = client.get("/api/v1/tokens");
      if (!tokens) return tokens.error();
      context.print(*tokens, "tokens", kTokenColumns, [](const Json& token) {
        Json row = token;
        if (row["expires"].is_null()) row.set("expires", "never");
        return row;
      });
      return {};
    });
  });
  static std::string user, scope = "all", expires, id;
  auto* create = token->add_subcommand("create", "Create a token; its secrets are shown this once");
  create->add_option("--user", user, "Whose token; the caller's own when left out");
  create->add_option("--scope", scope, "all, or for example lake:read,endpoint:predict");
  create->add_option("--expires", expires,
                     "Lifetime such as 12h or 90d; without it the token does not expire");
  create->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      Json body = Json::object({{"scope", scope}});
      if (!user.empty()) body.set("user", user);
      if (!expires.empty()) body.set("expires", expires);
      const auto made = client.post("/api/v1/tokens", body);
      if (!made) return made.error();
      if (context.structured()) {
        context.dump(*made);
      } else {
        for (const auto* name : {"token", "access_key_id", "secret_access_key", "id", "user",
                                 "project", "scope", "expires"}) {
          print_line(fmt::format("{:<19}{}", name, made->text(name, "never")));
        }
      }
      return {};
    });
  });
  auto* revoke = token->add_subcommand("revoke", "Refuse a token from now on");
  revoke->add_option("id", id, "Id or access key id of the token")->required();
  revoke->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto done = client.remove("/api/v1/tokens/" + encode_segment(id));
      if (!done) return done.error();
      std::printf("revoked %s\n", id.c_str());
      return {};
    });
  });
}

}  // namespace

void add_admin_commands(CLI::App& app, CliContext& context) {
  add_user_commands(app, context);
  add_token_commands(app, context);
}

}  // namespace strata::app
