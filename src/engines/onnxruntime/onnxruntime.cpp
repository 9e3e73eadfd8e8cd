#include "engines/onnxruntime/onnxruntime.hpp"

#include <cerrno>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "engines/onnxruntime/ort_abi.hpp"
#include "wire/inference/onnx_graph.hpp"

namespace strata::engines::onnxruntime {

using platform::inference::ModelInterface;
using platform::inference::ModelRunner;
using wire::ElementType;
using wire::Tensor;

// The opened library with what all sessions share. Never unloaded: the library does not promise to
// survive that.
class OrtRuntime {
 public:
  explicit OrtRuntime(const void* table) : api(table) {}
  ~OrtRuntime() {
    if (memory != nullptr) api.call<OrtSlot::kReleaseMemoryInfo>(memory);
    if (env != nullptr) api.call<OrtSlot::kReleaseEnv>(env);
  }
  OrtRuntime(const OrtRuntime&) = delete;
  OrtRuntime& operator=(const OrtRuntime&) = delete;

  // Success, or the library's message.
  Status check(OrtStatus* status, Code code = Code::kInternal) const {
    if (status == nullptr) return {};
    const std::string message = printable(api.call<OrtSlot::kGetErrorMessage>(status), 400);
    api.call<OrtSlot::kReleaseStatus>(status);
    return Error(code, "ONNX Runtime: " + message);
  }

  OrtApi api;
  OrtEnv* env = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtAllocator* allocator = nullptr;  // owned by the library
};

namespace {

struct ElementPair {
  int ort;
  ElementType type;
};
constexpr std::array<ElementPair, 13> kElements = {{{kOrtFloat, ElementType::kFp32},
                                                    {kOrtUint8, ElementType::kUint8},
                                                    {kOrtInt8, ElementType::kInt8},
                                                    {kOrtUint16, ElementType::kUint16},
                                                    {kOrtInt16, ElementType::kInt16},
                                                    {kOrtInt32, ElementType::kInt32},
                                                    {kOrtInt64, ElementType::kInt64},
                                                    {kOrtString, ElementType::kText},
                                                    {kOrtBool, ElementType::kBool},
                                                    {kOrtFloat16, ElementType::kFp16},
                                                    {kOrtDouble, ElementType::kFp64},
                                                    {kOrtUint32, ElementType::kUint32},
                                                    {kOrtUint64, ElementType::kUint64}}};

std::optional<ElementType> type_of(int ort) {
  for (const auto& pair : kElements) {
    if (pair.ort == ort) return pair.type;
  }
  return std::nullopt;
}

int ort_of(ElementType type) {
  for (const auto& pair : kElements) {
    if (pair.type == type) return pair.ort;
  }
  return 0;
}

// Releases a value when it goes out of scope.
class Value {
 public:
  Value(const OrtApi& api, OrtValue* value) : api_(&api), value_(value) {}
  Value(Value&& other) noexcept : api_(other.api_), value_(std::exchange(other.value_, nullptr)) {}
  Value& operator=(Value&&) = delete;
  ~Value() {
    if (value_ != nullptr) api_->call<OrtSlot::kReleaseValue>(value_);
  }
  OrtValue* get() const { return value_; }

 private:
  const OrtApi* api_;
  OrtValue* value_;
};

class Runner final : public ModelRunner {
 public:
  Runner(std::shared_ptr<const OrtRuntime> runtime, OrtSession* session)
      : runtime_(std::move(runtime)),
        api_(runtime_->api),
        session_(session) {}
  ~Runner() override { api_.call<OrtSlot::kReleaseSession>(session_); }

  Status learn() {
    std::size_t count = 0;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kSessionGetInputCount>(session_, &count)));
    for (std::size_t i = 0; i < count; ++i) {
      STRATA_TRY((learn_one<OrtSlot::kSessionGetInputName, OrtSlot::kSessionGetInputTypeInfo>(
          i, "input", interface_.inputs)));
    }
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kSessionGetOutputCount>(session_, &count)));
    for (std::size_t i = 0; i < count; ++i) {
      STRATA_TRY((learn_one<OrtSlot::kSessionGetOutputName, OrtSlot::kSessionGetOutputTypeInfo>(
          i, "output", interface_.outputs)));
    }
    for (const auto& spec : interface_.inputs)
      input_names_.push_back(spec.name.c_str());
    for (const auto& spec : interface_.outputs)
      output_names_.push_back(spec.name.c_str());
    return {};
  }

  // The cost of one more row says what many cost only where rows are all that can grow.
  void learn_cost(const wire::OnnxTraits& traits) {
    interface_.steady_cost = traits.steady;
    for (const auto& spec : interface_.inputs) {
      for (std::size_t i = 1; i < spec.shape.size(); ++i)
        interface_.steady_cost = interface_.steady_cost && spec.shape[i] >= 0;
    }
  }

  const ModelInterface& interface() const override { return interface_; }

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                  const std::stop_token& stop) const override {
    OrtRunOptions* options = nullptr;
    // A run that nobody can stop needs none.
    if (stop.stop_possible())
      STRATA_TRY(runtime_->check(api_.call<OrtSlot::kCreateRunOptions>(&options)));
    auto outputs = [&] {
      // Looked at between the nodes of the graph.
      const std::stop_callback end(stop, [&] {
        if (options == nullptr) return;
        if (const auto told = runtime_->check(api_.call<OrtSlot::kRunOptionsSetTerminate>(options));
            !told) {
          log::error("onnx.terminate", Json::object({{"error", told.error().message}}));
        }
      });
      return run_with(options, inputs);
    }();
    if (options != nullptr) api_.call<OrtSlot::kReleaseRunOptions>(options);
    if (!outputs && stop.stop_requested())
      return Error(Code::kCancelled, "the run was stopped before its end");
    return outputs;
  }

 private:
  Result<std::vector<Tensor>> run_with(const OrtRunOptions* options,
                                       std::span<const Tensor> inputs) const {
    std::vector<Value> values;
    std::vector<const OrtValue*> arguments;
    for (const auto& tensor : inputs) {
      auto value = make_value(tensor);
      if (!value) return std::move(value).error();
      arguments.push_back(value->get());
      values.push_back(*std::move(value));
    }
    std::vector<OrtValue*> raw(output_names_.size(), nullptr);
    // What goes wrong in a run is nearly always a shape or a value that the graph does not take.
    auto status = runtime_->check(
        api_.call<OrtSlot::kRun>(session_, options, input_names_.data(), arguments.data(),
                                 arguments.size(), output_names_.data(), output_names_.size(),
                                 raw.data()),
        Code::kInvalidArgument);
    std::vector<Value> results;
    results.reserve(raw.size());
    for (auto* value : raw)
      results.emplace_back(api_, value);
    if (!status) return std::move(status).error();
    std::vector<Tensor> outputs;
    for (std::size_t i = 0; i < results.size(); ++i) {
      auto tensor = read_value(results[i].get(), interface_.outputs[i].name);
      if (!tensor) return std::move(tensor).error();
      outputs.push_back(*std::move(tensor));
    }
    return outputs;
  }

  template <OrtSlot name_slot, OrtSlot type_slot>
  Status learn_one(std::size_t index, std::string_view what, std::vector<wire::TensorSpec>& out) {
    char* name = nullptr;
    STRATA_TRY(runtime_->check(api_.call<name_slot>(session_, index, runtime_->allocator, &name)));
    wire::TensorSpec spec;
    spec.name = name;
    STRATA_TRY(runtime_->check(
        api_.call<OrtSlot::kAllocatorFree>(runtime_->allocator, static_cast<void*>(name))));
    OrtTypeInfo* info = nullptr;
    STRATA_TRY(runtime_->check(api_.call<type_slot>(session_, index, &info)));
    auto status = read_type(info, what, spec);
    api_.call<OrtSlot::kReleaseTypeInfo>(info);
    out.push_back(std::move(spec));
    return status;
  }

  Status read_type(const OrtTypeInfo* info, std::string_view what, wire::TensorSpec& spec) const {
    int kind = 0;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetOnnxTypeFromTypeInfo>(info, &kind)));
    if (kind != kOrtTensor) {
      return Error(
          Code::kUnsupported,
          fmt::format("the graph's {} '{}' is a sequence or map; convert the model with tensor "
                      "outputs (skl2onnx: options={{'zipmap': False}})",
                      what, printable(spec.name)));
    }
    const OrtTensorInfo* tensor = nullptr;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kCastTypeInfoToTensorInfo>(info, &tensor)));
    return read_tensor_info(tensor, what, spec);
  }

  Status read_tensor_info(const OrtTensorInfo* info, std::string_view what,
                          wire::TensorSpec& spec) const {
    int element = 0;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetTensorElementType>(info, &element)));
    const auto type = type_of(element);
    if (!type) {
      return Error(Code::kUnsupported,
                   fmt::format("the graph's {} '{}' has ONNX element type {}, which is not offered",
                               what, printable(spec.name), element));
    }
    spec.type = *type;
    std::size_t rank = 0;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetDimensionsCount>(info, &rank)));
    spec.shape.assign(rank, 0);
    return runtime_->check(api_.call<OrtSlot::kGetDimensions>(info, spec.shape.data(), rank));
  }

  Result<Value> make_value(const Tensor& tensor) const {
    OrtValue* value = nullptr;
    if (tensor.type != ElementType::kText) {
      // The library does not write to inputs; its signature only says void*.
      void* data = const_cast<char*>(tensor.bytes().data());
      STRATA_TRY(runtime_->check(api_.call<OrtSlot::kCreateTensorWithDataAsOrtValue>(
          runtime_->memory, data, tensor.bytes().size(), tensor.shape.data(), tensor.shape.size(),
          ort_of(tensor.type), &value)));
      return Value(api_, value);
    }
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kCreateTensorAsOrtValue>(
        runtime_->allocator, tensor.shape.data(), tensor.shape.size(), int{kOrtString}, &value)));
    Value owner(api_, value);
    std::vector<const char*> texts;
    texts.reserve(tensor.texts.size());
    for (const auto& text : tensor.texts)
      texts.push_back(text.c_str());
    STRATA_TRY(
        runtime_->check(api_.call<OrtSlot::kFillStringTensor>(value, texts.data(), texts.size())));
    return owner;
  }

  Result<Tensor> read_value(OrtValue* value, const std::string& name) const {
    OrtTensorInfo* info = nullptr;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetTensorTypeAndShape>(value, &info)));
    wire::TensorSpec spec;
    spec.name = name;
    const auto status = read_tensor_info(info, "output", spec);
    api_.call<OrtSlot::kReleaseTensorTypeAndShapeInfo>(info);
    if (!status) return status.error();
    Tensor tensor(name, spec.type, spec.shape);
    if (spec.type == ElementType::kText) {
      STRATA_TRY(read_texts(value, tensor));
      return tensor;
    }
    void* data = nullptr;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetTensorMutableData>(value, &data)));
    const std::size_t size = tensor.count() * element_bytes(spec.type);
    const char* bytes = static_cast<const char*>(data);
    tensor.adopt(std::vector<char>(bytes, bytes + size));
    return tensor;
  }

  Status read_texts(const OrtValue* value, Tensor& tensor) const {
    std::size_t length = 0;
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetStringTensorDataLength>(value, &length)));
    std::string all(length, '\0');
    std::vector<std::size_t> offsets(tensor.count());
    STRATA_TRY(runtime_->check(api_.call<OrtSlot::kGetStringTensorContent>(
        value, static_cast<void*>(all.data()), length, offsets.data(), offsets.size())));
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const std::size_t end = i + 1 < offsets.size() ? offsets[i + 1] : length;
      tensor.texts.push_back(
          printable(std::string_view(all).substr(offsets[i], end - offsets[i]), length));
    }
    return {};
  }

  std::shared_ptr<const OrtRuntime> runtime_;
  const OrtApi& api_;
  OrtSession* session_;
  ModelInterface interface_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
};

// Looks at the file where it lies: it may be as large as the memory that the session needs.
Result<wire::OnnxTraits> inspect(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return from_errno(errno, "open", path);
  struct stat facts{};
  void* data = MAP_FAILED;
  if (::fstat(file, &facts) == 0 && facts.st_size > 0) {
    data =
        ::mmap(nullptr, static_cast<std::size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  }
  const int number = errno;
  ::close(file);
  if (facts.st_size == 0) return wire::inspect_onnx("");
  if (data == MAP_FAILED) return from_errno(number, "mmap", path);
  const auto size = static_cast<std::size_t>(facts.st_size);
  auto traits = wire::inspect_onnx({static_cast<const char*>(data), size});
  ::munmap(data, size);
  return traits;
}

// What the runs of all graphs may take together: a quarter of the machine's. A copy of their
// outputs comes to that.
std::size_t most_bytes() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  constexpr std::size_t kLeast = std::size_t{1} << 30U;
  if (pages <= 0 || page <= 0) return kLeast;
  return std::max(kLeast, static_cast<std::size_t>(pages) / 4 * static_cast<std::size_t>(page));
}

// One arena for all sessions, which refuses what would be too much.
Status limit_memory(OrtRuntime& runtime) {
  OrtArenaConfig* config = nullptr;
  STRATA_TRY(runtime.check(runtime.api.call<OrtSlot::kCreateArenaConfig>(
      most_bytes(), int{kOrtExtendAsAsked}, int{-1}, int{-1}, &config)));
  auto status = runtime.check(
      runtime.api.call<OrtSlot::kCreateAndRegisterAllocator>(runtime.env, runtime.memory, config));
  runtime.api.call<OrtSlot::kReleaseArenaConfig>(config);
  return status;
}

// No pool of the library's own: a graph runs on the thread that asks, and idle threads do not spin.
Status start_environment(OrtRuntime& runtime) {
  OrtThreadingOptions* threads = nullptr;
  STRATA_TRY(runtime.check(runtime.api.call<OrtSlot::kCreateThreadingOptions>(&threads)));
  auto status = runtime.check(runtime.api.call<OrtSlot::kSetGlobalIntraOpNumThreads>(threads, 1));
  if (status)
    status = runtime.check(runtime.api.call<OrtSlot::kSetGlobalInterOpNumThreads>(threads, 1));
  if (status) status = runtime.check(runtime.api.call<OrtSlot::kSetGlobalSpinControl>(threads, 0));
  if (status) {
    status = runtime.check(runtime.api.call<OrtSlot::kCreateEnvWithGlobalThreadPools>(
        int{kOrtLogFatal}, "strata", threads, &runtime.env));
  }
  runtime.api.call<OrtSlot::kReleaseThreadingOptions>(threads);
  STRATA_TRY(std::move(status));
  STRATA_TRY(runtime.check(runtime.api.call<OrtSlot::kCreateCpuMemoryInfo>(
      int{kOrtArenaAllocator}, int{kOrtMemoryDefault}, &runtime.memory)));
  STRATA_TRY(runtime.check(
      runtime.api.call<OrtSlot::kGetAllocatorWithDefaultOptions>(&runtime.allocator)));
  return limit_memory(runtime);
}

// For runs; weights are bounded by the file, and are not of that memory.
Status share_limited_memory(const OrtRuntime& runtime, OrtSessionOptions* options) {
  for (const auto* key :
       {"session.use_env_allocators", "session.use_device_allocator_for_initializers"}) {
    STRATA_TRY(runtime.check(runtime.api.call<OrtSlot::kAddSessionConfigEntry>(
        options, key, static_cast<const char*>("1"))));
  }
  return {};
}

}  // namespace

OnnxEngine::OnnxEngine(std::string library) : library_(std::move(library)) {}
OnnxEngine::~OnnxEngine() = default;

Result<std::shared_ptr<const OrtRuntime>> OnnxEngine::open() {
  const std::lock_guard lock(mutex_);
  if (runtime_ != nullptr) return runtime_;
  void* handle = dlopen(library_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error(Code::kUnavailable,
                 fmt::format("ONNX Runtime cannot be opened: {}", printable(dlerror(), 300)));
  }
  const auto base_of = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
  const void* table = base_of == nullptr ? nullptr : base_of()->GetApi(kOrtApiVersion);
  if (table == nullptr) {
    return Error(Code::kUnavailable, fmt::format("{} is no ONNX Runtime of at least version 1.{}",
                                                 library_, kOrtApiVersion));
  }
  auto runtime = std::make_shared<OrtRuntime>(table);
  STRATA_TRY(start_environment(*runtime));
  runtime_ = std::move(runtime);
  return runtime_;
}

Result<std::unique_ptr<ModelRunner>> OnnxEngine::load(const std::string& directory,
                                                      const wire::MlModel& model) {
  auto runtime = open();
  if (!runtime) return std::move(runtime).error();
  const auto& flavor = model.flavors.at("onnx");
  const auto data = flavor.find("data");
  // By path, not from memory: weights may stand in files beside the graph.
  const std::string path =
      directory + "/" +
      (data == flavor.end() || data->second.empty() ? "model.onnx" : data->second);
  const OrtApi& api = (*runtime)->api;
  auto traits = inspect(path);
  if (!traits) return std::move(traits).error();
  OrtSessionOptions* options = nullptr;
  STRATA_TRY((*runtime)->check(api.call<OrtSlot::kCreateSessionOptions>(&options)));
  OrtSession* session = nullptr;
  auto status = (*runtime)->check(api.call<OrtSlot::kDisablePerSessionThreads>(options));
  // An optimizer can empty the body of a loop, which could then not be stopped.
  if (status && traits->loops) {
    status = (*runtime)->check(
        api.call<OrtSlot::kSetSessionGraphOptimizationLevel>(options, int{kOrtNoOptimization}));
  }
  if (status) status = share_limited_memory(**runtime, options);
  if (status) {
    status = (*runtime)->check(
        api.call<OrtSlot::kCreateSession>((*runtime)->env, path.c_str(), options, &session),
        Code::kInvalidArgument);
  }
  api.call<OrtSlot::kReleaseSessionOptions>(options);
  STRATA_TRY(std::move(status));
  auto runner = std::make_unique<Runner>(*runtime, session);
  STRATA_TRY(runner->learn());
  runner->learn_cost(*traits);
  return std::unique_ptr<ModelRunner>(std::move(runner));
}

}  // namespace strata::engines::onnxruntime
