#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "base/config.hpp"
#include "base/result.hpp"
#include "runtime/files.hpp"

namespace strata::app {

// Everything about a server that can be set, in the order in which it is shown and documented.
std::span<const config::Setting> server_settings();

// What was given on the command line.
struct SettingSources {
  std::string data;                          // --data; empty for STRATA_DATA or ~/.strata
  std::string file;                          // --config; empty for STRATA_CONFIG
  std::map<std::string, std::string> flags;  // by key
};

struct ServerSettings {
  std::string data;  // the data directory, absolute
  std::string file;  // the file that was read; empty for none
  config::Settings values;
};

// Reads the file (--config, STRATA_CONFIG, or strata.toml in the data directory when it is there),
// the environment and the flags. Errors: kNotFound (a file that was named), kInvalidArgument with
// the place of what is wrong. Blocks.
Result<ServerSettings> load_settings(Files& files, const SettingSources& sources);

// All settings as the table of docs/reference/configuration.md.
std::string settings_reference();

}  // namespace strata::app
