#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata feature`
void add_feature_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
