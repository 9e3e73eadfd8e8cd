// Environments by a Python that is a script for the test: it notes what it was asked for.
#include "engines/python/environments.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/random.hpp"

namespace strata::engines::python {
namespace {

class EnvironmentsTest : public testing::Test {
 protected:
  EnvironmentsTest() : folder_(testing::TempDir() + "environments-" + SystemRandom().hex(8)) {
    std::filesystem::create_directories(folder_ + "/model");
    write("model/requirements.txt", "mlflow==1\nscikit-learn==2\n");
    // $2 is -c to ask for the version, or -m with venv or pip behind it.
    write("python",
          "#!/bin/sh\n"
          "echo \"$@\" >> " +
              folder_ +
              "/asked\n"
              "if [ \"$2\" = -c ]; then echo 3.11 " +
              folder_ +
              "/python; exit 0; fi\n"
              "if [ \"$3\" = venv ]; then mkdir -p \"$4/bin\"; cp " +
              folder_ +
              "/python \"$4/bin/python\"; exit 0; fi\n"
              "if [ \"$4\" = freeze ]; then echo mlflow==1; exit 0; fi\n"
              "echo looking for packages; . " +
              folder_ + "/pip\n");
    std::filesystem::permissions(folder_ + "/python", std::filesystem::perms::owner_all);
    write("pip", "exit 0\n");
  }
  ~EnvironmentsTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  int asked_for(const std::string& what) const {
    const auto all = read("asked");
    int count = 0;
    for (auto at = all.find(what); at != std::string::npos; at = all.find(what, at + 1))
      ++count;
    return count;
  }
  Environments make(std::chrono::seconds limit = std::chrono::seconds(60)) {
    return Environments({folder_ + "/environments", folder_ + "/python", "", "", limit}, files_,
                        clock_);
  }
  std::string model() const { return folder_ + "/model"; }

  const std::string folder_;
  SystemFiles files_;
  SystemClock clock_;
};

TEST_F(EnvironmentsTest, The_same_requirements_are_installed_once_however_many_ask_at_a_time) {
  auto environments = make();
  std::vector<std::jthread> callers;
  std::vector<Result<std::string>> pythons(4, Result<std::string>(std::string()));
  for (auto& python : pythons)
    callers.emplace_back([&] { python = environments.python_for(model(), {}); });
  callers.clear();
  for (const auto& python : pythons) {
    ASSERT_TRUE(python) << python.error().message;
    EXPECT_EQ(*python, *pythons[0]);
    EXPECT_TRUE(std::filesystem::exists(*python));
  }
  EXPECT_EQ(asked_for("pip install"), 1);
  const auto lock = std::filesystem::path(*pythons[0]).parent_path().parent_path() / "lock.txt";
  EXPECT_TRUE(std::filesystem::exists(lock));
  write("model/requirements.txt", "# a comment changes nothing\nmlflow==1\n\nscikit-learn==2\n");
  EXPECT_EQ(*environments.python_for(model(), {}), *pythons[0]);
  write("model/requirements.txt", "mlflow==1\nscikit-learn==3\n");
  EXPECT_NE(*environments.python_for(model(), {}), *pythons[0]);
  EXPECT_EQ(asked_for("pip install"), 2);
}

TEST_F(EnvironmentsTest, One_that_failed_says_why_is_not_used_and_is_built_anew) {
  auto environments = make();
  write("pip", "echo no matching distribution for scikit-learn==2; exit 1\n");
  const auto failed = environments.python_for(model(), {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_NE(failed.error().message.find("no matching distribution"), std::string::npos);
  write("pip", "exit 0\n");
  EXPECT_TRUE(environments.python_for(model(), {}));
}

TEST_F(EnvironmentsTest, A_build_that_takes_too_long_or_is_stopped_ends_with_all_of_it) {
  write("pip", "echo $$ > " + folder_ + "/pid; exec sleep 1000\n");
  auto slow = make(std::chrono::seconds(1));
  const auto late = slow.python_for(model(), {});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + read("pid").substr(0, read("pid").find('\n'))));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(make().python_for(model(), stop.get_token()).error().code, Code::kCancelled);
}

TEST_F(EnvironmentsTest, Only_wheels_are_installed_and_from_where_the_settings_say) {
  ASSERT_TRUE(make().python_for(model(), {}));
  EXPECT_EQ(asked_for("--only-binary=:all:"), 1);
  EXPECT_EQ(asked_for("--no-index"), 0);
  write("model/requirements.txt", "mlflow==2\n");
  Environments offline({folder_ + "/environments", folder_ + "/python", "", "/wheels"}, files_,
                       clock_);
  ASSERT_TRUE(offline.python_for(model(), {}));
  EXPECT_EQ(asked_for("--no-index --find-links /wheels"), 1);
}

TEST_F(EnvironmentsTest, Another_python_than_the_models_is_refused_with_the_one_to_install) {
  write("model/python_env.yaml", "python: 3.7.9\nbuild_dependencies:\n- pip\n");
  const auto refused = make().python_for(model(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnsupported);
  EXPECT_NE(refused.error().message.find("python3.7"), std::string::npos);
  write("model/python_env.yaml", "python: 3.11.2\n");
  EXPECT_TRUE(make().python_for(model(), {}));
  std::filesystem::remove(model() + "/requirements.txt");
  EXPECT_EQ(make().python_for(model(), {}).error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace strata::engines::python
