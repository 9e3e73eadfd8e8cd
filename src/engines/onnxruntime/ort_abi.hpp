#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::engines::onnxruntime {

// ONNX Runtime's C API as far as serving needs it. The library exports one function that gives a
// table of function pointers; the table only ever grows at its end, so a call is its place in it.
// The places here hold for every release since 1.16; onnxruntime_test checks by use that each of
// them does what it should in the library at hand.

struct OrtStatus;  // null for success, else to be released
struct OrtEnv;
struct OrtSession;
struct OrtSessionOptions;
struct OrtRunOptions;
struct OrtThreadingOptions;
struct OrtValue;
struct OrtTypeInfo;
struct OrtTensorInfo;
struct OrtMemoryInfo;
struct OrtAllocator;
struct OrtArenaConfig;

struct OrtApiBase {
  const void* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

inline constexpr std::uint32_t kOrtApiVersion = 16;  // the oldest table that has all calls below

enum OrtElement : int {
  kOrtFloat = 1,
  kOrtUint8 = 2,
  kOrtInt8 = 3,
  kOrtUint16 = 4,
  kOrtInt16 = 5,
  kOrtInt32 = 6,
  kOrtInt64 = 7,
  kOrtString = 8,
  kOrtBool = 9,
  kOrtFloat16 = 10,
  kOrtDouble = 11,
  kOrtUint32 = 12,
  kOrtUint64 = 13
};
inline constexpr int kOrtTensor = 1;  // ONNX_TYPE_TENSOR
inline constexpr int kOrtArenaAllocator = 1;
inline constexpr int kOrtMemoryDefault = 0;
inline constexpr int kOrtLogFatal = 4;
inline constexpr int kOrtNoOptimization = 0;
inline constexpr int kOrtExtendAsAsked = 1;

// The place of each call in the table.
enum class OrtSlot : std::size_t {
  kGetErrorMessage = 2,
  kCreateSession = 7,
  kRun = 9,
  kCreateSessionOptions = 10,
  kSetSessionGraphOptimizationLevel = 23,
  kSessionGetInputCount = 30,
  kSessionGetOutputCount = 31,
  kSessionGetInputTypeInfo = 33,
  kSessionGetOutputTypeInfo = 34,
  kSessionGetInputName = 36,
  kSessionGetOutputName = 37,
  kCreateRunOptions = 39,
  kRunOptionsSetTerminate = 46,
  kCreateTensorAsOrtValue = 48,
  kCreateTensorWithDataAsOrtValue = 49,
  kGetTensorMutableData = 51,
  kFillStringTensor = 52,
  kGetStringTensorDataLength = 53,
  kGetStringTensorContent = 54,
  kCastTypeInfoToTensorInfo = 55,
  kGetOnnxTypeFromTypeInfo = 56,
  kGetTensorElementType = 60,
  kGetDimensionsCount = 61,
  kGetDimensions = 62,
  kGetTensorTypeAndShape = 65,
  kGetValueType = 67,
  kCreateCpuMemoryInfo = 69,
  kAllocatorFree = 76,
  kGetAllocatorWithDefaultOptions = 78,
  kReleaseEnv = 92,
  kReleaseStatus = 93,
  kReleaseMemoryInfo = 94,
  kReleaseSession = 95,
  kReleaseValue = 96,
  kReleaseRunOptions = 97,
  kReleaseTypeInfo = 98,
  kReleaseTensorTypeAndShapeInfo = 99,
  kReleaseSessionOptions = 100,
  kCreateEnvWithGlobalThreadPools = 119,
  kDisablePerSessionThreads = 120,
  kCreateThreadingOptions = 121,
  kReleaseThreadingOptions = 122,
  kAddSessionConfigEntry = 130,
  kCreateAndRegisterAllocator = 144,
  kSetGlobalIntraOpNumThreads = 147,
  kSetGlobalInterOpNumThreads = 148,
  kSetGlobalSpinControl = 149,
  kCreateArenaConfig = 156,
  kReleaseArenaConfig = 157,
};

// The signature of each call.
template <OrtSlot>
struct OrtCall;
#define STRATA_ORT_CALL(name, ...)   \
  template <>                        \
  struct OrtCall<OrtSlot::k##name> { \
    using Type = __VA_ARGS__;        \
  }
STRATA_ORT_CALL(GetErrorMessage, const char* (*)(const OrtStatus*));
STRATA_ORT_CALL(CreateSession, OrtStatus* (*)(const OrtEnv*, const char* path,
                                              const OrtSessionOptions*, OrtSession**));
STRATA_ORT_CALL(Run, OrtStatus* (*)(OrtSession*, const OrtRunOptions*,
                                    const char* const* input_names, const OrtValue* const* inputs,
                                    std::size_t input_count, const char* const* output_names,
                                    std::size_t output_count, OrtValue** outputs));
STRATA_ORT_CALL(CreateSessionOptions, OrtStatus* (*)(OrtSessionOptions**));
STRATA_ORT_CALL(SetSessionGraphOptimizationLevel, OrtStatus* (*)(OrtSessionOptions*, int level));
STRATA_ORT_CALL(CreateRunOptions, OrtStatus* (*)(OrtRunOptions**));
STRATA_ORT_CALL(RunOptionsSetTerminate, OrtStatus* (*)(OrtRunOptions*));
STRATA_ORT_CALL(ReleaseRunOptions, void (*)(OrtRunOptions*));
STRATA_ORT_CALL(SessionGetInputCount, OrtStatus* (*)(const OrtSession*, std::size_t*));
STRATA_ORT_CALL(SessionGetOutputCount, OrtStatus* (*)(const OrtSession*, std::size_t*));
STRATA_ORT_CALL(SessionGetInputTypeInfo,
                OrtStatus* (*)(const OrtSession*, std::size_t, OrtTypeInfo**));
STRATA_ORT_CALL(SessionGetOutputTypeInfo,
                OrtStatus* (*)(const OrtSession*, std::size_t, OrtTypeInfo**));
STRATA_ORT_CALL(SessionGetInputName,
                OrtStatus* (*)(const OrtSession*, std::size_t, OrtAllocator*, char**));
STRATA_ORT_CALL(SessionGetOutputName,
                OrtStatus* (*)(const OrtSession*, std::size_t, OrtAllocator*, char**));
STRATA_ORT_CALL(CreateTensorAsOrtValue,
                OrtStatus* (*)(OrtAllocator*, const std::int64_t*, std::size_t, int, OrtValue**));
STRATA_ORT_CALL(CreateTensorWithDataAsOrtValue,
                OrtStatus* (*)(const OrtMemoryInfo*, void*, std::size_t, const std::int64_t*,
                               std::size_t, int, OrtValue**));
STRATA_ORT_CALL(GetTensorMutableData, OrtStatus* (*)(OrtValue*, void**));
STRATA_ORT_CALL(FillStringTensor, OrtStatus* (*)(OrtValue*, const char* const*, std::size_t));
STRATA_ORT_CALL(GetStringTensorDataLength, OrtStatus* (*)(const OrtValue*, std::size_t*));
STRATA_ORT_CALL(GetStringTensorContent,
                OrtStatus* (*)(const OrtValue*, void*, std::size_t, std::size_t*, std::size_t));
STRATA_ORT_CALL(CastTypeInfoToTensorInfo,
                OrtStatus* (*)(const OrtTypeInfo*, const OrtTensorInfo**));
STRATA_ORT_CALL(GetOnnxTypeFromTypeInfo, OrtStatus* (*)(const OrtTypeInfo*, int*));
STRATA_ORT_CALL(GetTensorElementType, OrtStatus* (*)(const OrtTensorInfo*, int*));
STRATA_ORT_CALL(GetDimensionsCount, OrtStatus* (*)(const OrtTensorInfo*, std::size_t*));
STRATA_ORT_CALL(GetDimensions, OrtStatus* (*)(const OrtTensorInfo*, std::int64_t*, std::size_t));
STRATA_ORT_CALL(GetTensorTypeAndShape, OrtStatus* (*)(const OrtValue*, OrtTensorInfo**));
STRATA_ORT_CALL(GetValueType, OrtStatus* (*)(const OrtValue*, int*));
STRATA_ORT_CALL(CreateCpuMemoryInfo, OrtStatus* (*)(int allocator, int memory, OrtMemoryInfo**));
STRATA_ORT_CALL(AllocatorFree, OrtStatus* (*)(OrtAllocator*, void*));
STRATA_ORT_CALL(GetAllocatorWithDefaultOptions, OrtStatus* (*)(OrtAllocator**));
STRATA_ORT_CALL(ReleaseEnv, void (*)(OrtEnv*));
STRATA_ORT_CALL(ReleaseStatus, void (*)(OrtStatus*));
STRATA_ORT_CALL(ReleaseMemoryInfo, void (*)(OrtMemoryInfo*));
STRATA_ORT_CALL(ReleaseSession, void (*)(OrtSession*));
STRATA_ORT_CALL(ReleaseValue, void (*)(OrtValue*));
STRATA_ORT_CALL(ReleaseTypeInfo, void (*)(OrtTypeInfo*));
STRATA_ORT_CALL(ReleaseTensorTypeAndShapeInfo, void (*)(OrtTensorInfo*));
STRATA_ORT_CALL(ReleaseSessionOptions, void (*)(OrtSessionOptions*));
STRATA_ORT_CALL(CreateEnvWithGlobalThreadPools,
                OrtStatus* (*)(int level, const char* id, const OrtThreadingOptions*, OrtEnv**));
STRATA_ORT_CALL(DisablePerSessionThreads, OrtStatus* (*)(OrtSessionOptions*));
STRATA_ORT_CALL(CreateThreadingOptions, OrtStatus* (*)(OrtThreadingOptions**));
STRATA_ORT_CALL(ReleaseThreadingOptions, void (*)(OrtThreadingOptions*));
STRATA_ORT_CALL(AddSessionConfigEntry,
                OrtStatus* (*)(OrtSessionOptions*, const char* key, const char* value));
STRATA_ORT_CALL(CreateAndRegisterAllocator,
                OrtStatus* (*)(OrtEnv*, const OrtMemoryInfo*, const OrtArenaConfig*));
STRATA_ORT_CALL(CreateArenaConfig,
                OrtStatus* (*)(std::size_t most_bytes, int extend, int first_bytes, int dead_bytes,
                               OrtArenaConfig**));
STRATA_ORT_CALL(ReleaseArenaConfig, void (*)(OrtArenaConfig*));
STRATA_ORT_CALL(SetGlobalIntraOpNumThreads, OrtStatus* (*)(OrtThreadingOptions*, int));
STRATA_ORT_CALL(SetGlobalInterOpNumThreads, OrtStatus* (*)(OrtThreadingOptions*, int));
STRATA_ORT_CALL(SetGlobalSpinControl, OrtStatus* (*)(OrtThreadingOptions*, int allow));
#undef STRATA_ORT_CALL

// The table of one loaded library.
class OrtApi {
 public:
  explicit OrtApi(const void* table) : table_(static_cast<void* const*>(table)) {}
  // api.call<OrtSlot::kRun>(...)
  template <OrtSlot slot, class... Args>
  auto call(Args... args) const {
    return reinterpret_cast<typename OrtCall<slot>::Type>(table_[static_cast<std::size_t>(slot)])(
        args...);
  }

 private:
  void* const* table_;
};

}  // namespace strata::engines::onnxruntime
