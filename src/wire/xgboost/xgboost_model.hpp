#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace strata::wire {

// What a file of an XGBoost model declares, once all of it was found to be consistent.
struct XgBoostShape {
  std::int64_t features = 0;  // columns of a row
  std::int64_t groups = 1;    // values for each row before the objective's transform
  std::size_t trees = 0;
  std::int64_t classes = 0;  // 0 or 1 unless the objective has several
  std::int64_t targets = 1;
  std::string objective;
};

// Checks a model as XGBoost writes it since version 1.3 (model.json, and model.ubj as Universal
// Binary JSON draft 12) for all that XGBoost itself believes unchecked, where a damaged number
// would end the process, make it spin or make it read and write beside an array: the length and
// range of each tree's arrays, that its nodes are one tree, the group that each tree adds to, and
// the numbers of classes and features. Costs one pass over the file and memory of a few times its
// size. Errors: kInvalidArgument naming the tree and the field, kMalformed for what is neither
// form, kTooLarge, kUnsupported for linear boosters, trees with vectors in their leaves and
// categorical features. Follows XGBoost 3's Learner, GBTreeModel and RegTree LoadModel.
Result<XgBoostShape> check_xgboost_model(std::string_view bytes);

}  // namespace strata::wire
