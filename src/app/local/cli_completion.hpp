#pragma once

#include <string>
#include <vector>

#include "app/commands/cli.hpp"

namespace strata::app {

// `strata completion bash|zsh|fish`: a script that asks `strata complete-words` at each Tab, so
// that it is right for whatever version is installed.
void add_completion_commands(CLI::App& app, CliContext& context);

// What may stand where the last of `words` stands, of what has been typed behind the program's
// name: commands, or options where it begins with a dash.
std::vector<std::string> complete_words(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace strata::app
