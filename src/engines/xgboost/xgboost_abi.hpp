#pragma once

#include <cstdint>

namespace strata::engines::xgboost {

// The calls of XGBoost's C API that serving needs, as its documentation declares them; opened by
// name, so a library that lacks one is refused when it is loaded. Every call returns 0 for success;
// then GetLastError() has nothing to say. What a call gives belongs to the booster and the calling
// thread, until that thread's next call.
struct XgBoostAbi {
  using Booster = void*;
  using Matrix = void*;
  using Count = std::uint64_t;  // bst_ulong

  const char* (*GetLastError)() = nullptr;
  int (*RegisterLogCallback)(void (*callback)(const char*)) = nullptr;
  int (*BoosterCreate)(const Matrix* cached, Count length, Booster* out) = nullptr;
  int (*BoosterFree)(Booster booster) = nullptr;
  int (*BoosterLoadModelFromBuffer)(Booster booster, const void* bytes, Count length) = nullptr;
  int (*BoosterSetParam)(Booster booster, const char* name, const char* value) = nullptr;
  int (*BoosterGetAttr)(Booster booster, const char* key, const char** out, int* found) = nullptr;
  int (*BoosterGetStrFeatureInfo)(Booster booster, const char* field, Count* length,
                                  const char*** out) = nullptr;
  // `values` is an array interface as JSON, `config` says which trees and which kind of answer.
  int (*BoosterPredictFromDense)(Booster booster, const char* values, const char* config,
                                 Matrix meta, const Count** out_shape, Count* out_dimensions,
                                 const float** out) = nullptr;
};

}  // namespace strata::engines::xgboost
