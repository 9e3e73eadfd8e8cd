#include <gtest/gtest.h>

#include "platform/comparison/description.hpp"

namespace strata::platform::comparison {
namespace {

Description flights() {
  Description one;
  one.model = "flights";
  one.version = 1;
  one.package_digest = "sha256:1";
  one.inputs = {{"wind", "double"}, {"late", "long"}};
  one.outputs = {{"delay", "double"}};
  one.sections["files"] = {{"model.lgb", Json("x")}, {"MLmodel", Json("m")}};
  one.sections["params"] = {{"depth", Json("3")}};
  return one;
}

// "section change name" of each change.
std::vector<std::string> told(const Description& a, const Description& b) {
  std::vector<std::string> lines;
  for (const auto& change : compare(a, b)["changes"].as_array())
    lines.push_back(change.text("section") + " " + change.text("change") + " " +
                    change.text("name"));
  return lines;
}
using Lines = std::vector<std::string>;

TEST(Compare, The_same_is_equal_and_has_no_change) {
  const Json answer = compare(flights(), flights());
  EXPECT_TRUE(answer.boolean("equal"));
  EXPECT_TRUE(answer.boolean("same_files"));
  EXPECT_EQ(answer["changes"].size(), 0U);
}

TEST(Compare, Each_thing_of_a_section_is_added_removed_or_changed) {
  Description other = flights();
  other.sections["files"] = {{"model.lgb", Json("y")}, {"conda.yaml", Json("c")}};
  other.sections["params"].clear();
  EXPECT_EQ(told(flights(), other), (Lines{"files removed MLmodel", "files changed model.lgb",
                                           "files added conda.yaml", "params removed depth"}));
  EXPECT_FALSE(compare(flights(), other).boolean("equal"));
}

TEST(Compare, A_signature_tells_names_types_and_order_apart) {
  Description other = flights();
  other.inputs = {{"late", "double"}, {"wind", "double"}, {"rain", "double"}};
  other.outputs.clear();
  EXPECT_EQ(told(flights(), other),
            (Lines{"signature retyped input late", "signature added input rain",
                   "signature reordered inputs", "signature removed output delay"}));
}

TEST(Compare, A_column_between_two_others_is_no_new_order) {
  Description other = flights();
  other.inputs = {{"wind", "double"}, {"rain", "double"}, {"late", "long"}};
  EXPECT_EQ(told(flights(), other), (Lines{"signature added input rain"}));
}

TEST(Compare, What_one_side_hides_is_compared_on_neither_and_nothing_is_called_equal) {
  Description other = flights();
  other.sections["params"].clear();
  other.hidden = {"params"};
  const Json answer = compare(flights(), other);
  EXPECT_EQ(answer["changes"].size(), 0U);
  EXPECT_FALSE(answer.boolean("equal"));
  EXPECT_EQ(answer["hidden"].dump(), "[\"params\"]");
}

TEST(Compare, Versions_without_files_do_not_have_the_same_files) {
  Description none = flights();
  none.package_digest.clear();
  EXPECT_FALSE(compare(none, none).boolean("same_files"));
}

TEST(Compare, Requirements_have_one_name_however_it_is_spelled) {
  const auto found = requirements_of(
      "Scikit_Learn == 1.2  # pinned\n# a comment\n\nnumpy\nruamel.yaml>=1; python_version>'3'\n"
      "-r other.txt\nhttps://example.org/a.whl\npkg[extra]==2\n");
  std::map<std::string, Json> wanted = {
      {"scikit-learn", Json("== 1.2")},
      {"numpy", Json("")},
      {"ruamel-yaml", Json(">=1; python_version>'3'")},
      {"-r other.txt", Json("-r other.txt")},
      {"https://example.org/a.whl", Json("https://example.org/a.whl")},
      {"pkg", Json("[extra]==2")}};
  EXPECT_EQ(found, wanted);
}

}  // namespace
}  // namespace strata::platform::comparison
