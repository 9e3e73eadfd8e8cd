#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata sql`: runs SQL on the server and shows or stores the answer.
void add_sql_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
