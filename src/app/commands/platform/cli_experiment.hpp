#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata experiment start|list|status|stop|report|analyze|plan`
void add_experiment_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
