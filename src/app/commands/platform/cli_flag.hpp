#pragma once

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// `strata flag list|show|set|on|off|kill|delete|history|eval|group|holdout|key`
void add_flag_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
