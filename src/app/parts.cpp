#include "app/parts.hpp"

#include "app/compose_lake.hpp"
#include "app/compose_tracking.hpp"
#include "app/compose_ui.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  auto lake = make_lake_part(core, rest);
  if (!lake) return std::move(lake).error();
  storage::lake::Lake& objects = (*lake)->lake();
  parts.push_back(*std::move(lake));
  auto tracking = make_tracking_part(core, rest, objects);
  if (!tracking) return std::move(tracking).error();
  parts.push_back(*std::move(tracking));
  parts.push_back(make_ui_part());
  return parts;
}

}  // namespace strata::app
