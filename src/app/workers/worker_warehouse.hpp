#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata warehouse`: the SQL engine's process, started by the server; not shown in the help.
void add_warehouse_worker(CLI::App& app, CliContext& context);

}  // namespace strata::app
