#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata why ID and strata impact REF.
void add_lineage_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
