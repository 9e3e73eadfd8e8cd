#include "engines/lightgbm/lightgbm.hpp"

#include <cstdio>

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "engines/lightgbm/lightgbm_abi.hpp"
#include "runtime/files.hpp"
#include "wire/inference/lightgbm_model.hpp"

namespace strata::engines::lightgbm {

namespace {

using platform::inference::ModelInterface;
using platform::inference::ModelRunner;
using wire::ElementType;
using wire::Tensor;

// One thread: a request must not wait for a team of others, and OpenMP would start one for each of
// our loops.
constexpr const char* kParameters = "num_threads=1 verbosity=-1";
constexpr std::size_t kLongestName = 1024;
constexpr std::size_t kMostNameBytes = std::size_t{256} << 20;
constexpr std::int64_t kMostValues = std::int64_t{1} << 25;  // of one answer: 256 MiB
constexpr std::string_view kCategoriesMark = "\npandas_categorical:";

Error failed(const LightGbmAbi& abi, std::string_view call) {
  return internal(fmt::format("LightGBM {}: {}", call, printable(abi.GetLastError(), 300)));
}

class Runner final : public ModelRunner {
 public:
  Runner(std::shared_ptr<const LightGbmAbi> abi, LightGbmAbi::Booster booster)
      : abi_(std::move(abi)),
        booster_(booster) {}
  ~Runner() override {
    if (fast_ != nullptr) abi_->FastConfigFree(fast_);
    abi_->BoosterFree(booster_);
  }

  Status learn(std::vector<std::vector<std::string>> categories) {
    if (abi_->BoosterGetNumFeature(booster_, &features_) != 0)
      return failed(*abi_, "GetNumFeature");
    if (abi_->BoosterGetNumClasses(booster_, &classes_) != 0) return failed(*abi_, "GetNumClasses");
    STRATA_TRY(learn_names());
    interface_.inputs = {{"input", ElementType::kFp64, {-1, features_}}};
    interface_.outputs = {{"predict", ElementType::kFp64, {-1}}};
    if (classes_ > 1) interface_.outputs[0].shape.push_back(classes_);
    interface_.bare_output = true;
    interface_.steady_cost = true;
    interface_.categories = std::move(categories);
    if (abi_->BoosterPredictForMatSingleRowFastInit(booster_, LightGbmAbi::kPredictNormal, 0, -1,
                                                    LightGbmAbi::kFloat64, features_, kParameters,
                                                    &fast_) != 0) {
      return failed(*abi_, "PredictForMatSingleRowFastInit");
    }
    return {};
  }

  const ModelInterface& interface() const override { return interface_; }

  // Each row costs one way down each tree, so a run ends by itself.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                  const std::stop_token&) const override {
    const Tensor& matrix = inputs[0];
    const std::int64_t rows = matrix.shape[0];
    if (rows > std::numeric_limits<std::int32_t>::max())
      return invalid("input", "input: too many rows");
    if (rows > kMostValues / classes_) {
      return Error(Code::kTooLarge,
                   fmt::format("{} rows of {} classes are more than the {} values that an answer "
                               "may have; send fewer rows at a time",
                               rows, classes_, kMostValues));
    }
    Tensor output("predict", ElementType::kFp64, {rows});
    if (classes_ > 1) output.shape.push_back(classes_);
    const auto values = output.allocate<double>(static_cast<std::size_t>(rows * classes_));
    std::int64_t length = 0;
    const double* data = matrix.as<double>().data();
    int rc = 0;
    if (rows == 1) {
      rc = abi_->BoosterPredictForMatSingleRowFast(fast_, data, &length, values.data());
    } else if (rows > 1) {
      rc = abi_->BoosterPredictForMat(
          booster_, data, LightGbmAbi::kFloat64, static_cast<std::int32_t>(rows), features_, 1,
          LightGbmAbi::kPredictNormal, 0, -1, kParameters, &length, values.data());
    }
    if (rc != 0) return failed(*abi_, "Predict");
    if (length != rows * classes_) {
      return internal(
          fmt::format("LightGBM gave {} values for {} rows of {} classes", length, rows, classes_));
    }
    std::vector<Tensor> outputs;
    outputs.push_back(std::move(output));
    return outputs;
  }

 private:
  Status learn_names() {
    const auto count = static_cast<std::size_t>(features_);
    int got = 0;
    std::size_t longest = 0;  // with the zero at its end
    if (abi_->BoosterGetFeatureNames(booster_, 0, &got, 0, &longest, nullptr) != 0)
      return failed(*abi_, "GetFeatureNames");
    if (longest > kLongestName) return {};  // such names are not compared with the signature's
    if (count * longest > kMostNameBytes) {
      return Error(
          Code::kUnsupported,
          fmt::format("the model has {} features with names of up to {} bytes; offered are "
                      "{} bytes of names",
                      count, longest, kMostNameBytes));
    }
    std::vector<char> buffer(count * longest);
    std::vector<char*> pointers;
    pointers.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      pointers.push_back(buffer.data() + i * longest);
    if (abi_->BoosterGetFeatureNames(booster_, features_, &got, longest, &longest,
                                     pointers.data()) != 0) {
      return failed(*abi_, "GetFeatureNames");
    }
    bool made_up = true;
    for (std::size_t i = 0; i < count; ++i) {
      interface_.features.emplace_back(pointers[i]);
      made_up &= interface_.features.back() == fmt::format("Column_{}", i);
    }
    if (made_up)
      interface_.features.clear();  // trained on a matrix: LightGBM numbered the columns itself
    return {};
  }

  std::shared_ptr<const LightGbmAbi> abi_;
  LightGbmAbi::Booster booster_;
  LightGbmAbi::FastConfig fast_ = nullptr;
  int features_ = 0;
  int classes_ = 1;
  ModelInterface interface_;
};

// LightGBM's Python package writes the categories of a data frame's columns behind the model:
// pandas_categorical:[["a","b"],...].
Result<std::vector<std::vector<std::string>>> read_categories(std::string_view text) {
  std::vector<std::vector<std::string>> out;
  const auto at = text.rfind(kCategoriesMark);
  if (at == std::string_view::npos) return out;
  auto line = text.substr(at + kCategoriesMark.size());
  line = line.substr(0, line.find('\n'));
  auto lists = parse_json(line);
  if (!lists) return lists.error().wrap("model.lgb: its pandas_categorical line is no JSON");
  if (!lists->is_array()) return out;
  for (const auto& list : lists->as_array()) {
    auto& texts = out.emplace_back();
    for (const auto& item : list.is_array() ? list.as_array() : Json::Array{}) {
      if (!item.is_string()) {
        return Error(
            Code::kUnsupported,
            "the model was trained on a category column of numbers, which a signature cannot "
            "tell from plain numbers; train it with texts as categories, or with plain numbers");
      }
      texts.push_back(item.as_string());
    }
  }
  return out;
}

template <class F>
bool resolve(void* handle, const char* name, F& out, std::string& missing) {
  out = reinterpret_cast<F>(dlsym(handle, name));
  if (out == nullptr) missing += fmt::format(" {}", name);
  return out != nullptr;
}

void drop_log_line(const char*) {}

}  // namespace

LightGbmEngine::LightGbmEngine(std::string library) : library_(std::move(library)) {}
LightGbmEngine::~LightGbmEngine() = default;

Result<std::shared_ptr<const LightGbmAbi>> LightGbmEngine::open() {
  const std::lock_guard lock(mutex_);
  if (abi_ != nullptr) return abi_;
  // Never closed: OpenMP's threads would outlive their code.
  void* handle = dlopen(library_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error(Code::kUnavailable,
                 fmt::format("LightGBM cannot be opened: {}", printable(dlerror(), 300)));
  }
  auto abi = std::make_shared<LightGbmAbi>();
  std::string missing;
  resolve(handle, "LGBM_GetLastError", abi->GetLastError, missing);
  resolve(handle, "LGBM_RegisterLogCallback", abi->RegisterLogCallback, missing);
  resolve(handle, "LGBM_BoosterLoadModelFromString", abi->BoosterLoadModelFromString, missing);
  resolve(handle, "LGBM_BoosterFree", abi->BoosterFree, missing);
  resolve(handle, "LGBM_BoosterGetNumClasses", abi->BoosterGetNumClasses, missing);
  resolve(handle, "LGBM_BoosterGetNumFeature", abi->BoosterGetNumFeature, missing);
  resolve(handle, "LGBM_BoosterGetFeatureNames", abi->BoosterGetFeatureNames, missing);
  resolve(handle, "LGBM_BoosterPredictForMat", abi->BoosterPredictForMat, missing);
  resolve(handle, "LGBM_BoosterPredictForMatSingleRowFastInit",
          abi->BoosterPredictForMatSingleRowFastInit, missing);
  resolve(handle, "LGBM_BoosterPredictForMatSingleRowFast", abi->BoosterPredictForMatSingleRowFast,
          missing);
  resolve(handle, "LGBM_FastConfigFree", abi->FastConfigFree, missing);
  if (!missing.empty()) {
    return Error(Code::kUnavailable,
                 fmt::format("{} lacks{}; LightGBM 4 is needed", library_, missing));
  }
  abi->RegisterLogCallback(&drop_log_line);
  abi_ = std::move(abi);
  return abi_;
}

Result<std::unique_ptr<ModelRunner>> LightGbmEngine::load(const std::string& directory,
                                                          const wire::MlModel& model) {
  const auto& flavor = model.flavors.at("lightgbm");
  const auto setting = [&](const char* name) {
    const auto found = flavor.find(name);
    return found == flavor.end() ? std::string() : found->second;
  };
  const std::string file = setting("data").empty() ? "model.lgb" : setting("data");
  if (const auto type = setting("model_class");
      !file.ends_with(".lgb") || type.contains(".sklearn.")) {
    return Error(
        Code::kUnsupported,
        fmt::format("the model is a {} in '{}', which only Python can open; log its booster: "
                    "mlflow.lightgbm.log_model(model.booster_, ...)",
                    printable(type), printable(file)));
  }
  auto abi = open();
  if (!abi) return std::move(abi).error();
  SystemFiles files;
  auto text = files.read_all(directory + "/" + file);
  if (!text) return std::move(text).error();
  // LightGBM believes what stands there: a damaged number ends the process.
  if (const auto sound = wire::check_lightgbm_model(*text); !sound)
    return sound.error().wrap(fmt::format("{} cannot be served", printable(file)));
  auto categories = read_categories(*text);
  if (!categories) return std::move(categories).error();
  LightGbmAbi::Booster booster = nullptr;
  int iterations = 0;
  if ((*abi)->BoosterLoadModelFromString(text->c_str(), &iterations, &booster) != 0) {
    return Error(Code::kInvalidArgument, fmt::format("{} is no LightGBM model: {}", file,
                                                     printable((*abi)->GetLastError(), 300)));
  }
  auto runner = std::make_unique<Runner>(*abi, booster);
  STRATA_TRY(runner->learn(*std::move(categories)));
  return std::unique_ptr<ModelRunner>(std::move(runner));
}

}  // namespace strata::engines::lightgbm
