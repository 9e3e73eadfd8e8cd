#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata monitor list|show|performance|set|compare`
void add_monitor_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
