#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/cli_admin.hpp"
#include "app/commands/cli_endpoint.hpp"
#include "app/commands/cli_env.hpp"
#include "app/commands/cli_flow.hpp"
#include "app/commands/cli_lineage.hpp"
#include "app/commands/cli_model.hpp"
#include "app/commands/cli_node.hpp"
#include "app/commands/cli_project.hpp"
#include "app/commands/cli_sql.hpp"
#include "app/data_dir.hpp"
#include "app/help.hpp"
#include "app/local/cli_completion.hpp"
#include "app/local/cli_config.hpp"
#include "app/local/cli_maintenance.hpp"
#include "app/serve.hpp"
#include "app/settings.hpp"
#include "app/stop.hpp"
#include "app/workers/worker_agent.hpp"
#include "app/workers/worker_warehouse.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

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
  add_env_command(app, context);
  static bool now = false;
  auto* stop = app.add_subcommand("stop", "Stop the server and its node agent");
  stop->add_flag("--now", now, "End running tasks instead of letting them finish");
  stop->callback([&] {
    const std::string dir = absolute_data_dir(context.data_dir);
    if (const auto done = stop_server(dir, now); !done) context.fail(done.error());
  });
}

struct UnknownCommand {
  const CLI::App* noun;  // the command below which it was looked for, or the program itself
  std::string word;
};

// The first word that stands where a command must, and is none.
std::optional<UnknownCommand> unknown_command(const CLI::App& app, int argc, char** argv) {
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with('-')) {
      const auto* option = app.get_option_no_throw(word);
      if (option != nullptr && option->get_items_expected_min() > 0) ++i;  // its value
      continue;
    }
    const auto commands = at->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) return std::nullopt;
    const auto named = std::ranges::find(commands, word, &CLI::App::get_name);
    if (named == commands.end()) return UnknownCommand{at, word};
    at = *named;
  }
  return std::nullopt;
}

int refuse_command(const UnknownCommand& unknown) {
  std::vector<std::string> known;
  for (const auto* command : unknown.noun->get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) known.push_back(command->get_name());
  }
  const bool top = unknown.noun->get_parent() == nullptr;
  const std::string nearest = did_you_mean(unknown.word, known);
  std::fprintf(stderr, "strata: '%s' is not a command%s. %s\n", one_line(unknown.word).c_str(),
               top ? "" : (" of " + unknown.noun->get_name()).c_str(),
               !nearest.empty() ? fmt::format("Did you mean '{}'?", nearest).c_str()
               : top            ? "Run strata --help for all of them."
                                : fmt::format("It has {}.", join(known, ", ")).c_str());
  return kExitUsage;
}

// One line, as for all errors, that names the help which fits.
int refuse_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string help = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    help += " " + at->get_name();
  }
  std::fprintf(stderr, "strata: %s; %s --help tells what it takes\n",
               one_line(error.what()).c_str(), help.c_str());
  return kExitUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Strata: a complete machine-learning infrastructure in one server", "strata");
  app.set_version_flag("--version", STRATA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.formatter(make_help_format());  // before the commands, which inherit it
  CliContext context;
  app.add_option("--data", context.data_dir, "Data directory (STRATA_DATA, default ~/.strata)")
      ->group(kCommonOptions);
  app.add_option("-o,--output", context.output, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}))
      ->group(kCommonOptions);
  if (const char* const project = std::getenv("STRATA_PROJECT")) context.project = project;
  app.add_option("--project", context.project,
                 "Project of the call (STRATA_PROJECT; default: the token's)")
      ->group(kCommonOptions);
  add_server_commands(app, context);
  for (const AddCommands add :
       {&add_admin_commands, &add_project_commands, &add_completion_commands, &add_config_commands,
        &add_endpoint_commands, &add_flow_commands, &add_lineage_commands,
        &add_maintenance_commands, &add_model_commands, &add_node_commands, &add_sql_commands,
        &add_warehouse_worker}) {
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
    if (error.get_exit_code() != 0) {
      if (const auto unknown = unknown_command(app, argc, argv)) return refuse_command(*unknown);
    }
    if (error.get_exit_code() != 0) return refuse_usage(app, error);
    app.exit(error);  // prints the help or the version
    return kExitOk;
  }
  return context.exit_code;
}

}  // namespace

}  // namespace strata::app

int main(int argc, char** argv) {
  if (const auto done = strata::app::run_worker(argc, argv)) return *done;
  return strata::app::run(argc, argv);
}
