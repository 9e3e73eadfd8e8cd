#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata experiment analyze`
void add_experiment_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
