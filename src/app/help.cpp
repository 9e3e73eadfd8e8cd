#include "app/help.hpp"

#include <algorithm>
#include <string>

namespace strata::app {

namespace {

bool has_its_own(const CLI::App& command, const CLI::Option& option) {
  return std::ranges::any_of(option.get_lnames(), [&](const std::string& name) {
    return command.get_option_no_throw("--" + name) != nullptr;
  });
}

class HelpFormat final : public CLI::Formatter {
 public:
  std::string make_footer(const CLI::App* command) const override {
    const CLI::App* program = command;
    while (program->get_parent() != nullptr)
      program = program->get_parent();
    const auto common = program->get_options([&](const CLI::Option* option) {
      return option->get_group() == kCommonOptions && !has_its_own(*command, *option);
    });
    // The group begins with an empty line, which stands in front of a footer already.
    return (common.empty() ? "" : make_group(kCommonOptions, false, common).substr(1)) +
           CLI::Formatter::make_footer(command);
  }
};

}  // namespace

std::shared_ptr<CLI::Formatter> make_help_format() {
  return std::make_shared<HelpFormat>();
}

}  // namespace strata::app
