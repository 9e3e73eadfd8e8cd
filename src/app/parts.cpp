#include "app/parts.hpp"

#include "app/compose_deployment.hpp"
#include "app/compose_lake.hpp"
#include "app/compose_lineage.hpp"
#include "app/compose_tracking.hpp"
#include "app/compose_workflow.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  auto lake = make_lake_part(core, rest);
  if (!lake) return std::move(lake).error();
  auto tracking = make_tracking_part(core, rest, (*lake)->lake());
  if (!tracking) return std::move(tracking).error();
  auto deployment = make_deployment_part(core, rest, (*tracking)->models());
  if (!deployment) return std::move(deployment).error();
  add_lineage(core, rest, (*deployment)->predictions());
  parts.push_back(*std::move(lake));
  parts.push_back(*std::move(tracking));
  parts.push_back(*std::move(deployment));
  auto workflow = make_workflow_part(core, rest);
  if (!workflow) return std::move(workflow).error();
  parts.push_back(*std::move(workflow));
  return parts;
}

}  // namespace strata::app
