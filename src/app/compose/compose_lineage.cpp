#include "app/compose/compose_lineage.hpp"

#include "doors/openlineage/openlineage_routes.hpp"
#include "doors/rest/lineage_routes.hpp"

namespace strata::app {

namespace {

using doors::rest::PredictionOrigin;
using platform::predictions::Prediction;
using platform::predictions::PredictionLog;

// What was asked and answered is shown to those who may read the endpoint's log; lineage alone
// tells that it was.
PredictionOrigin origin_of(const Prediction& prediction, bool with_values) {
  PredictionOrigin origin;
  origin.node.ref = {"prediction", prediction.id, ""};
  origin.node.digest = prediction.digest;
  origin.node.time = prediction.time;
  origin.node.facts = Json::object({{"endpoint", prediction.endpoint},
                                    {"model", prediction.model},
                                    {"model_version", prediction.version},
                                    {"status", prediction.status},
                                    {"latency_us", prediction.latency_us}});
  if (with_values) {
    Json rows = Json::array();
    for (const auto& row : prediction.rows) {
      rows.push(Json::object({{"inputs", row.inputs}, {"outputs", row.outputs}}));
    }
    origin.node.facts.set("rows", std::move(rows));
  }
  origin.endpoint = {"endpoint", prediction.endpoint, std::to_string(prediction.deployment)};
  return origin;
}

Task<Result<PredictionOrigin>> find_prediction(PredictionLog& log, BlockingPool& pool,
                                               const kernel::Caller& caller, std::string id) {
  const auto look_up = [&] {
    return log.find(caller.project.str(), id);
  };
  auto found = co_await pool.run(look_up);
  if (!found) co_return std::move(found).error();
  co_return origin_of(*found, caller.may(kernel::Permission::kEndpointRead));
}

}  // namespace

void add_lineage(Core& core, doors::rest::RestDoor& rest, PredictionLog& log) {
  const auto find = [&core, &log](const kernel::Caller& caller, std::string id) {
    return find_prediction(log, core.pool, caller, std::move(id));
  };
  rest.add(doors::rest::lineage_routes(core.lineage, find));
}

Result<std::unique_ptr<ExternalLineagePart>> make_external_lineage_part(
    Core& core, doors::rest::RestDoor& rest) {
  STRATA_TRY(core.records.migrate(platform::external::ExternalLineage::migrations()));
  auto part = std::make_unique<ExternalLineagePart>(core);
  rest.add(doors::openlineage::openlineage_routes(part->external(), &doors::rest::error_response));
  return part;
}

}  // namespace strata::app
