#include "wire/package/requirement.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

std::string canonical(std::string_view text) {
  const auto read = parse_requirement(text);
  return read ? read->canonical() : read.error().message;
}

TEST(Requirement, Has_one_canonical_form) {
  EXPECT_EQ(canonical("Scikit_Learn == 1.5.2"), "scikit-learn==1.5.2");
  EXPECT_EQ(canonical("a.B[Z,x , z] (>=1,<2)"), "a-b[x,z]<2,>=1");
  EXPECT_EQ(canonical("a===1.0-weird ; python_version<'3.9'"),
            "a===1.0-weird; python_version<'3.9'");
  EXPECT_EQ(canonical("torch==2.4.0+cu121"), "torch==2.4.0+cu121");
  EXPECT_EQ(canonical("x @ https://example.org/x.whl ; extra == 'y'"),
            "x @ https://example.org/x.whl ; extra == 'y'");
  EXPECT_EQ(canonical("a==1 --hash=sha256:AB --hash=sha256:aa"),
            "a==1 --hash=sha256:aa --hash=sha256:ab");
}

TEST(Requirement, Is_locked_by_an_exact_version_only) {
  for (const auto* const text : {"a==1", "a === x", "a==1,!=2", "a==1.0.post1+local"})
    EXPECT_TRUE(parse_requirement(text)->locked()) << text;
  for (const auto* const text : {"a", "a==1.*", "a>=1", "a~=1.2", "a @ file:///x.whl"})
    EXPECT_FALSE(parse_requirement(text)->locked()) << text;
}

TEST(Requirement, What_is_none_is_refused) {
  for (const auto* const text : {"",
                                 "==1",
                                 "a b",
                                 "a==",
                                 "a=1",
                                 "a==1.x",
                                 "a~=1",
                                 "a>=1+local",
                                 "a[",
                                 "a[b",
                                 "a[b c]",
                                 "a (==1",
                                 "a; python",
                                 "a; python_version",
                                 "a; python_version > ",
                                 "a @",
                                 "./a.whl",
                                 "a==1 --index-url=x",
                                 "a; (python_version > '3'",
                                 "a; foo == 'x'",
                                 "-e ."})
    EXPECT_FALSE(parse_requirement(text).ok()) << text;
  const std::string deep = "a; " + std::string(5000, '(');
  EXPECT_FALSE(parse_requirement(deep).ok());
}

TEST(Requirement, A_file_keeps_only_what_asks_for_something) {
  const auto lines = read_requirements(
      "# all\n\nnumpy==1.26.4  # pinned\n--index-url https://example.org\n-r more.txt\r\n"
      "pandas \\\n  >=2\n./local.whl\nscipy==1.1");
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines->size(), 5U);
  EXPECT_EQ((*lines)[0].line, 3U);
  EXPECT_EQ((*lines)[0].open, "");
  EXPECT_EQ((*lines)[1].text, "-r more.txt");
  EXPECT_NE((*lines)[1].open, "");
  EXPECT_EQ((*lines)[2].line, 6U);
  EXPECT_EQ((*lines)[2].requirement->canonical(), "pandas>=2");
  EXPECT_EQ((*lines)[2].open, "names no exact version");
  EXPECT_FALSE((*lines)[3].requirement);
  EXPECT_EQ((*lines)[4].requirement->canonical(), "scipy==1.1");
}

TEST(Requirement, Files_have_bounds) {
  EXPECT_EQ(read_requirements(std::string(kMaxRequirementsFile + 1, 'a')).error().code,
            Code::kTooLarge);
  std::string many;
  for (std::size_t i = 0; i <= kMaxRequirementLines; ++i)
    many += "a\n";
  EXPECT_EQ(read_requirements(many).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace strata::wire
