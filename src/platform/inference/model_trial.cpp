#include "platform/inference/model_trial.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::inference {

namespace {

constexpr int kTimedRuns = 5;
constexpr std::chrono::milliseconds kSlow{20};  // the runs so far say enough
constexpr std::chrono::seconds kVerySlow{1};    // the first one does

// The model's own example, written by mlflow as a scoring payload.
constexpr std::string_view kExample = "serving_input_example.json";

Result<OpenModel> open_with(ModelEngine& engine, const std::string& directory,
                            const wire::MlModel& about) {
  auto runner = engine.load(directory, about);
  if (!runner) return std::move(runner).error();
  auto binding = Binding::make(about, (*runner)->interface());
  if (!binding) return std::move(binding).error();
  return OpenModel{std::string(engine.flavor()), "",
                   std::make_shared<const Binding>(*std::move(binding)), *std::move(runner)};
}

}  // namespace

Result<OpenModel> open_model(Files& files, std::span<ModelEngine* const> engines,
                             const std::string& directory) {
  auto text = files.read_all(directory + "/MLmodel");
  if (!text) return text.error().wrap("the model has no readable MLmodel file");
  auto about = wire::parse_mlmodel(*text);
  if (!about) return std::move(about).error();
  std::optional<Error> refused;
  std::vector<std::string> served;
  for (auto* candidate : engines) {
    served.emplace_back(candidate->flavor());
    if (!about->flavors.contains(served.back())) continue;
    auto opened = open_with(*candidate, directory, *about);
    if (opened || opened.error().code != Code::kUnsupported) return opened;
    if (!refused) refused = opened.error();
  }
  if (refused) return *refused;
  std::vector<std::string> flavors;
  for (const auto& [flavor, settings] : about->flavors)
    flavors.push_back(printable(flavor));
  return Error(Code::kUnsupported,
               fmt::format("the model's flavors are [{}]; the server itself runs [{}]",
                           fmt::join(flavors, ", "), fmt::join(served, ", ")));
}

Example example_of(const Binding& binding, Files& files, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kExample);
  if (files.exists(path)) {
    const auto text = files.read_all(path).value_or("");
    auto bound =
        wire::decode_scoring(text, "application/json")
            .and_then([&](const wire::ScoringRequest& request) { return binding.bind(request); });
    if (bound && bound->rows > 0) return {*std::move(bound), true};
  }
  return {binding.blank(), false};
}

Result<double> try_out(const OpenModel& model, Files& files, const Clock& clock,
                       const std::string& directory, const std::stop_token& stop) {
  const auto [inputs, example] = example_of(*model.binding, files, directory);
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

}  // namespace strata::platform::inference
