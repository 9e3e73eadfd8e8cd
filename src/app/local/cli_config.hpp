#pragma once

#include <map>
#include <string>

#include "app/commands/cli.hpp"

namespace strata::app {

// Adds --config and a flag for every setting of a server; what is given lands in `file` and in
// `flags`, by key.
void add_setting_flags(CLI::App& command, std::string& file,
                       std::map<std::string, std::string>& flags);

void add_config_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
