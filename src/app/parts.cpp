#include "app/parts.hpp"

#include "app/compose_workflow.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  auto workflow = make_workflow_part(core, rest);
  if (!workflow) return std::move(workflow).error();
  parts.push_back(*std::move(workflow));
  return parts;
}

}  // namespace strata::app
