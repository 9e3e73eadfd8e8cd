#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

void add_env_command(CLI::App& app, CliContext& context);

}  // namespace strata::app
