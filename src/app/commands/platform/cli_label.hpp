#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata label push`
void add_label_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
