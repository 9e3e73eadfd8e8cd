#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata audit [head|verify]
void add_audit_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
