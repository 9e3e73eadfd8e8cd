#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata why ID, strata impact REF, strata lineage jobs|runs|datasets.
void add_lineage_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
