#pragma once

#include "app/commands/cli.hpp"

namespace strata::app {

// strata model protect|unprotect|requests|approve|refuse|diff; behind the other commands of
// `model`.
void add_model_rule_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
