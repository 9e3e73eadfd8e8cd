#include "app/local/cli_completion.hpp"

#include <CLI/CLI.hpp>

namespace strata::app {

namespace {

constexpr const char* kBash = R"sh(_strata() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(strata complete-words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \
    -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _strata strata
)sh";
constexpr const char* kZsh = R"sh(#compdef strata
_strata() {
  local -a found
  found=(${(f)"$(strata complete-words "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found ));
then compadd - a found;
else _files;
fi
}
compdef _strata strata
)sh";
constexpr const char* kFish = R"sh(function __strata_words
  set -l words (commandline -opc) (commandline -ct)
  strata complete-words $words[2..-1] 2>/dev/null
end
complete -c strata -a '(__strata_words)'
)sh";

void add_script(CLI::App& completion, const char* shell, const char* script, const char* use) {
  completion.add_subcommand(shell, use)->callback([script] { std::fputs(script, stdout); });
}

}  // namespace

void add_completion_commands(CLI::App& app, CliContext&) {
  auto* completion = app.add_subcommand("completion", "Completion of commands for your shell");
  completion->require_subcommand(1);
  add_script(*completion, "bash", kBash, "eval \"$(strata completion bash)\"");
  add_script(*completion, "zsh", kZsh, "eval \"$(strata completion zsh)\"");
  add_script(*completion, "fish", kFish, "strata completion fish | source");
}

std::vector<std::string> complete_words(const CLI::App& app,
                                        const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  const std::string last = words.empty() ? "" : words.back();
  const std::string before = words.size() < 2 ? "" : words[words.size() - 2];
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    for (const auto* command : at->get_subcommands([](const CLI::App*) { return true; })) {
      if (command->get_name() != words[i]) continue;
      at = command;
      break;
    }
  }
  if (before == "-o" || before == "--output") {
    return at->get_name() == "sql"
               ? std::vector<std::string>{"table", "csv", "json", "arrow", "parquet"}
               : std::vector<std::string>{"table", "json", "yaml"};
  }
  std::vector<std::string> found;
  const auto offer = [&](const std::string& word) {
    if (word.starts_with(last)) found.push_back(word);
  };
  if (last.starts_with("-")) {
    for (const CLI::App* level = at; level != nullptr; level = level->get_parent()) {
      for (const auto* option : level->get_options()) {
        for (const auto& name : option->get_lnames())
          offer("--" + name);
      }
    }
    return found;
  }
  for (const auto* command : at->get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) offer(command->get_name());
  }
  return found;
}

}  // namespace strata::app
