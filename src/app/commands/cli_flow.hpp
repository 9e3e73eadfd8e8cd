#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata flow apply|run|list|status|logs|cancel|delete
void add_flow_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
