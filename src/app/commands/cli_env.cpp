#include "app/commands/cli_env.hpp"

#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/data_dir.hpp"
#include "base/text.hpp"
#include "runtime/clock.hpp"

namespace strata::app {

namespace {

// The local admin's credentials in another project than the default one are made when they are
// first asked for, and kept beside the first ones: S3 and MLflow clients know a project only by its
// keys.
Result<AdminCredentials> credentials_in(Files& files, const std::string& data_dir,
                                        const std::string& project) {
  const std::string path = data_dir + "/credentials/" + encode_segment(project) + ".json";
  auto client = ApiClient::connect(data_dir, project);
  if (!client) return client.error();
  const auto me = client->get("/api/v1/me");  // so that a project that is not there is refused
  if (!me) return me.error();
  if (auto known = read_credentials(files, path)) {
    const auto tokens = client->get("/api/v1/tokens");
    if (!tokens) return tokens.error();
    for (const auto& token : (*tokens)["tokens"].as_array()) {
      if (token.text("access_key_id") == known->access_key_id && token["revoked"].is_null())
        return known;
    }
  }
  const auto made = client->post("/api/v1/tokens", Json::object());
  if (!made) return made.error();
  const AdminCredentials fresh{made->text("token"), made->text("access_key_id"),
                               made->text("secret_access_key")};
  STRATA_TRY(files.make_dirs(data_dir + "/credentials"));
  STRATA_TRY(write_credentials(files, path, fresh));
  return fresh;
}

// `strata serve ... &` with `eval "$(strata env ...)"` right behind it is how one starts: without
// the variables, stock clients would go to where they always went. So this waits for a server that
// is starting, which it knows by its lock, and only a moment for one to take that.
Result<Endpoints> wait_for_endpoints(const std::string& data_dir) {
  constexpr std::chrono::milliseconds kToAppear(700);
  constexpr std::chrono::seconds kToStart(10);
  constexpr std::chrono::milliseconds kBetween(20);
  const SystemClock clock;
  const auto begin = clock.steady();
  while (true) {
    auto endpoints = read_endpoints(data_dir);
    if (endpoints || endpoints.error().code != Code::kNotFound) return endpoints;
    const bool starting = server_holds(data_dir);
    const auto waited = clock.steady() - begin;
    if (!starting && waited >= kToAppear) return endpoints;
    if (starting && waited >= kToStart) {
      return Error(Code::kUnavailable,
                   fmt::format("the server on {} is starting or stopping, and not ready after 10 "
                               "s; {}/logs/server.log says what it does",
                               data_dir, data_dir));
    }
    sleep_blocking(kBetween);
  }
}

// Prints what a shell needs so that stock clients reach this server, in the project that is named
// or else the default one: what the shell was set up for before is no wish.
Status print_environment(const std::string& data_dir, const std::string& project) {
  SystemFiles files;
  const auto endpoints = wait_for_endpoints(data_dir);
  if (!endpoints) return endpoints.error();
  const auto credentials =
      project.empty() ? read_admin(files, data_dir) : credentials_in(files, data_dir, project);
  if (!credentials) return credentials.error();
  for (const auto& [name, value] : client_environment(*endpoints, *credentials)) {
    std::printf("export %s=%s\n", name.c_str(), value.c_str());
  }
  if (!project.empty()) {
    std::printf("export STRATA_PROJECT=%s\n", project.c_str());
  } else if (std::getenv("STRATA_PROJECT") != nullptr) {
    std::printf("unset STRATA_PROJECT\n");
  }
  return {};
}

// What the caller may do: the scope of its token, less what its role does not give.
std::string scope_of(const Json& me) {
  if (me.text("scope") == "all") return "all";
  std::vector<std::string> names;
  for (const auto& permission : me["permissions"].as_array()) {
    const auto& name = permission.as_string();
    if (name.contains(':') || name == "admin") names.push_back(name);
  }
  return join(names, ",");
}

// A token of its own for the browser, which signs in with what stands behind the #; browsers send
// that part to no server, and so no log holds it. It may do what the caller's own may.
Status print_login_link(CliContext& context, ApiClient& client, const std::string& expires) {
  const auto me = client.get("/api/v1/me");
  if (!me) return me.error();
  const auto made = client.post("/api/v1/tokens", Json::object({{"expires", expires},
                                                                {"scope", scope_of(*me)},
                                                                {"project", (*me)["project"]}}));
  if (!made) return made.error();
  const std::string link = client.url() + "/#token=" + encode_segment(made->text("token"));
  if (context.structured()) {
    context.dump(
        Json::object({{"url", link}, {"id", (*made)["id"]}, {"expires", (*made)["expires"]}}));
  } else {
    print_line(link);
  }
  return {};
}

}  // namespace

void add_env_command(CLI::App& app, CliContext& context) {
  app.add_subcommand("env", "Print the variables that stock clients read, for the local admin")
      ->callback([&context, named = app.get_option("--project")] {
        const std::string dir = absolute_data_dir(context.data_dir);
        if (const auto done = print_environment(dir, named->count() > 0 ? context.project : "");
            !done)
          context.fail(done.error());
      });
  static std::string expires = "12h";
  auto* link = app.add_subcommand("login-link", "Print a link that signs a browser in as you");
  link->add_option("--expires", expires, "How long the browser stays signed in (default: 12h)");
  link->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return print_login_link(context, client, expires); });
  });
}

}  // namespace strata::app
