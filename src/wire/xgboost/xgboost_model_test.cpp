#include "wire/xgboost/xgboost_model.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

const std::filesystem::path kCorpus =
    std::filesystem::path(__FILE__).parent_path() / "../../../tests/corpus/xgboost_model";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Replaces what stands for the first `"field":` up to the end of its value.
std::string change(std::string text, const std::string& field, const std::string& value) {
  const auto at = text.find("\"" + field + "\":");
  EXPECT_NE(at, std::string::npos) << field;
  const auto begin = at + field.size() + 3;
  auto end = text.find_first_of(",}", begin);
  if (text[begin] == '[') end = text.find(']', begin) + 1;
  if (text[begin] == '"') end = text.find('"', begin + 1) + 1;
  return text.replace(begin, end - begin, value);
}

TEST(XgBoostModel, Models_of_every_kind_that_xgboost_writes_are_sound) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    if (!entry.path().filename().string().starts_with("good_")) continue;
    ++found;
    const auto shape = check_xgboost_model(read(entry.path()));
    EXPECT_TRUE(shape) << entry.path() << ": " << shape.error().message;
  }
  EXPECT_GE(found, 9);
  const auto shape = check_xgboost_model(read(kCorpus / "good_multi.ubj"));
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->features, 3);
  EXPECT_EQ(shape->groups, 3);
  EXPECT_EQ(shape->trees, 6U);
  EXPECT_EQ(shape->objective, "multi:softprob");
}

TEST(XgBoostModel, A_damaged_number_is_found_and_named) {
  const std::string good = read(kCorpus / "good_binary.json");
  const std::pair<const char*, const char*> damages[] = {
      {"num_feature", "\"0\""},
      {"num_feature", "\"2\""},
      {"num_class", "\"-1\""},
      {"num_class", "\"1000000000\""},
      {"num_target", "\"0\""},
      {"base_score", "\"[1,2]\""},
      {"base_score", "\"x\""},
      {"feature_names", "[\"a\"]"},
      {"feature_types", "[1,2,3]"},
      {"num_trees", "\"3\""},
      {"num_parallel_tree", "\"0\""},
      {"iteration_indptr", "[0,5,2]"},
      {"iteration_indptr", "[0,1,99]"},
      {"tree_info", "[0]"},
      {"tree_info", "[0,1]"},
      {"tree_info", "[0,-1]"},
      {"num_nodes", "\"2000000000\""},
      {"num_nodes", "\"0\""},
      {"left_children", "[1,-1]"},
      {"left_children", "[0,-1,-1]"},
      {"left_children", "[1,0,-1]"},
      {"left_children", "[100000,-1,-1]"},
      {"left_children", "[-7,-1,-1]"},
      {"right_children", "[1,-1,-1]"},
      {"right_children", "[4294967298,-1,-1]"},
      {"parents", "[2147483647,2,0]"},
      {"parents", "[0,0,0]"},
      {"split_indices", "[3,0,0]"},
      {"split_indices", "[-1,0,0]"},
      {"split_conditions", "[1]"},
      {"default_left", "[1]"},
      {"base_weights", "[]"},
      {"sum_hessian", "[]"},
      {"trees", "[7]"},
  };
  ASSERT_TRUE(check_xgboost_model(good));
  for (const auto& [field, value] : damages) {
    const auto damaged = check_xgboost_model(change(good, field, value));
    EXPECT_FALSE(damaged) << field << " " << value;
  }
  const auto named = check_xgboost_model(change(good, "default_left", "[1]"));
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().message.find("tree 0: default_left"), std::string::npos)
      << named.error().message;
}

TEST(XgBoostModel, What_is_not_served_says_so) {
  const auto linear = check_xgboost_model(read(kCorpus / "linear.json"));
  ASSERT_FALSE(linear);
  EXPECT_EQ(linear.error().code, Code::kUnsupported);
  const std::string good = read(kCorpus / "good_binary.json");
  for (const auto& [field, value] :
       {std::pair("feature_types", "[\"c\",\"float\",\"int\"]"), std::pair("categories", "[1]"),
        std::pair("size_leaf_vector", "\"2\"")}) {
    const auto refused = check_xgboost_model(change(good, field, value));
    ASSERT_FALSE(refused) << field;
    EXPECT_EQ(refused.error().code, Code::kUnsupported) << refused.error().message;
  }
}

TEST(XgBoostModel, Every_file_that_is_cut_short_or_is_none_is_refused) {
  for (const auto* name : {"good_binary.json", "good_multi.ubj"}) {
    const std::string good = read(kCorpus / name);
    for (std::size_t length = 0; length < good.size(); length += 7)
      EXPECT_FALSE(check_xgboost_model(std::string_view(good).substr(0, length))) << length;
  }
  for (const auto* text : {"", " ", "{", "{}", "[]", "{\"learner\":{}}", "binf", "{L", "{i\x7f"})
    EXPECT_FALSE(check_xgboost_model(text)) << text;
  EXPECT_FALSE(check_xgboost_model(std::string(100'000, '[')));
}

}  // namespace
}  // namespace strata::wire
