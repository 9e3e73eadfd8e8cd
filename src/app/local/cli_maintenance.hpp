#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// backup, fsck and doctor: what looks after a data directory rather than asking a server.
void add_maintenance_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
