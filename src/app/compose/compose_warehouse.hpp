#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/deployment/deployment.hpp"
#include "storage/lake/lake.hpp"
#include "storage/warehouse/lake_objects.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::app {

// SQL with its engine processes and the warehouse's part of Strata's own API. Each project has a
// database, and an engine that opens no other, so that no statement can name another's tables.
class WarehousePart final : public Part {
 public:
  WarehousePart(Core& core, storage::lake::Lake& lake,
                std::function<double(std::chrono::microseconds)> cost);

  // Lets SQL read the predictions of the project as strata.predictions. Before start(); `log`
  // outlives this part's work.
  void offer_predictions(platform::predictions::PredictionLog& log) { predictions_ = &log; }
  // Lets SQL read what else a project has: called once for each project. Before start(); what it
  // reads outlives this part's work.
  using Views =
      std::function<std::vector<storage::warehouse::Warehouse::SystemView>(const ProjectId&)>;
  void offer_views(Views views) { more_views_.push_back(std::move(views)); }
  // The caller's, made at the first call for a project.
  Task<Result<storage::warehouse::Warehouse*>> of(const kernel::Caller& caller);

  // Lets all engines write out and end; see Warehouse::release(). Blocks.
  void release();

  Status start() override;
  void drain() override;
  void stop() override;

 private:
  using Warehouse = storage::warehouse::Warehouse;

  Result<Warehouse*> find_or_open(const ProjectId& project);
  Warehouse::SystemView predictions_of(const ProjectId& project);
  std::vector<Warehouse*> open_ones();

  Core& core_;
  storage::warehouse::LakeObjects objects_;
  std::function<double(std::chrono::microseconds)> cost_;
  platform::predictions::PredictionLog* predictions_ = nullptr;
  std::vector<Views> more_views_;
  std::mutex opening_;
  std::mutex mutex_;  // guards what follows
  bool closed_ = false;
  std::map<ProjectId, std::unique_ptr<Warehouse>> by_project_;
};

// Builds the part and adds its routes to `rest`. `cost` prices processor time; may be empty.
// Blocks.
Result<std::unique_ptr<WarehousePart>> make_warehouse_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    std::function<double(std::chrono::microseconds)> cost);

}  // namespace strata::app
