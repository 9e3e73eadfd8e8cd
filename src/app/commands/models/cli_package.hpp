#pragma once

#include <cstdint>
#include <string>

#include "app/commands/cli.hpp"

namespace strata::app {

struct NamedVersion {
  std::string name;
  std::int64_t version = 0;
};

// What "NAME", "NAME@ALIAS" or "NAME/VERSION" stands for just now, also behind "models:/"; a bare
// name is its newest version. Errors: kNotFound.
Result<NamedVersion> find_version(ApiClient& client, std::string_view reference);

// "/api/v1/models/NAME/versions/3" and what follows.
std::string version_path(const NamedVersion& version, std::string_view rest);

// strata model package, below the noun that cli_model.cpp made.
void add_package_commands(CLI::App& app, CliContext& context);

}  // namespace strata::app
