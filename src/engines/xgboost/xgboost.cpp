#include "engines/xgboost/xgboost.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "engines/xgboost/xgboost_abi.hpp"
#include "runtime/files.hpp"
#include "wire/xgboost/xgboost_model.hpp"

namespace strata::engines::xgboost {

namespace {

using platform::inference::ModelInterface;
using platform::inference::ModelRunner;
using wire::ElementType;
using wire::Tensor;
using wire::XgBoostShape;

constexpr std::int64_t kMostValues = std::int64_t{1} << 25;  // of one answer: 128 MiB
constexpr const char* kOpenMp = "libgomp-e985bcbb.so.1.0.0";

// How the scikit-learn classes make their answer of the booster's.
enum class Answer : std::uint8_t { kValues, kClassOfScores, kClassOfProbability, kClassItself };

Error failed(const XgBoostAbi& abi, std::string_view call) {
  return internal(fmt::format("XGBoost {}: {}", call, printable(abi.GetLastError(), 300)));
}

struct Scores {
  const float* values;
  std::int64_t width;  // values of a row
  bool wide;           // a row is an array, be it of one value
};

class Runner final : public ModelRunner {
 public:
  Runner(std::shared_ptr<const XgBoostAbi> abi, XgBoostAbi::Booster booster)
      : abi_(std::move(abi)),
        booster_(booster) {}
  ~Runner() override { abi_->BoosterFree(booster_); }

  // `model_class` is the Python class that the model was logged as.
  Status learn(const XgBoostShape& shape, std::string_view model_class) {
    if (abi_->BoosterSetParam(booster_, "nthread", "1") != 0) return failed(*abi_, "SetParam");
    features_ = shape.features;
    plain_ = !model_class.contains(".sklearn.");
    STRATA_TRY(choose_trees());
    STRATA_TRY(learn_names());
    // The first call prepares the booster, which only one thread may do.
    const std::vector<double> missing(static_cast<std::size_t>(features_),
                                      std::numeric_limits<double>::quiet_NaN());
    const auto tried = score(missing.data(), 1);
    if (!tried) return tried.error();
    width_ = tried->width;
    if (width_ > shape.groups) return internal("XGBoost gives more values than the model has");
    answer_ = Answer::kValues;
    if (model_class.ends_with("Classifier")) {
      if (shape.targets > 1)
        return Error(Code::kUnsupported, "the model is a classifier of several labels at a time");
      answer_ = tried->wide && width_ > 1            ? Answer::kClassOfScores
                : shape.objective == "multi:softmax" ? Answer::kClassItself
                                                     : Answer::kClassOfProbability;
    }
    interface_.inputs = {{"input", ElementType::kFp64, {-1, features_}}};
    const auto type = answer_ == Answer::kValues        ? ElementType::kFp32
                      : answer_ == Answer::kClassItself ? ElementType::kInt32
                                                        : ElementType::kInt64;
    interface_.outputs = {{"predict", type, {-1}}};
    if (answer_ == Answer::kValues && tried->wide) interface_.outputs[0].shape.push_back(width_);
    interface_.bare_output = true;
    interface_.steady_cost = true;
    return {};
  }

  const ModelInterface& interface() const override { return interface_; }

  // Each row costs one way down each tree, so a run ends by itself.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                  const std::stop_token&) const override {
    const Tensor& matrix = inputs[0];
    const std::int64_t rows = matrix.shape[0];
    if (rows > kMostValues / width_) {
      return Error(Code::kTooLarge,
                   fmt::format("{} rows of {} values are more than the {} values that an answer "
                               "may have; send fewer rows at a time",
                               rows, width_, kMostValues));
    }
    const auto values = matrix.as<double>();
    if (plain_) STRATA_TRY(check_finite(values));
    auto shape = interface_.outputs[0].shape;
    shape[0] = rows;
    Tensor output("predict", interface_.outputs[0].type, std::move(shape));
    if (rows == 0) {
      with_element(output.type, [&](auto zero) { output.allocate<decltype(zero)>(0); });
    } else {
      const auto scores = score(values.data(), rows);
      if (!scores) return scores.error();
      if (scores->width != width_) return internal("XGBoost gives another number of values");
      fill(output, *scores, static_cast<std::size_t>(rows));
    }
    std::vector<Tensor> outputs;
    outputs.push_back(std::move(output));
    return outputs;
  }

 private:
  // A booster uses all trees; the scikit-learn classes those up to the best round, if one was
  // looked for.
  Status choose_trees() {
    std::int64_t end = 0;
    const char* best = nullptr;
    int found = 0;
    if (!plain_ && abi_->BoosterGetAttr(booster_, "best_iteration", &best, &found) != 0)
      return failed(*abi_, "GetAttr");
    if (found != 0) {
      const auto round = to_int(best);
      if (!round || *round < 0 || *round >= std::numeric_limits<std::int32_t>::max())
        return invalid("best_iteration", "best_iteration: is no number of a round");
      end = *round + 1;
    }
    config_ = fmt::format(R"({{"type":0,"training":false,"iteration_begin":0,"iteration_end":{},)"
                          R"("strict_shape":false,"missing":NaN,"cache_id":0}})",
                          end);
    return {};
  }

  Status learn_names() {
    XgBoostAbi::Count count = 0;
    const char** names = nullptr;
    if (abi_->BoosterGetStrFeatureInfo(booster_, "feature_name", &count, &names) != 0)
      return failed(*abi_, "GetStrFeatureInfo");
    for (XgBoostAbi::Count i = 0; i < count; ++i)
      interface_.features.emplace_back(names[i]);
    return {};
  }

  // As in Python, where a DMatrix refuses what is infinite as a float.
  static Status check_finite(std::span<const double> values) {
    const auto bad = std::find_if(values.begin(), values.end(), [](double value) {
      return std::isinf(static_cast<float>(value));
    });
    if (bad == values.end()) return {};
    return invalid("input", fmt::format("input: the value {} is infinite, or too large for the "
                                        "model's single precision; a missing value is null or NaN",
                                        *bad));
  }

  Result<Scores> score(const double* data, std::int64_t rows) const {
    const auto values =
        fmt::format(R"({{"data":[{},true],"shape":[{},{}],"typestr":"<f8","version":3}})",
                    reinterpret_cast<std::uintptr_t>(data), rows, features_);
    const XgBoostAbi::Count* shape = nullptr;
    XgBoostAbi::Count dimensions = 0;
    Scores out{nullptr, 1, false};
    if (abi_->BoosterPredictFromDense(booster_, values.c_str(), config_.c_str(), nullptr, &shape,
                                      &dimensions, &out.values) != 0) {
      return failed(*abi_, "Predict");
    }
    const bool fits =
        dimensions >= 1 && dimensions <= 2 && shape[0] == static_cast<XgBoostAbi::Count>(rows);
    if (!fits) return internal("XGBoost answers in another shape than rows");
    out.wide = dimensions == 2;
    if (out.wide) out.width = static_cast<std::int64_t>(shape[1]);
    if (out.width < 1) return internal("XGBoost gives no values");
    return out;
  }

  void fill(Tensor& output, const Scores& scores, std::size_t rows) const {
    const auto width = static_cast<std::size_t>(scores.width);
    const std::span all(scores.values, rows * width);
    if (answer_ == Answer::kValues) {
      std::copy(all.begin(), all.end(), output.allocate<float>(all.size()).begin());
    } else if (answer_ == Answer::kClassItself) {
      std::transform(all.begin(), all.end(), output.allocate<std::int32_t>(rows).begin(),
                     [](float value) { return static_cast<std::int32_t>(value); });
    } else {
      const auto labels = output.allocate<std::int64_t>(rows);
      for (std::size_t r = 0; r < rows; ++r) {
        const auto row = all.subspan(r * width, width);
        // The first of several largest, as numpy's argmax.
        labels[r] = answer_ == Answer::kClassOfProbability
                        ? static_cast<std::int64_t>(row[0] > 0.5F)
                        : std::max_element(row.begin(), row.end()) - row.begin();
      }
    }
  }

  std::shared_ptr<const XgBoostAbi> abi_;
  XgBoostAbi::Booster booster_;
  std::int64_t features_ = 0;
  std::int64_t width_ = 1;
  bool plain_ = true;  // a Booster, not one of the scikit-learn classes
  Answer answer_ = Answer::kValues;
  std::string config_;
  ModelInterface interface_;
};

template <class F>
void resolve(void* handle, const char* name, F& out, std::string& missing) {
  out = reinterpret_cast<F>(dlsym(handle, name));
  if (out == nullptr) missing += fmt::format(" {}", name);
}

void drop_log_line(const char*) {}

}  // namespace

XgBoostEngine::XgBoostEngine(std::string library) : library_(std::move(library)) {}
XgBoostEngine::~XgBoostEngine() = default;

Result<std::shared_ptr<const XgBoostAbi>> XgBoostEngine::open() {
  const std::lock_guard lock(mutex_);
  if (abi_ != nullptr) return abi_;
  // The library looks for its OpenMP by this name where it was built; one that is open is taken.
  // Neither is ever closed: OpenMP's threads would outlive their code.
  const auto folder = library_.substr(0, library_.rfind('/') + 1);
  (void)dlopen((folder + kOpenMp).c_str(), RTLD_NOW | RTLD_LOCAL);
  void* handle = dlopen(library_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error(Code::kUnavailable,
                 fmt::format("XGBoost cannot be opened: {}", printable(dlerror(), 300)));
  }
  auto abi = std::make_shared<XgBoostAbi>();
  std::string missing;
  resolve(handle, "XGBGetLastError", abi->GetLastError, missing);
  resolve(handle, "XGBRegisterLogCallback", abi->RegisterLogCallback, missing);
  resolve(handle, "XGBoosterCreate", abi->BoosterCreate, missing);
  resolve(handle, "XGBoosterFree", abi->BoosterFree, missing);
  resolve(handle, "XGBoosterLoadModelFromBuffer", abi->BoosterLoadModelFromBuffer, missing);
  resolve(handle, "XGBoosterSetParam", abi->BoosterSetParam, missing);
  resolve(handle, "XGBoosterGetAttr", abi->BoosterGetAttr, missing);
  resolve(handle, "XGBoosterGetStrFeatureInfo", abi->BoosterGetStrFeatureInfo, missing);
  resolve(handle, "XGBoosterPredictFromDense", abi->BoosterPredictFromDense, missing);
  if (!missing.empty()) {
    return Error(Code::kUnavailable,
                 fmt::format("{} lacks{}; XGBoost 3 is needed", library_, missing));
  }
  abi->RegisterLogCallback(&drop_log_line);
  abi_ = std::move(abi);
  return abi_;
}

Result<std::unique_ptr<ModelRunner>> XgBoostEngine::load(const std::string& directory,
                                                         const wire::MlModel& model) {
  const auto& flavor = model.flavors.at("xgboost");
  const auto setting = [&](const char* name) {
    const auto found = flavor.find(name);
    return found == flavor.end() ? std::string() : found->second;
  };
  const std::string file = setting("data").empty() ? "model.ubj" : setting("data");
  if (!file.ends_with(".ubj") && !file.ends_with(".json")) {
    return Error(Code::kUnsupported,
                 fmt::format("the model lies in '{}', in a form that XGBoost has given up; log it "
                             "again with model_format='ubj'",
                             printable(file)));
  }
  auto abi = open();
  if (!abi) return std::move(abi).error();
  SystemFiles files;
  const auto bytes = files.read_all(directory + "/" + file);
  if (!bytes) return bytes.error();
  // XGBoost believes what stands there: a damaged number ends the process.
  const auto shape = wire::check_xgboost_model(*bytes);
  if (!shape) return shape.error().wrap(fmt::format("{} cannot be served", printable(file)));
  XgBoostAbi::Booster booster = nullptr;
  if ((*abi)->BoosterCreate(nullptr, 0, &booster) != 0) return failed(**abi, "Create");
  auto runner = std::make_unique<Runner>(*abi, booster);
  if ((*abi)->BoosterLoadModelFromBuffer(booster, bytes->data(), bytes->size()) != 0) {
    return Error(Code::kInvalidArgument, fmt::format("{} is no XGBoost model: {}", printable(file),
                                                     printable((*abi)->GetLastError(), 300)));
  }
  STRATA_TRY(runner->learn(*shape, setting("model_class")));
  return std::unique_ptr<ModelRunner>(std::move(runner));
}

}  // namespace strata::engines::xgboost
