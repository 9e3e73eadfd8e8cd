#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/deployment/deployment.hpp"
#include "storage/lake/lake.hpp"
#include "storage/warehouse/lake_objects.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::app {

// SQL with its engine process and the warehouse's part of Strata's own API.
class WarehousePart final : public Part {
 public:
  WarehousePart(Core& core, storage::lake::Lake& lake,
                std::function<double(std::chrono::microseconds)> cost);

  storage::warehouse::Warehouse& warehouse() { return warehouse_; }
  // Lets SQL read the predictions as strata.predictions. Before start(); `log` outlives this part's
  // work.
  void offer_predictions(platform::deployment::PredictionLog& log);

  Status start() override { return warehouse_.start(); }
  void drain() override { warehouse_.drain(); }
  void stop() override { warehouse_.stop(); }

 private:
  Core& core_;
  storage::warehouse::LakeObjects objects_;
  storage::warehouse::Warehouse warehouse_;
};

// Builds the part and adds its routes to `rest`. `cost` prices processor time; may be empty.
// Blocks.
Result<std::unique_ptr<WarehousePart>> make_warehouse_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    std::function<double(std::chrono::microseconds)> cost);

}  // namespace strata::app
