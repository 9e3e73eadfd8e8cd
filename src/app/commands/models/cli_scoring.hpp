#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata model score, below the noun that cli_model.cpp made, and strata scoring list, status and
// cancel.
void add_scoring_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
