#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata model list, show and alias.
void add_model_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
