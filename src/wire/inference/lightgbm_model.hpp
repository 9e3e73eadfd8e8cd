#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace strata::wire {

// What the text of a LightGBM model declares, once all of it was found to be consistent.
struct LightGbmShape {
  std::int32_t classes = 0;   // values for each row
  std::int32_t features = 0;  // columns of a row
  std::size_t trees = 0;      // a multiple of `classes`
  std::size_t trees_end = 0;  // where the last tree ends in the text
};

// Checks a model as LightGBM writes it (model.lgb, versions v2 to v4) for all that LightGBM itself
// believes unchecked, where a damaged number would end the process or make it read or write beside
// an array: the header, the places of the trees, the length and range of each of their arrays, and
// that the nodes of each tree are one tree. What stands behind the trees (importances, parameters)
// is not looked at. Costs one pass over the text and memory in proportion to the largest tree.
// Errors: kInvalidArgument naming the line's key, its tree and what is wrong with it.
// Follows LightGBM 4's GBDT::LoadModelFromString and Tree::Tree(const char*, size_t*).
Result<LightGbmShape> check_lightgbm_model(std::string_view text);

}  // namespace strata::wire
