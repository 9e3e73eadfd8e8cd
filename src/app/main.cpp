#include <csignal>
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cli.hpp"
#include "app/commands/cli_admin.hpp"
#include "app/commands/cli_endpoint.hpp"
#include "app/commands/cli_flow.hpp"
#include "app/commands/cli_lineage.hpp"
#include "app/commands/cli_model.hpp"
#include "app/commands/cli_node.hpp"
#include "app/commands/cli_sql.hpp"
#include "app/data_dir.hpp"
#include "app/local/cli_completion.hpp"
#include "app/local/cli_config.hpp"
#include "app/serve.hpp"
#include "app/settings.hpp"
#include "app/stop.hpp"
#include "app/workers/worker_agent.hpp"
#include "app/workers/worker_warehouse.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

// Prints what a shell needs so that stock clients reach this server.
Status print_environment(const std::string& data_dir) {
  SystemFiles files;
  const auto endpoints = read_endpoints(files, data_dir);
  if (!endpoints) return endpoints.error();
  const auto admin = read_admin(files, data_dir);
  if (!admin) return admin.error();
  for (const auto& [name, value] : client_environment(*endpoints, *admin)) {
    std::printf("export %s=%s\n", name.c_str(), value.c_str());
  }
  return {};
}

void add_server_commands(CLI::App& app, CliContext& context) {
  static SettingSources sources;
  auto* serve_command = app.add_subcommand("serve", "Run the server in the foreground");
  add_setting_flags(*serve_command, sources.file, sources.flags);
  serve_command->callback([&] {
    sources.data = context.data_dir;
    SystemFiles files;
    const auto settings = load_settings(files, sources);
    if (!settings) return context.fail(settings.error());
    if (const auto done = serve(*settings); !done) context.fail(done.error());
  });
  app.add_subcommand("env", "Print the variables that stock clients read, for the local admin")
      ->callback([&] {
        const std::string dir =
            absolute(context.data_dir.empty() ? default_data_dir() : context.data_dir);
        if (const auto done = print_environment(dir); !done) context.fail(done.error());
      });
  static bool now = false;
  auto* stop = app.add_subcommand("stop", "Stop the server and its node agent");
  stop->add_flag("--now", now, "End running tasks instead of letting them finish");
  stop->callback([&] {
    const std::string dir =
        absolute(context.data_dir.empty() ? default_data_dir() : context.data_dir);
    if (const auto done = stop_server(dir, now); !done) context.fail(done.error());
  });
}

int refuse_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands({}))
    known.push_back(command->get_name());
  const std::string nearest = did_you_mean(word, known);
  std::fprintf(stderr, "strata: '%s' is not a command. %s\n", word.c_str(),
               nearest.empty() ? "Run strata --help for all of them."
                               : fmt::format("Did you mean '{}'?", nearest).c_str());
  return kExitUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Strata: a complete machine-learning infrastructure in one server", "strata");
  app.set_version_flag("--version", STRATA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  CliContext context;
  app.add_option("--data", context.data_dir, "Data directory (STRATA_DATA, default ~/.strata)");
  app.add_option("-o,--output", context.output, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  add_server_commands(app, context);
  for (const AddCommands add :
       {&add_admin_commands, &add_completion_commands, &add_config_commands,
        &add_endpoint_commands, &add_flow_commands, &add_lineage_commands, &add_model_commands,
        &add_node_commands, &add_sql_commands, &add_warehouse_worker}) {
    add(app, context);
  }
  if (argc > 1 && std::string_view(argv[1]) == "complete-words") {
    for (const auto& word : complete_words(app, {argv + 2, argv + argc}))
      std::printf("%s\n", word.c_str());
    return kExitOk;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      return refuse_command(app, argv[1]);
    }
    const int shown = app.exit(error);
    return shown == 0 ? kExitOk : kExitUsage;
  }
  return context.exit_code;
}

}  // namespace

}  // namespace strata::app

int main(int argc, char** argv) {
  if (const auto done = strata::app::run_worker(argc, argv)) return *done;
  return strata::app::run(argc, argv);
}
