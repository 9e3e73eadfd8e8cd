#include "wire/inference/lightgbm_model.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace strata::wire {
namespace {

const std::filesystem::path kCorpus =
    std::filesystem::path(__FILE__).parent_path() / "../../../tests/corpus/lightgbm_model";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Changes the first line that begins with `key=`; an empty value takes the line away. The sizes of
// the trees are made to fit, so that what is found is the line itself.
std::string change(std::string text, const std::string& key, const std::string& value) {
  const auto at = text.find("\n" + key + "=") + 1;
  EXPECT_NE(at, 0U) << key;
  const auto end = text.find('\n', at);
  const std::string line = value.empty() ? "" : key + "=" + value + "\n";
  const auto gained = static_cast<long>(line.size()) - static_cast<long>(end + 1 - at);
  const auto first = text.find("\nTree=");
  text.replace(at, end + 1 - at, line);
  if (at < first) return text;
  const auto sizes = text.find("\ntree_sizes=") + 12;
  const auto stop = text.find_first_of(" \n", sizes);
  text.replace(sizes, stop - sizes,
               std::to_string(to_int(text.substr(sizes, stop - sizes)).value_or(0) + gained));
  return text;
}

TEST(LightGbmModel, Models_of_every_kind_that_lightgbm_writes_are_sound) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    if (!entry.path().filename().string().starts_with("good_")) continue;
    ++found;
    const auto shape = check_lightgbm_model(read(entry.path()));
    EXPECT_TRUE(shape) << entry.path() << ": " << shape.error().message;
  }
  EXPECT_GE(found, 8);
  const auto shape = check_lightgbm_model(read(kCorpus / "good_multiclass"));
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->classes, 3);
  EXPECT_EQ(shape->features, 2);
  EXPECT_EQ(shape->trees % 3, 0U);
}

struct Damage {
  std::string model, key, value, says;
};

TEST(LightGbmModel, A_damaged_line_is_refused_and_named) {
  const std::vector<Damage> cases = {
      {"good_regression", "num_class", "1000000000", "num_class"},
      {"good_regression", "num_class", "0", "num_class"},
      {"good_regression", "num_class", "x", "num_class"},
      {"good_regression", "num_class", "", "num_class"},
      {"good_multiclass", "num_tree_per_iteration", "1000000", "num_tree_per_iteration"},
      {"good_multiclass", "num_tree_per_iteration", "0", "num_tree_per_iteration"},
      {"good_multiclass", "objective", "multiclass num_class:30000", "objective"},
      {"good_regression", "objective", " ", "objective"},
      {"good_regression", "max_feature_idx", "2000000000", "feature_names"},
      {"good_regression", "max_feature_idx", "-2", "max_feature_idx"},
      {"good_regression", "feature_infos", "none", "feature_infos"},
      {"good_regression", "tree_sizes", "99999999 1 1", "tree_sizes"},
      {"good_regression", "tree_sizes", "1 1 1", "tree_sizes"},
      {"good_regression", "tree_sizes", "18446744073709551615 1 1", "tree_sizes"},
      {"good_regression", "num_leaves", "1000000000", "leaf_value"},
      {"good_regression", "num_leaves", "2", "leaf_value"},
      {"good_regression", "num_leaves", "-1", "num_leaves"},
      {"good_regression", "num_cat", "1000000", "cat_boundaries"},
      {"good_regression", "threshold", "x", "threshold"},
      {"good_regression", "threshold", "1", "threshold"},
      {"good_regression", "decision_type", "1 1", "decision_type"},
      {"good_regression", "split_feature", "100000000 0 0", "split_feature"},
      {"good_regression", "split_feature", "-5 0 0", "split_feature"},
      {"good_regression", "left_child", "100000 1 2", "left_child"},
      {"good_regression", "left_child", "-100000 1 2", "left_child"},
      {"good_regression", "right_child", "0 0 0", "right_child"},
      {"good_regression", "right_child", "", "right_child"},
      {"good_regression", "leaf_value", "1", "leaf_value"},
      {"good_regression", "leaf_weight", "1", "leaf_weight"},
      {"good_regression", "leaf_weight", "nonsense 1 1 1", "leaf_weight"},
      {"good_regression", "is_linear", "1", "leaf_const"},
      {"good_regression", "is_linear", "2", "is_linear"},
      {"good_categorical", "cat_boundaries", "0 2 1000000", "cat_threshold"},
      {"good_categorical", "cat_boundaries", "7 8 9", "cat_boundaries"},
      {"good_categorical", "cat_boundaries", "0 2 1", "cat_boundaries"},
      {"good_categorical", "cat_threshold", "x", "cat_threshold"},
      {"good_linear", "num_features", "100000000 1", "num_features"},
      {"good_linear", "leaf_features", "9 9 9 9 9 9", "leaf_features"},
      {"good_linear", "leaf_coeff", "", "leaf_coeff"},
  };
  for (const auto& damage : cases) {
    const auto refused =
        check_lightgbm_model(change(read(kCorpus / damage.model), damage.key, damage.value));
    ASSERT_FALSE(refused) << damage.key << "=" << damage.value;
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
    EXPECT_NE(refused.error().message.find(damage.says), std::string::npos)
        << damage.key << "=" << damage.value << ": " << refused.error().message;
  }
}

TEST(LightGbmModel, Nodes_that_are_no_tree_are_refused) {
  const std::string chain = read(kCorpus / "good_chain");
  ASSERT_TRUE(check_lightgbm_model(chain));
  // Four leaves, three nodes: two of them lead to each other, aside of the root's leaves.
  const auto island = change(change(chain, "left_child", "-1 2 1"), "right_child", "-2 -3 -4");
  const auto refused = check_lightgbm_model(island);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("not every node"), std::string::npos);
  EXPECT_FALSE(check_lightgbm_model(change(chain, "left_child", "-1 -1 -3")));
  EXPECT_FALSE(check_lightgbm_model(change(chain, "left_child", "0 -2 -3")));
}

TEST(LightGbmModel, A_file_cut_anywhere_in_its_trees_is_refused) {
  const std::string text = read(kCorpus / "good_categorical");
  const auto shape = check_lightgbm_model(text);
  ASSERT_TRUE(shape);
  for (std::size_t size = 0; size + 1 < shape->trees_end; ++size)
    ASSERT_FALSE(check_lightgbm_model(text.substr(0, size))) << size;
  EXPECT_TRUE(check_lightgbm_model(text.substr(0, shape->trees_end)));
}

TEST(LightGbmModel, What_lightgbm_would_read_otherwise_than_we_do_is_refused) {
  const std::string text = read(kCorpus / "good_regression");
  const auto twice = [&](const std::string& line) {
    std::string more = text;
    more.insert(more.find("\n\nTree=") + 1, line + "\n");
    return check_lightgbm_model(more);
  };
  EXPECT_FALSE(twice("num_class=7"));
  EXPECT_FALSE(twice("=num_class=7"));
  EXPECT_FALSE(twice("note=a\rnum_class=7"));
  EXPECT_TRUE(twice("note=a"));
  EXPECT_FALSE(check_lightgbm_model(change(text, "leaf_count", "1 1 1 1\rnum_leaves=9")));
  EXPECT_FALSE(check_lightgbm_model(text + std::string(1, '\0')));
  EXPECT_FALSE(check_lightgbm_model(""));
  EXPECT_FALSE(check_lightgbm_model("tree\nnum_class=1\n"));
}

}  // namespace
}  // namespace strata::wire
