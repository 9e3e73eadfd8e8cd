#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata node list|measure|price`, and the hidden command that measures on behalf of the server.
void add_node_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
