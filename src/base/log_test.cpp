#include "base/log.hpp"

#include <gtest/gtest.h>

namespace strata::log {
namespace {

class Log : public testing::Test {
 protected:
  ~Log() override { install(nullptr, Level::kError); }
  void keep(Level least) {
    install([this](std::string_view line) { lines.emplace_back(line); }, least);
  }
  std::vector<std::string> lines;
};

TEST_F(Log, A_line_put_together_by_field_is_the_same_as_one_from_a_value) {
  keep(Level::kDebug);
  const std::string odd = "a\"b\\c\n\x01 \xC3\xA4 \xFF";
  info("http.request", Json::object({{"path", odd}, {"status", 200}, {"ms", 0.25}}));
  Line(Level::kInfo, "http.request")
      .text("path", odd)
      .number("status", std::int64_t{200})
      .number("ms", 0.25)
      .write();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_TRUE(parse_json(lines[1]).ok());
}

TEST_F(Log, Keeps_lines_from_the_chosen_level_on) {
  EXPECT_FALSE(enabled(Level::kError));
  keep(Level::kWarn);
  EXPECT_FALSE(enabled(Level::kInfo));
  EXPECT_TRUE(enabled(Level::kWarn));
  info("quiet");
  Line(Level::kInfo, "quiet").write();
  error("loud");
  Line(Level::kWarn, "loud").write();
  EXPECT_EQ(lines.size(), 2U);
}

}  // namespace
}  // namespace strata::log
