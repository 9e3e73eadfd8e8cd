#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata release plan|start|status|list|pause|resume|promote|rollback|override`
void add_release_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
