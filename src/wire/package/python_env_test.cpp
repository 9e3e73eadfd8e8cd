#include "wire/package/python_env.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

TEST(PythonEnv, Reads_what_mlflow_writes) {
  const auto env = parse_python_env(
      "python: 3.11.2\nbuild_dependencies:\n- pip==23.0\ndependencies:\n- -r requirements.txt\n");
  ASSERT_TRUE(env.ok());
  EXPECT_EQ(env->python, "3.11.2");
  EXPECT_EQ(env->dependencies, std::vector<std::string>{"-r requirements.txt"});
  const auto conda = parse_conda_env(
      "channels:\n- conda-forge\ndependencies:\n- python=3.11.2\n- pip<=23.0\n- libgomp=13\n"
      "- pip:\n  - mlflow==3.1\n  - numpy\nname: x\n");
  ASSERT_TRUE(conda.ok());
  EXPECT_EQ(conda->python, "3.11.2");
  EXPECT_EQ(conda->dependencies, (std::vector<std::string>{"mlflow==3.1", "numpy"}));
  EXPECT_EQ(conda->conda, std::vector<std::string>{"libgomp=13"});
}

TEST(PythonEnv, Says_no_version_that_is_not_one) {
  EXPECT_EQ(parse_conda_env("dependencies: [python>=3.9]")->python, "");
  EXPECT_EQ(parse_conda_env("dependencies: [python==3.9.1=h_0]")->python, "3.9.1");
  EXPECT_EQ(parse_conda_env("dependencies: [python-dateutil=2]")->conda.size(), 1U);
}

TEST(PythonEnv, Refuses_what_is_no_mapping) {
  for (const auto* const text : {"", "[1]", "a: [", "- x"}) {
    EXPECT_FALSE(parse_python_env(text).ok()) << text;
    EXPECT_FALSE(parse_conda_env(text).ok()) << text;
  }
}

}  // namespace
}  // namespace strata::wire
