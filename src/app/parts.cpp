#include "app/parts.hpp"

#include "app/compose_deployment.hpp"
#include "app/compose_lake.hpp"
#include "app/compose_tracking.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  auto lake = make_lake_part(core, rest);
  if (!lake) return std::move(lake).error();
  storage::lake::Lake& objects = (*lake)->lake();
  parts.push_back(*std::move(lake));
  auto tracking = make_tracking_part(core, rest, objects);
  if (!tracking) return std::move(tracking).error();
  platform::models::Models& models = (*tracking)->models();
  parts.push_back(*std::move(tracking));
  auto deployment = make_deployment_part(core, rest, models);
  if (!deployment) return std::move(deployment).error();
  parts.push_back(*std::move(deployment));
  return parts;
}

}  // namespace strata::app
