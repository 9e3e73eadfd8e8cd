#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata user ..., strata token ..., strata audit.
void add_admin_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
