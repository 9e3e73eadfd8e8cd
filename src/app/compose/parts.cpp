#include "app/compose/parts.hpp"

#include "app/compose/compose_compute.hpp"
#include "app/compose/compose_deployment.hpp"
#include "app/compose/compose_events.hpp"
#include "app/compose/compose_lake.hpp"
#include "app/compose/compose_lineage.hpp"
#include "app/compose/compose_tracking.hpp"
#include "app/compose/compose_ui.hpp"
#include "app/compose/compose_verdicts.hpp"
#include "app/compose/compose_warehouse.hpp"
#include "app/compose/compose_workflow.hpp"
#include "app/compose/platform/compose_alerts.hpp"
#include "app/compose/platform/compose_features.hpp"
#include "app/compose/platform/compose_flags.hpp"
#include "app/compose/platform/compose_monitoring.hpp"
#include "app/compose/platform/compose_release.hpp"
#include "app/compose/platform/compose_scoring.hpp"
#include "app/compose/platform/compose_signing.hpp"
#include "doors/experiments/statistics_routes.hpp"
#include "doors/packages/import_routes.hpp"
#include "doors/packages/package_routes.hpp"

namespace strata::app {

Result<std::vector<std::unique_ptr<Part>>> make_parts(Core& core, doors::rest::RestDoor& rest) {
  std::vector<std::unique_ptr<Part>> parts;
  auto lake = make_lake_part(core, rest);
  if (!lake) return std::move(lake).error();
  storage::lake::Lake& objects = (*lake)->lake();
  auto compute = make_compute_part(core, rest);
  if (!compute) return std::move(compute).error();
  storage::compute::Compute& node = (*compute)->compute();
  auto warehouse = make_warehouse_part(core, rest, objects, [&node](std::chrono::microseconds cpu) {
    return node.cost({.cores = 1, .memory_bytes = 0, .gpus = 0}, cpu).amount;
  });
  if (!warehouse) return std::move(warehouse).error();
  auto tracking = make_tracking_part(core, rest, objects);
  if (!tracking) return std::move(tracking).error();
  auto deployment = make_deployment_part(core, rest, (*tracking)->models());
  if (!deployment) return std::move(deployment).error();
  auto& runs = (*tracking)->tracking();
  auto& models = (*tracking)->models();
  auto& endpoints = (*deployment)->endpoints();
  auto& predictions = (*deployment)->predictions();
  add_lineage(core, rest, predictions);
  (*warehouse)->offer_predictions(predictions);
  auto monitoring = make_monitoring_part(core, rest, predictions, endpoints, **warehouse);
  if (!monitoring) return std::move(monitoring).error();
  auto flags = make_flags_part(core, rest, **warehouse);
  if (!flags) return std::move(flags).error();
  auto& warehouses = **warehouse;
  auto scoring = make_scoring_part(core, rest, endpoints, warehouses);
  if (!scoring) return std::move(scoring).error();
  parts.push_back(*std::move(lake));
  parts.push_back(*std::move(compute));
  parts.push_back(*std::move(warehouse));
  parts.push_back(*std::move(tracking));
  parts.push_back(*std::move(deployment));
  parts.push_back(*std::move(monitoring));
  parts.push_back(*std::move(scoring));
  auto workflow = make_workflow_part(core, rest, node, runs);
  if (!workflow) return std::move(workflow).error();
  auto signatures = make_signatures(core, rest, models);
  if (!signatures) return std::move(signatures).error();
  auto external = make_external_lineage_part(core, rest);
  if (!external) return std::move(external).error();
  auto verdicts = make_verdicts_part(core, rest, objects, (*workflow)->workflows(), runs, models,
                                     *std::move(signatures), endpoints, (*external)->external());
  if (!verdicts) return std::move(verdicts).error();
  auto release =
      make_release_part(core, rest, models, endpoints, (*verdicts)->verdicts(), warehouses);
  if (!release) return std::move(release).error();
  parts.push_back(*std::move(workflow));
  parts.push_back(*std::move(external));
  parts.push_back(*std::move(verdicts));
  auto features = make_features_part(core, rest);
  if (!features) return std::move(features).error();
  parts.push_back(*std::move(features));
  parts.push_back(*std::move(release));
  auto alerts = make_alerts_part(core, rest);
  if (!alerts) return std::move(alerts).error();
  parts.push_back(*std::move(alerts));
  rest.add(doors::experiments::statistics_routes(&doors::rest::error_response));
  parts.push_back(*std::move(flags));
  rest.add(
      doors::packages::package_routes(models, endpoints.flavors(), &doors::rest::error_response));
  rest.add(doors::packages::import_routes(models, &doors::rest::error_response));
  parts.push_back(make_events_part(core, rest));
  parts.push_back(make_ui_part());
  return parts;
}

}  // namespace strata::app
