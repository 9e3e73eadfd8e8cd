#include "platform/deployment/model_trial.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::deployment {

namespace {

constexpr int kTimedRuns = 5;
constexpr std::chrono::milliseconds kSlow{20};  // the runs so far say enough
constexpr std::chrono::seconds kVerySlow{1};    // the first one does

constexpr std::string_view kSklearnWayOut =
    ": export a scikit-learn model to ONNX (skl2onnx) and log it with mlflow.onnx, or train with "
    "LightGBM; docs/how-to/deploy-a-model.md shows how";

// The model's own example, written by mlflow as a scoring payload.
constexpr std::string_view kExample = "serving_input_example.json";

}  // namespace

Result<OpenModel> open_model(Files& files, std::span<ModelEngine* const> engines,
                             const std::string& directory) {
  auto text = files.read_all(directory + "/MLmodel");
  if (!text) return text.error().wrap("the model has no readable MLmodel file");
  auto about = wire::parse_mlmodel(*text);
  if (!about) return std::move(about).error();
  ModelEngine* engine = nullptr;
  std::vector<std::string> served;
  for (auto* candidate : engines) {
    served.emplace_back(candidate->flavor());
    if (engine == nullptr && about->flavors.contains(std::string(candidate->flavor())))
      engine = candidate;
  }
  if (engine == nullptr) {
    std::vector<std::string> flavors;
    for (const auto& [flavor, settings] : about->flavors)
      flavors.push_back(printable(flavor));
    const bool convertible = about->flavors.contains("sklearn");
    return Error(
        Code::kUnsupported,
        fmt::format("the model's flavors are [{}]; served are [{}]{}", fmt::join(flavors, ", "),
                    fmt::join(served, ", "), convertible ? kSklearnWayOut : std::string_view()));
  }
  auto runner = engine->load(directory, *about);
  if (!runner) return std::move(runner).error();
  auto binding = Binding::make(*about, (*runner)->interface());
  if (!binding) return std::move(binding).error();
  return OpenModel{std::string(engine->flavor()),
                   std::make_shared<const Binding>(*std::move(binding)), *std::move(runner)};
}

Result<double> try_out(const OpenModel& model, Files& files, const Clock& clock,
                       const std::string& directory, const std::stop_token& stop) {
  Inputs inputs = model.binding->blank();
  bool example = false;
  std::string text;
  if (files.exists(directory + "/" + std::string(kExample))) {
    text = files.read_all(directory + "/" + std::string(kExample)).value_or("");
    auto bound = wire::decode_scoring(text, "application/json")
                     .and_then([&](const wire::ScoringRequest& request) {
                       return model.binding->bind(request);
                     });
    example = bound && bound->rows > 0;
    if (example) inputs = *std::move(bound);
  }
  std::vector<double> micros;
  for (int i = 0; i <= kTimedRuns; ++i) {
    const auto begin = clock.steady();
    auto taken = model.binding->to_runner(inputs);
    auto outputs = taken ? model.runner->run(*taken, stop)
                         : Result<std::vector<wire::Tensor>>(std::move(taken).error());
    if (!outputs && outputs.error().code == Code::kCancelled) return std::move(outputs).error();
    if (!outputs && example)
      return outputs.error().wrap("the model fails on its own input example");
    if (!outputs) {
      // Zeros need not be a legal input; the first real request will tell.
      log::warn("model.try_out", Json::object({{"error", outputs.error().message}}));
      return kUnknownCost;
    }
    const std::chrono::duration<double, std::micro> took = clock.steady() - begin;
    if (i > 0 || took > kVerySlow) micros.push_back(took.count());
    if (!micros.empty() && took > kSlow) break;
  }
  std::sort(micros.begin(), micros.end());
  return micros[micros.size() / 2] / static_cast<double>(std::max<std::size_t>(inputs.rows, 1));
}

}  // namespace strata::platform::deployment
