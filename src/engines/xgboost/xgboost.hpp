#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "platform/inference/model_runner.hpp"

namespace strata::engines::xgboost {

struct XgBoostAbi;

// Serves XGBoost models of trees (MLflow flavor "xgboost", files model.ubj and model.json) with
// XGBoost's own library, which is opened when the first model is loaded. Answers are those of
// mlflow.pyfunc in Python, to the bit: what Booster.predict() gives, and of the scikit-learn
// classes their predict(), which is labels for a classifier. All runs are on the calling thread.
class XgBoostEngine final : public platform::inference::ModelEngine {
 public:
  // `library` is the path of libxgboost.so; the OpenMP library that it asks for lies beside it.
  explicit XgBoostEngine(std::string library);
  ~XgBoostEngine() override;

  std::string_view flavor() const override { return "xgboost"; }
  Result<std::unique_ptr<platform::inference::ModelRunner>> load(
      const std::string& directory, const wire::MlModel& model) override;

 private:
  Result<std::shared_ptr<const XgBoostAbi>> open();

  const std::string library_;
  std::mutex mutex_;
  std::shared_ptr<const XgBoostAbi> abi_;
};

}  // namespace strata::engines::xgboost
