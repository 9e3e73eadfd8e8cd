#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata model sign and verify, below the noun that cli_model.cpp made, and strata trust.
void add_signing_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
