#pragma once

#include <memory>

#include "app/compose/lake_artifact_store.hpp"
#include "app/core.hpp"
#include "doors/mlflow/mlflow.hpp"
#include "doors/rest/rest.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::app {

// Tracking and the model store with their artifacts in the lake, MLflow's door, and the models of
// Strata's own API.
class TrackingPart final : public Part {
 public:
  TrackingPart(Core& core, storage::lake::Lake& lake);

  // Brings the schema up. Blocks; before the doors open.
  Status prepare(Core& core);
  platform::tracking::Tracking& tracking() { return tracking_; }
  platform::models::Models& models() { return models_; }

  std::vector<std::pair<Port, http::Door*>> doors() override { return {{Port::kHttp, &door_}}; }

 private:
  LakeArtifactStore artifacts_;
  platform::tracking::Tracking tracking_;
  platform::models::Models models_;
  doors::mlflow::MlflowDoor door_;
};

// Builds the part and adds its routes to `rest`. Blocks.
Result<std::unique_ptr<TrackingPart>> make_tracking_part(Core& core, doors::rest::RestDoor& rest,
                                                         storage::lake::Lake& lake);

}  // namespace strata::app
