#pragma once

#include <memory>

#include <CLI/CLI.hpp>

namespace strata::app {

// The group of the program's options that each command takes, in front of it and behind it.
inline constexpr const char* kCommonOptions = "Common options";

// The help of the program and of its commands, which ends with the common options, less those that
// a command has in a form of its own.
std::shared_ptr<CLI::Formatter> make_help_format();

}  // namespace strata::app
