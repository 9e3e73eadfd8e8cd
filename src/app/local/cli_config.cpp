#include "app/local/cli_config.hpp"

#include <CLI/CLI.hpp>

#include "app/settings.hpp"

namespace strata::app {

namespace {

Status show_settings(CliContext& context, const SettingSources& sources) {
  SystemFiles files;
  const auto loaded = load_settings(files, sources);
  if (!loaded) return loaded.error();
  Json settings = Json::array();
  for (const auto& setting : server_settings()) {
    const auto& value = loaded->values.value(setting.key);
    settings.push(Json::object({{"key", setting.key},
                                {"value", value.text},
                                {"origin", config::origin_name(value.origin)},
                                {"where", value.where}}));
  }
  const Json answer = Json::object({{"data", loaded->data},
                                    {"file", loaded->file.empty() ? Json() : Json(loaded->file)},
                                    {"settings", settings}});
  context.print(answer, "settings",
                {{"key", "KEY"}, {"value", "VALUE"}, {"origin", "ORIGIN"}, {"where", "WHERE"}});
  return {};
}

}  // namespace

void add_setting_flags(CLI::App& command, std::string& file,
                       std::map<std::string, std::string>& flags) {
  command.add_option("--config", file,
                     "TOML file (STRATA_CONFIG, default strata.toml in the data directory)");
  for (const auto& setting : server_settings()) {
    const std::string key(setting.key);
    command
        .add_option_function<std::string>(
            flag_of(setting), [&flags, key](const std::string& text) { flags[key] = text; },
            std::string(setting.help))
        ->type_name("")
        ->take_last();
  }
}

void add_config_commands(CLI::App& app, CliContext& context) {
  auto* command = app.add_subcommand("config", "What a server of this data directory would use");
  command->require_subcommand(1);
  static SettingSources sources;
  auto* show = command->add_subcommand("show", "Every setting, its value and where it came from");
  add_setting_flags(*show, sources.file, sources.flags);
  show->callback([&context] {
    sources.data = context.data_dir;
    if (const auto done = show_settings(context, sources); !done) context.fail(done.error());
  });
  command->add_subcommand("reference", "All settings as a Markdown table")->callback([] {
    std::printf("%s", settings_reference().c_str());
  });
}

}  // namespace strata::app
