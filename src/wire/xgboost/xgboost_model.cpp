#include "wire/xgboost/xgboost_model.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "wire/xgboost/ubjson.hpp"

namespace strata::wire {

namespace {

constexpr std::size_t kMaxFile = std::size_t{512} << 20U;
constexpr std::int64_t kMostGroups = 1 << 16;
constexpr std::int64_t kMostFeatures = 1 << 24;
constexpr std::int64_t kNoParent = std::numeric_limits<std::int32_t>::max();

Error wrong(std::string_view field, std::string_view what) {
  return invalid(std::string(field), fmt::format("{}: {}", field, what));
}

Error unsupported(std::string_view what) {
  return Error(Code::kUnsupported, fmt::format("the model has {}", what));
}

// XGBoost writes its parameters as texts.
std::optional<std::int64_t> integer_of(const Json& object, std::string_view name) {
  const Json& value = object[name];
  if (value.is_int()) return value.as_int();
  return value.is_string() ? to_int(value.as_string()) : std::nullopt;
}

// An array of floating point comes from UBJSON as its length.
std::optional<std::size_t> length_of(const Json& value) {
  if (value.is_array()) return value.size();
  if (value.is_int() && value.as_int() >= 0) return static_cast<std::size_t>(value.as_int());
  return std::nullopt;
}

// The integers of an array; nothing when an element is none, or beyond 32 bits.
std::optional<std::vector<std::int64_t>> integers_of(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<std::int64_t> out;
  out.reserve(value.size());
  for (const auto& item : value.as_array()) {
    if (!item.is_int()) return std::nullopt;
    if (!std::in_range<std::int32_t>(item.as_int())) return std::nullopt;
    out.push_back(item.as_int());
  }
  return out;
}

struct Tree {
  std::size_t index;
  std::int64_t features;
  std::vector<std::int64_t> left, right, parents, splits;

  Error wrong(std::string_view field, std::string_view what) const {
    return wire::wrong(fmt::format("tree {}: {}", index, field), what);
  }

  Status read(const Json& json) {
    const Json& param = json["tree_param"];
    const auto nodes = integer_of(param, "num_nodes");
    if (!nodes || *nodes < 1 || *nodes > std::numeric_limits<std::int32_t>::max())
      return wrong("num_nodes", "is no number of nodes");
    if (integer_of(param, "size_leaf_vector").value_or(0) > 1)
      return unsupported("trees with vectors in their leaves");
    if (integer_of(param, "num_feature") != features)
      return wrong("num_feature", "differs from the model's");
    const auto count = static_cast<std::size_t>(*nodes);
    for (const auto* field : {"base_weights", "loss_changes", "sum_hessian", "split_conditions",
                              "default_left", "split_type"}) {
      if (length_of(json[field]) != count)
        return wrong(field, fmt::format("has not one value for each of the {} nodes", count));
    }
    for (const auto* field :
         {"categories", "categories_nodes", "categories_segments", "categories_sizes"}) {
      if (length_of(json[field]) != 0U) return unsupported("categorical features");
    }
    const auto types = integers_of(json["split_type"]);
    if (!types || std::any_of(types->begin(), types->end(), [](auto t) { return t != 0; }))
      return unsupported("categorical features");
    const auto take = [&](const char* field, std::vector<std::int64_t>& out) -> Status {
      auto values = integers_of(json[field]);
      if (!values || values->size() != count)
        return wrong(field, fmt::format("has not one integer for each of the {} nodes", count));
      out = *std::move(values);
      return {};
    };
    STRATA_TRY(take("left_children", left));
    STRATA_TRY(take("right_children", right));
    STRATA_TRY(take("parents", parents));
    STRATA_TRY(take("split_indices", splits));
    const auto reached = walk();
    if (!reached) return reached.error();
    if (*reached + integer_of(param, "num_deleted").value_or(0) != *nodes)
      return wrong("left_children", "do not reach all nodes");
    return {};
  }

  // From the root to each node once. Gives how many nodes it met.
  Result<std::int64_t> walk() const {
    const auto nodes = static_cast<std::int64_t>(left.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (left[i] < -1 || left[i] >= nodes) return wrong("left_children", "is no node");
      if (right[i] < -1 || right[i] >= nodes) return wrong("right_children", "is no node");
    }
    if (parents[0] != kNoParent && parents[0] != -1) return wrong("parents", "the root has one");
    std::vector<bool> met(left.size());
    std::vector<std::int64_t> open = {0};
    std::int64_t count = 0;
    while (!open.empty()) {
      const auto node = static_cast<std::size_t>(open.back());
      open.pop_back();
      if (met[node]) return wrong("left_children", "a node is reached twice");
      met[node] = true;
      ++count;
      if (left[node] == -1 && right[node] == -1) continue;
      if (left[node] <= 0 || right[node] <= 0)
        return wrong("left_children", "a node has no two children");
      if (splits[node] < 0 || splits[node] >= features)
        return wrong("split_indices", fmt::format("is none of the {} features", features));
      for (const auto child : {left[node], right[node]}) {
        if (parents[static_cast<std::size_t>(child)] != static_cast<std::int64_t>(node))
          return wrong("parents", "contradict the children");
        open.push_back(child);
      }
    }
    return count;
  }
};

Status check_features(const Json& learner, std::int64_t features) {
  for (const auto* field : {"feature_names", "feature_types"}) {
    const Json& list = learner[field];
    if (list.is_null()) continue;
    if (!list.is_array()) return wrong(field, "is no array");
    if (list.size() != 0 && list.size() != static_cast<std::size_t>(features))
      return wrong(field, fmt::format("has {} entries for {} features", list.size(), features));
    for (const auto& item : list.as_array()) {
      if (!item.is_string()) return wrong(field, "has an entry that is no text");
      if (std::string_view(field) == "feature_types" && item.as_string() == "c")
        return unsupported("categorical features");
    }
  }
  return {};
}

Result<XgBoostShape> check_learner(const Json& learner) {
  XgBoostShape shape;
  const Json& param = learner["learner_model_param"];
  shape.features = integer_of(param, "num_feature").value_or(0);
  shape.classes = integer_of(param, "num_class").value_or(-1);
  shape.targets =
      param.find("num_target") != nullptr ? integer_of(param, "num_target").value_or(0) : 1;
  shape.objective = learner["objective"].text("name");
  if (shape.features < 1 || shape.features > kMostFeatures)
    return wrong("num_feature", "is no number of features");
  if (shape.classes < 0 || shape.classes > kMostGroups)
    return wrong("num_class", "is no number of classes");
  if (shape.targets < 1 || shape.targets > kMostGroups)
    return wrong("num_target", "is no number of targets");
  if (shape.classes > 1 && shape.targets > 1)
    return wrong("num_target", "there are several of them and several classes");
  shape.groups = std::max(shape.classes, shape.targets);
  if (shape.objective.starts_with("multi:")) {
    const auto own = integer_of(learner["objective"]["softmax_multiclass_param"], "num_class");
    if (own != shape.classes || shape.classes < 1)
      return wrong("objective", "its number of classes differs from the model's");
  }
  const std::string base = param.text("base_score");
  if (base.starts_with('[')) {
    const auto list = parse_json(base);
    if (!list || !list->is_array() ||
        (list->size() != 1 && list->size() != static_cast<std::size_t>(shape.groups)))
      return wrong("base_score", "has not one value for each group");
  } else if (!to_double(base)) {
    return wrong("base_score", "is no number");
  }
  STRATA_TRY(check_features(learner, shape.features));
  return shape;
}

Status check_rounds(const Json& model, const XgBoostShape& shape) {
  const Json& param = model["gbtree_model_param"];
  if (integer_of(param, "num_trees") != static_cast<std::int64_t>(shape.trees))
    return wrong("num_trees", fmt::format("there are {} trees", shape.trees));
  const auto parallel = param.find("num_parallel_tree") != nullptr
                            ? integer_of(param, "num_parallel_tree").value_or(0)
                            : 1;
  if (parallel < 1 || parallel > std::numeric_limits<std::int32_t>::max())
    return wrong("num_parallel_tree", "is no number of trees");
  const auto groups = integers_of(model["tree_info"]);
  if (!groups || groups->size() != shape.trees)
    return wrong("tree_info", "has not one group for each tree");
  for (const auto group : *groups) {
    if (group < 0 || group >= shape.groups)
      return wrong("tree_info", fmt::format("{} is none of the {} groups", group, shape.groups));
  }
  if (model["iteration_indptr"].is_null()) {
    const auto whole = static_cast<std::size_t>(parallel * shape.groups);
    if (shape.trees % whole != 0) return wrong("num_trees", "is no multiple of a round's trees");
    return {};
  }
  const auto rounds = integers_of(model["iteration_indptr"]);
  const bool sound = rounds && !rounds->empty() && rounds->front() == 0 &&
                     rounds->back() == static_cast<std::int64_t>(shape.trees) &&
                     std::is_sorted(rounds->begin(), rounds->end());
  if (!sound) return wrong("iteration_indptr", "does not count the trees of the rounds");
  return {};
}

}  // namespace

Result<XgBoostShape> check_xgboost_model(std::string_view bytes) {
  if (bytes.size() > kMaxFile) return Error(Code::kTooLarge, "an XGBoost model may have 512 MiB");
  // {"learner" in JSON, {L or {i and a length in UBJSON.
  const auto second = bytes.find_first_not_of(" \t\r\n", 1);
  const bool text = second != std::string_view::npos && bytes[second] == '"';
  auto root = text ? parse_json(bytes) : parse_ubjson(bytes);
  if (!root) return root.error().wrap(text ? "it is no JSON" : "it is no Universal Binary JSON");
  const Json& learner = (*root)["learner"];
  auto shape = check_learner(learner);
  if (!shape) return shape;
  const Json& booster = learner["gradient_booster"];
  const std::string name = booster.text("name");
  if (name == "gblinear") return unsupported("a linear booster (gblinear)");
  if (name != "gbtree" && name != "dart") return wrong("gradient_booster", "is none that is known");
  const Json& model = name == "dart" ? booster["gbtree"]["model"] : booster["model"];
  const Json& trees = model["trees"];
  if (!trees.is_array()) return wrong("trees", "is no array");
  shape->trees = trees.size();
  if (name == "dart" && length_of(booster["weight_drop"]) != shape->trees)
    return wrong("weight_drop", "has not one weight for each tree");
  const Json& categories = model["cats"]["enc"];
  if (!categories.is_null() && length_of(categories) != 0U)
    return unsupported("categorical features");
  STRATA_TRY(check_rounds(model, *shape));
  for (std::size_t i = 0; i < trees.size(); ++i) {
    Tree tree{i, shape->features, {}, {}, {}, {}};
    STRATA_TRY(tree.read(trees.as_array()[i]));
  }
  return shape;
}

}  // namespace strata::wire
