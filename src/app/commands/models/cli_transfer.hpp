#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata model export and import, below the noun that cli_model.cpp made.
void add_transfer_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
