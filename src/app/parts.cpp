#include "app/parts.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  (void)core;
  (void)rest;
  return parts;
}

}  // namespace strata::app
