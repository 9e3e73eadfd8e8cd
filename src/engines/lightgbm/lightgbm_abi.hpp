#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::engines::lightgbm {

// The calls of LightGBM's C API that serving needs, as its documentation declares them; opened by
// name, so a library that lacks one is refused when it is loaded. Every call returns 0 for success;
// then GetLastError() has nothing to say.
struct LightGbmAbi {
  using Booster = void*;
  using FastConfig = void*;

  static constexpr int kFloat64 = 1;        // C_API_DTYPE_FLOAT64
  static constexpr int kPredictNormal = 0;  // C_API_PREDICT_NORMAL: with the objective's transform

  const char* (*GetLastError)() = nullptr;
  int (*RegisterLogCallback)(void (*callback)(const char*)) = nullptr;
  int (*BoosterLoadModelFromString)(const char* model, int* iterations, Booster* out) = nullptr;
  int (*BoosterFree)(Booster booster) = nullptr;
  int (*BoosterGetNumClasses)(Booster booster, int* out) = nullptr;
  int (*BoosterGetNumFeature)(Booster booster, int* out) = nullptr;
  int (*BoosterGetFeatureNames)(Booster booster, int capacity, int* out_count,
                                std::size_t buffer_size, std::size_t* out_buffer_size,
                                char** out) = nullptr;
  int (*BoosterPredictForMat)(Booster booster, const void* data, int data_type, std::int32_t rows,
                              std::int32_t columns, int row_major, int predict_type,
                              int start_iteration, int iterations, const char* parameter,
                              std::int64_t* out_length, double* out) = nullptr;
  int (*BoosterPredictForMatSingleRowFastInit)(Booster booster, int predict_type,
                                               int start_iteration, int iterations, int data_type,
                                               std::int32_t columns, const char* parameter,
                                               FastConfig* out) = nullptr;
  int (*BoosterPredictForMatSingleRowFast)(FastConfig config, const void* data,
                                           std::int64_t* out_length, double* out) = nullptr;
  int (*FastConfigFree)(FastConfig config) = nullptr;
};

}  // namespace strata::engines::lightgbm
