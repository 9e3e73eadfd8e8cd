#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata alert list|deliveries|route|silence`
void add_alert_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
