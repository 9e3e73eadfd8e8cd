#include "wire/inference/lightgbm_model.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::wire {

namespace {

constexpr std::size_t kTreeLines = 22;  // LightGBM reads no more of a tree
constexpr int kCategorical = 1;         // the bit of decision_type

using Fields = std::map<std::string_view, std::string_view>;

// One line without its end; `at` moves behind it.
std::string_view take_line(std::string_view text, std::size_t& at) {
  const auto end = std::min(text.find('\n', at), text.size());
  const auto line = text.substr(at, end - at);
  at = std::min(end + 1, text.size());
  return line;
}

// The fields of one part of the model, with the words that say which part it is.
class Part {
 public:
  explicit Part(std::string name) : name_(std::move(name)) {}

  Error wrong(std::string_view key, std::string_view what) const {
    return invalid(std::string(key),
                   fmt::format("the LightGBM model is damaged: {}{}: {}", name_, key, what));
  }

  Status add(std::string_view line) {
    const auto equals = line.find('=');
    const auto key = line.substr(0, equals);
    if (key.empty()) return wrong("", "a line has no name before its '='");
    const auto value =
        equals == std::string_view::npos ? std::string_view() : line.substr(equals + 1);
    if (!fields_.emplace(key, value).second)
      return wrong(printable(key, 40), "stands there more than once");
    return {};
  }

  std::optional<std::string_view> find(std::string_view key) const {
    const auto found = fields_.find(key);
    return found == fields_.end() ? std::nullopt : std::optional(found->second);
  }

  Result<std::string_view> text(std::string_view key) const {
    const auto found = find(key);
    if (!found) return wrong(key, "is missing");
    return *found;
  }

  Result<std::int32_t> integer(std::string_view key, std::int32_t low, std::int32_t high) const {
    auto value = text(key);
    if (!value) return std::move(value).error();
    return number<std::int32_t>(key, *value, low, high);
  }

  // Exactly `count` numbers from `low` to `high`, with blanks between them.
  template <class T>
  Result<std::vector<T>> array(std::string_view key, std::size_t count,
                               T low = std::numeric_limits<T>::lowest(),
                               T high = std::numeric_limits<T>::max()) const {
    auto value = text(key);
    if (!value) return std::move(value).error();
    std::vector<T> out;
    for (std::size_t at = 0; at < value->size();) {
      const auto end = std::min(value->find(' ', at), value->size());
      const auto word = value->substr(at, end - at);
      at = end + 1;
      if (word.empty()) continue;
      if (out.size() == count) return wrong(key, fmt::format("has more than {} numbers", count));
      auto one = number<T>(key, word, low, high);
      if (!one) return std::move(one).error();
      out.push_back(*one);
    }
    if (out.size() != count)
      return wrong(key, fmt::format("has {} numbers, not {}", out.size(), count));
    return out;
  }

  // The same where LightGBM takes the line only if it is there.
  template <class T>
  Status optional_array(std::string_view key, std::size_t count) const {
    if (!find(key)) return {};
    auto values = array<T>(key, count);
    if (!values) return std::move(values).error();
    return {};
  }

 private:
  template <class T>
  Result<T> number(std::string_view key, std::string_view word, T low, T high) const {
    T value{};
    const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool whole = end == word.data() + word.size();
    if constexpr (std::is_floating_point_v<T>) {
      // Beyond the range of double LightGBM takes 0 or infinity; "nan" and "inf" are values too.
      if (whole && (fault == std::errc() || fault == std::errc::result_out_of_range)) return value;
      return wrong(key, fmt::format("'{}' is no number", printable(word, 40)));
    } else {
      if (fault == std::errc::invalid_argument || !whole)
        return wrong(key, fmt::format("'{}' is no whole number", printable(word, 40)));
      if (fault != std::errc() || value < low || value > high)
        return wrong(key, fmt::format("{} is not from {} to {}", printable(word, 40), low, high));
      return value;
    }
  }

  std::string name_;
  Fields fields_;
};

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    words += text[i] != ' ' && (i == 0 || text[i - 1] == ' ') ? 1U : 0U;
  return words;
}

// One list of words, one for each feature.
Status check_words(const Part& header, std::string_view key, std::int32_t features) {
  auto value = header.text(key);
  if (!value) return std::move(value).error();
  if (const auto words = count_words(*value); words != static_cast<std::size_t>(features))
    return header.wrong(key,
                        fmt::format("has {} entries, max_feature_idx says {}", words, features));
  return {};
}

// LightGBM writes as many values as the objective has classes into an array of the header's many.
Status check_objective(const Part& header, std::int32_t classes) {
  const auto objective = header.find("objective");
  if (!objective) return {};
  if (count_words(*objective) == 0) return header.wrong("objective", "is empty");
  for (std::size_t at = 0; at < objective->size();) {
    const auto end = std::min(objective->find(' ', at), objective->size());
    const auto word = objective->substr(at, end - at);
    at = end + 1;
    if (!word.starts_with("num_class:")) continue;
    if (word != fmt::format("num_class:{}", classes))
      return header.wrong(
          "objective", fmt::format("says {}, but num_class is {}", printable(word, 40), classes));
  }
  return {};
}

Result<LightGbmShape> check_header(const Part& header) {
  LightGbmShape shape;
  constexpr auto kMost = std::numeric_limits<std::int32_t>::max() - 1;
  auto classes = header.integer("num_class", 1, kMost);
  if (!classes) return std::move(classes).error();
  shape.classes = *classes;
  if (header.find("num_tree_per_iteration")) {
    auto per_round = header.integer("num_tree_per_iteration", 1, kMost);
    if (!per_round) return std::move(per_round).error();
    if (*per_round != *classes)
      return header.wrong("num_tree_per_iteration",
                          fmt::format("is {}, but num_class is {}", *per_round, *classes));
  }
  auto label = header.integer("label_index", std::numeric_limits<std::int32_t>::min(), kMost);
  if (!label) return std::move(label).error();
  auto last = header.integer("max_feature_idx", 0, kMost);
  if (!last) return std::move(last).error();
  shape.features = *last + 1;
  STRATA_TRY(check_words(header, "feature_names", shape.features));
  STRATA_TRY(check_words(header, "feature_infos", shape.features));
  if (header.find("monotone_constraints")) {
    auto each = header.array<std::int32_t>("monotone_constraints",
                                           static_cast<std::size_t>(shape.features), -1, 1);
    if (!each) return std::move(each).error();
  }
  STRATA_TRY(check_objective(header, shape.classes));
  return shape;
}

// That every node and every leaf is reached from the root by one way: a child from 0 up is a node,
// a negative one is the leaf ~child.
Status check_nodes(const Part& tree, std::int32_t leaves, const std::vector<std::int32_t>& left,
                   const std::vector<std::int32_t>& right) {
  std::vector<bool> nodes(left.size());
  std::vector<bool> ends(static_cast<std::size_t>(leaves));
  std::vector<std::int32_t> open = {0};
  nodes[0] = true;
  const auto reach = [&](std::string_view key, std::int32_t child) -> Status {
    const bool leaf = child < 0;
    const auto at = static_cast<std::size_t>(leaf ? ~child : child);
    auto& reached = leaf ? ends : nodes;
    if (reached[at])
      return tree.wrong(key, fmt::format("{} is reached twice, so this is no tree", child));
    reached[at] = true;
    if (!leaf) open.push_back(child);
    return {};
  };
  while (!open.empty()) {
    const auto node = static_cast<std::size_t>(open.back());
    open.pop_back();
    STRATA_TRY(reach("left_child", left[node]));
    STRATA_TRY(reach("right_child", right[node]));
  }
  // A binary tree of n nodes has n + 1 leaves, so that all are reached is seen from the nodes.
  if (std::find(nodes.begin(), nodes.end(), false) != nodes.end())
    return tree.wrong("left_child", "not every node is reached from the first one");
  return {};
}

Status check_categories(const Part& tree, std::int32_t categories,
                        const std::vector<std::int32_t>& decisions,
                        const std::vector<double>& thresholds) {
  if (categories > 0) {
    auto bounds =
        tree.array<std::int32_t>("cat_boundaries", static_cast<std::size_t>(categories) + 1, 0);
    if (!bounds) return std::move(bounds).error();
    if (bounds->front() != 0) return tree.wrong("cat_boundaries", "does not begin at 0");
    if (!std::is_sorted(bounds->begin(), bounds->end()))
      return tree.wrong("cat_boundaries", "does not rise");
    auto words =
        tree.array<std::uint32_t>("cat_threshold", static_cast<std::size_t>(bounds->back()));
    if (!words) return std::move(words).error();
  }
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    if ((decisions[i] & kCategorical) == 0) continue;
    if (!(thresholds[i] >= 0 && thresholds[i] < categories))
      return tree.wrong("threshold", fmt::format("{} is none of the {} sets of categories",
                                                 thresholds[i], categories));
  }
  return {};
}

Status check_linear(const Part& tree, std::size_t leaves, std::int32_t features) {
  auto constants = tree.array<double>("leaf_const", leaves);
  if (!constants) return std::move(constants).error();
  auto counts = tree.array<std::int32_t>("num_features", leaves, 0, features);
  if (!counts) return std::move(counts).error();
  std::int64_t total = 0;
  for (const auto count : *counts)
    total += count;
  if (total > std::numeric_limits<std::int32_t>::max())
    return tree.wrong("num_features", "adds up to too many");
  const auto all = static_cast<std::size_t>(total);
  auto columns = tree.array<std::int32_t>("leaf_features", all, 0, features - 1);
  if (!columns) return std::move(columns).error();
  auto factors = tree.array<double>("leaf_coeff", all);
  if (!factors) return std::move(factors).error();
  return {};
}

// What LightGBM reads of an inner node and of a leaf without the answer depending on it.
Status check_statistics(const Part& tree, std::size_t nodes, std::size_t leaves) {
  STRATA_TRY(tree.optional_array<double>("split_gain", nodes));
  STRATA_TRY(tree.optional_array<std::int32_t>("internal_count", nodes));
  STRATA_TRY(tree.optional_array<double>("internal_value", nodes));
  STRATA_TRY(tree.optional_array<double>("internal_weight", nodes));
  return tree.optional_array<double>("leaf_weight", leaves);
}

Status check_splits(const Part& tree, std::int32_t leaves, std::int32_t categories,
                    std::int32_t features) {
  const auto nodes = static_cast<std::size_t>(leaves) - 1;
  auto left = tree.array<std::int32_t>("left_child", nodes, -leaves, leaves - 2);
  if (!left) return std::move(left).error();
  auto right = tree.array<std::int32_t>("right_child", nodes, -leaves, leaves - 2);
  if (!right) return std::move(right).error();
  auto columns = tree.array<std::int32_t>("split_feature", nodes, 0, features - 1);
  if (!columns) return std::move(columns).error();
  auto thresholds = tree.array<double>("threshold", nodes);
  if (!thresholds) return std::move(thresholds).error();
  std::vector<std::int32_t> decisions;
  if (tree.find("decision_type")) {
    auto kinds = tree.array<std::int32_t>("decision_type", nodes, -128, 127);
    if (!kinds) return std::move(kinds).error();
    decisions = *std::move(kinds);
  }
  STRATA_TRY(check_statistics(tree, nodes, static_cast<std::size_t>(leaves)));
  if (nodes > 0) STRATA_TRY(check_nodes(tree, leaves, *left, *right));
  return check_categories(tree, categories, decisions, *thresholds);
}

Status check_fields(const Part& tree, const LightGbmShape& shape) {
  constexpr auto kMost = std::numeric_limits<std::int32_t>::max() - 1;
  auto leaves = tree.integer("num_leaves", 1, kMost);
  if (!leaves) return std::move(leaves).error();
  auto categories = tree.integer("num_cat", 0, kMost);
  if (!categories) return std::move(categories).error();
  const auto count = static_cast<std::size_t>(*leaves);
  auto values = tree.array<double>("leaf_value", count);
  if (!values) return std::move(values).error();
  if (tree.find("shrinkage")) {
    auto factor = tree.array<double>("shrinkage", 1);
    if (!factor) return std::move(factor).error();
  }
  std::int32_t linear = 0;
  if (tree.find("is_linear")) {
    auto is = tree.integer("is_linear", 0, 1);
    if (!is) return std::move(is).error();
    linear = *is;
  }
  STRATA_TRY(tree.optional_array<std::int32_t>("leaf_count", count));
  if (*leaves == 1 && linear == 0) return {};  // one answer for every row; no more of it is read
  STRATA_TRY(check_splits(tree, *leaves, *categories, shape.features));
  if (linear == 1) return check_linear(tree, count, shape.features);
  return {};
}

// One tree, which fills `text`: its lines, then empty ones.
Status check_tree(std::string_view text, std::size_t number, const LightGbmShape& shape) {
  Part tree(fmt::format("tree {}, ", number));
  if (text.contains('\r')) return tree.wrong("text", "has a carriage return");
  std::size_t at = 0;
  if (!take_line(text, at).starts_with("Tree="))
    return tree.wrong("tree_sizes", "no tree begins where it says");
  std::size_t lines = 0;
  while (true) {
    if (at == text.size()) return tree.wrong("tree_sizes", "the tree does not end where it says");
    const auto line = take_line(text, at);
    if (line.empty()) break;
    if (++lines > kTreeLines) return tree.wrong("num_leaves", "the tree has too many lines");
    if (!line.contains('='))
      return tree.wrong(printable(line, 40), "is no line of the form name=value");
    STRATA_TRY(tree.add(line));
  }
  if (text.find_first_not_of('\n', at) != std::string_view::npos)
    return tree.wrong("tree_sizes", "more than the tree stands where it says");
  return check_fields(tree, shape);
}

// The sizes say where each tree begins and ends.
Status check_trees(std::string_view text, const Part& header, LightGbmShape& shape) {
  auto list = header.text("tree_sizes");
  if (!list) return std::move(list).error();
  auto sizes = header.array<std::int64_t>("tree_sizes", count_words(*list), 1,
                                          std::numeric_limits<std::int32_t>::max());
  if (!sizes) return std::move(sizes).error();
  shape.trees = sizes->size();
  if (shape.trees == 0 || shape.trees % static_cast<std::size_t>(shape.classes) != 0) {
    return header.wrong("num_class", fmt::format("{} trees cannot answer for {} classes",
                                                 shape.trees, shape.classes));
  }
  std::size_t at = shape.trees_end;
  for (std::size_t i = 0; i < sizes->size(); ++i) {
    const auto size = static_cast<std::size_t>((*sizes)[i]);
    if (size > text.size() - at)
      return header.wrong("tree_sizes", fmt::format("tree {} ends behind the end of the file", i));
    STRATA_TRY(check_tree(text.substr(at, size), i, shape));
    at += size;
  }
  shape.trees_end = at;
  return {};
}

}  // namespace

Result<LightGbmShape> check_lightgbm_model(std::string_view text) {
  Part header("");
  if (text.contains('\0')) return header.wrong("text", "holds a zero byte");
  std::size_t at = 0;
  if (take_line(text, at) != "tree")
    return header.wrong("first line", "is not 'tree', as LightGBM begins a model");
  while (!text.substr(at).starts_with("Tree=")) {
    // LightGBM would take all that follows for its header.
    if (at == text.size()) return header.wrong("tree_sizes", "there is no tree in the file");
    const auto line = take_line(text, at);
    if (!line.empty()) STRATA_TRY(header.add(line));
  }
  if (text.substr(0, at).contains('\r')) return header.wrong("text", "has a carriage return");
  auto shape = check_header(header);
  if (!shape) return shape;
  shape->trees_end = at;
  STRATA_TRY(check_trees(text, header, *shape));
  return shape;
}

}  // namespace strata::wire
