#include "app/commands/platform/input.hpp"

#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>

namespace strata::app {

Result<Json> read_json_input(const std::string& path) {
  std::stringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream file(path, std::ios::binary);
    text << file.rdbuf();
    if (!file) return not_found(fmt::format("cannot read {}", path));
  }
  auto parsed = parse_json(std::move(text).str());
  if (!parsed) return parsed.error().wrap(path);
  return parsed;
}

}  // namespace strata::app
