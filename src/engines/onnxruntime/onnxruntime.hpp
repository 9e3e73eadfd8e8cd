#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "platform/inference/model_runner.hpp"

namespace strata::engines::onnxruntime {

class OrtRuntime;

// Serves ONNX graphs (MLflow flavor "onnx") with ONNX Runtime's library, which is opened when the
// first model is loaded. One session for each model, shared by all threads; no threads of its own:
// a graph runs on the thread that asks.
class OnnxEngine final : public platform::inference::ModelEngine {
 public:
  // `library` is the path of libonnxruntime.so.1.
  explicit OnnxEngine(std::string library);
  ~OnnxEngine() override;

  std::string_view flavor() const override { return "onnx"; }
  Result<std::unique_ptr<platform::inference::ModelRunner>> load(
      const std::string& directory, const wire::MlModel& model) override;

 private:
  Result<std::shared_ptr<const OrtRuntime>> open();

  const std::string library_;
  std::mutex mutex_;
  std::shared_ptr<const OrtRuntime> runtime_;
};

}  // namespace strata::engines::onnxruntime
