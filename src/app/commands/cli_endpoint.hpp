#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata endpoint create|list|show|delete
void add_endpoint_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
