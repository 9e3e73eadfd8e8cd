#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "platform/inference/model_runner.hpp"

namespace strata::engines::lightgbm {

struct LightGbmAbi;

// Serves LightGBM boosters (MLflow flavor "lightgbm", file model.lgb) with LightGBM's own library,
// which is opened when the first model is loaded. Answers are what Booster.predict() gives in
// Python, to the bit: for a binary objective the probability. A single row uses the fast single-row
// call; all run on the calling thread only.
class LightGbmEngine final : public platform::inference::ModelEngine {
 public:
  // `library` is the path of lib_lightgbm.so.
  explicit LightGbmEngine(std::string library);
  ~LightGbmEngine() override;

  std::string_view flavor() const override { return "lightgbm"; }
  Result<std::unique_ptr<platform::inference::ModelRunner>> load(
      const std::string& directory, const wire::MlModel& model) override;

 private:
  Result<std::shared_ptr<const LightGbmAbi>> open();

  const std::string library_;
  std::mutex mutex_;
  std::shared_ptr<const LightGbmAbi> abi_;
};

}  // namespace strata::engines::lightgbm
