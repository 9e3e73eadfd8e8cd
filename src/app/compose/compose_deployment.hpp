#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/grpc/grpc.hpp"
#include "doors/oip/oip.hpp"
#include "doors/rest/rest.hpp"
#include "doors/scoring/scoring.hpp"
#include "engines/lightgbm/lightgbm.hpp"
#include "engines/onnxruntime/onnxruntime.hpp"
#include "engines/processes/processes.hpp"
#include "engines/python/python.hpp"
#include "engines/xgboost/xgboost.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/models/models.hpp"

namespace strata::app {

// Endpoints over the model store, with their engines, the prediction log below `data`/predictions,
// the doors that answer predictions, and the endpoints of Strata's own API.
class DeploymentPart final : public Part {
 public:
  DeploymentPart(Core& core, platform::models::Models& models);

  // Brings schema and log up. Blocks; before the doors open.
  Status prepare();
  platform::deployment::Endpoints& endpoints() { return endpoints_; }
  platform::predictions::PredictionLog& predictions() { return log_; }

  std::vector<std::pair<Port, http::Door*>> doors() override;
  Status start() override;
  void drain() override;
  void stop() override;

 private:
  class ModelStore;
  void give_up();
  void flush_log();

  Core& core_;
  std::unique_ptr<platform::deployment::ModelSource> source_;
  engines::lightgbm::LightGbmEngine lightgbm_;
  engines::onnxruntime::OnnxEngine onnx_;
  engines::xgboost::XgBoostEngine xgboost_;
  engines::processes::ProcessModelTrial trial_;
  engines::python::PythonHost python_;
  platform::predictions::PredictionLog log_;
  platform::deployment::Endpoints endpoints_;
  doors::oip::OipDoor oip_;
  doors::scoring::ScoringDoor scoring_;
  doors::grpc::GrpcDoor grpc_;
};

// Builds the part and adds its routes to `rest`. Blocks.
Result<std::unique_ptr<DeploymentPart>> make_deployment_part(Core& core,
                                                             doors::rest::RestDoor& rest,
                                                             platform::models::Models& models);

}  // namespace strata::app
