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
#include "app/commands/models/cli_model_rules.hpp"
#include "app/commands/models/cli_package.hpp"
#include "app/commands/models/cli_scoring.hpp"
#include "app/commands/models/cli_signing.hpp"
#include "app/commands/models/cli_transfer.hpp"
#include "app/commands/platform/cli_alert.hpp"
#include "app/commands/platform/cli_audit.hpp"
#include "app/commands/platform/cli_experiment.hpp"
#include "app/commands/platform/cli_feature.hpp"
#include "app/commands/platform/cli_flag.hpp"
#include "app/commands/platform/cli_label.hpp"
#include "app/commands/platform/cli_monitor.hpp"
#include "app/commands/platform/cli_release.hpp"
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

const CLI::App& named_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty())
    at = at->get_subcommands().front();
  return *at;
}

const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    if (const auto* option = at->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

std::string nearest_option(const CLI::App& command, const std::string& name) {
  if (command.get_name() == "serve" && (name == "--port" || name == "--host")) return "--http";
  std::vector<std::string> known;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    for (const auto* option : at->get_options()) {
      for (const auto& known_name : option->get_lnames())
        known.push_back("--" + known_name);
    }
  }
  return did_you_mean(name, known);
}

// The first long option that the command does not have, and the one that may be meant. It is told
// before what is missing for want of it.
std::optional<std::string> unknown_option(const CLI::App& command, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") break;
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(0, word.find('='));
    if (find_option(command, name) != nullptr) continue;
    const std::string nearest = nearest_option(command, name);
    return fmt::format("{} is not an option here{}", name,
                       nearest.empty() ? "" : fmt::format(": did you mean {}?", nearest));
  }
  return std::nullopt;
}

// One line, as for all errors, that names the help which fits.
int refuse_usage(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const CLI::App& command = named_command(app);
  std::string help = command.get_name();
  for (const CLI::App* at = command.get_parent(); at != nullptr; at = at->get_parent())
    help = at->get_name() + " " + help;
  std::string what = error.what();
  if (const auto extra = app.remaining(true);
      !extra.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    what = "not expected: " + join(extra, " ");
  if (auto unknown = unknown_option(command, argc, argv)) what = *std::move(unknown);
  std::fprintf(stderr, "strata: %s; %s --help tells what it takes\n", one_line(what).c_str(),
               help.c_str());
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
       {&add_alert_commands,       &add_admin_commands,      &add_audit_commands,
        &add_project_commands,     &add_completion_commands, &add_config_commands,
        &add_endpoint_commands,    &add_experiment_commands, &add_feature_commands,
        &add_flag_commands,        &add_flow_commands,       &add_lineage_commands,
        &add_maintenance_commands, &add_label_commands,      &add_model_commands,
        &add_model_rule_commands,  &add_monitor_commands,    &add_node_commands,
        &add_package_commands,     &add_release_commands,    &add_scoring_commands,
        &add_signing_commands,     &add_sql_commands,        &add_transfer_commands,
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
    if (error.get_exit_code() != 0) return refuse_usage(app, error, argc, argv);
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
