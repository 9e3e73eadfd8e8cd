#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

void add_project_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
