#include "base/config.hpp"

#include <gtest/gtest.h>

namespace strata::config {
namespace {

constexpr Setting kSchema[] = {
    {"http", Kind::kAddress, "127.0.0.1:7700", "where it listens"},
    {"tls.private_key", Kind::kText, "", "a file"},
    {"log.level", Kind::kChoice, "info", "how much", "debug,info"},
    {"sql.memory", Kind::kBytes, "", "how much memory", "", 1 << 20},
    {"sql.threads", Kind::kInteger, "2", "how many", "", 1, 64},
};

std::string refusal(const Status& status) {
  return status.ok() ? "accepted" : status.error().message;
}

TEST(Config, A_flag_wins_over_the_environment_over_the_file_over_the_default_in_any_order) {
  Settings settings{kSchema};
  ASSERT_TRUE(settings.set_flag("http", "127.0.0.1:4").ok());
  ASSERT_TRUE(settings
                  .read_environment({{"STRATA_HTTP", "127.0.0.1:3"},
                                     {"STRATA_TLS_PRIVATE_KEY", "from-environment"},
                                     {"PATH", "/bin"}},
                                    {})
                  .ok());
  const auto read = settings.read_file("strata.toml",
                                       "http = '127.0.0.1:2'\n"
                                       "sql.threads = 7\n"
                                       "[tls]\nprivate_key = 'from-file'\n");
  ASSERT_TRUE(read.ok()) << refusal(read);
  EXPECT_EQ(settings.text("http"), "127.0.0.1:4");
  EXPECT_EQ(settings.value("http").where, "--http");
  EXPECT_EQ(settings.text("tls.private_key"), "from-environment");
  EXPECT_EQ(settings.value("tls.private_key").where, "STRATA_TLS_PRIVATE_KEY");
  EXPECT_EQ(settings.integer("sql.threads"), 7);
  EXPECT_EQ(settings.value("sql.threads").where, "strata.toml:2:15");
  EXPECT_EQ(settings.text("log.level"), "info");
  EXPECT_EQ(settings.value("log.level").origin, Origin::kDefault);
}

TEST(Config, Names_of_flags_and_variables_follow_from_the_key) {
  EXPECT_EQ(flag_of(kSchema[1]), "--tls-private-key");
  EXPECT_EQ(variable_of(kSchema[1]), "STRATA_TLS_PRIVATE_KEY");
}

TEST(Config, What_is_wrong_in_the_file_is_shown_with_its_place_and_a_way_out) {
  const std::pair<const char*, const char*> wrong[] = {
      {"[tls]\nprivate_kye = 'x'\n",
       "s.toml:2:1: there is no setting 'tls.private_kye'. Did you "
       "mean 'tls.private_key'?"},
      {"level = 'debug'\n", "Did you mean 'log.level'?"},
      {"[tsl]\nprivate_key = 'x'\n",
       "s.toml:2:1: there is no setting 'tsl.private_key'. Did you mean 'tls.private_key'?"},
      {"http = 7700\n", "s.toml:1:8: http must be text in quotes"},
      {"http = '127.0.0.1'\n", "s.toml:1:8: http: '127.0.0.1' is no address"},
      {"sql.threads = '2'\n", "sql.threads must be a whole number"},
      {"sql.threads = 65\n", "'65' is more than 64"},
      {"sql.memory = '1KiB'\n", "less than 1.0 MiB"},
      {"[log]\nlevel = 'loud'\n", "s.toml:2:9: log.level: 'loud' is none of debug, info"},
      {"http = \n", "s.toml:1:8"},
      {"http = 'a:1'\nhttp = 'b:1'\n", "s.toml:2"},
  };
  for (const auto& [text, part] : wrong) {
    Settings settings{kSchema};
    const std::string said = refusal(settings.read_file("s.toml", text));
    EXPECT_NE(said.find(part), std::string::npos) << text << said;
  }
}

TEST(Config, A_slip_in_a_variable_is_refused_and_other_programs_variables_are_not) {
  Settings settings{kSchema};
  const std::string slip = refusal(settings.read_environment({{"STRATA_SQL_THREAD", "2"}}, {}));
  EXPECT_NE(slip.find("STRATA_SQL_THREADS"), std::string::npos) << slip;
  EXPECT_TRUE(settings
                  .read_environment({{"STRATA_STEP", "a"},
                                     {"STRATA_SQL_THREADZ", "known elsewhere"},
                                     {"STRATA_BINARY", "b"},
                                     {"STRATA_SQL_THREADS", ""}},
                                    {"STRATA_SQL_THREADZ"})
                  .ok());
  EXPECT_EQ(settings.integer("sql.threads"), 2);
  const std::string bad = refusal(settings.read_environment({{"STRATA_SQL_THREADS", "two"}}, {}));
  EXPECT_NE(bad.find("STRATA_SQL_THREADS: 'two' is no whole number"), std::string::npos) << bad;
}

TEST(Config, A_slip_in_a_short_variable_is_one_keystroke) {
  constexpr Setting kShort[] = {{"http", Kind::kText, "", ""}, {"s3", Kind::kText, "", ""}};
  const auto said = [&](const char* name) {
    Settings settings{kShort};
    return refusal(settings.read_environment({{name, "x"}}, {}));
  };
  for (const char* slip : {"STRATA_HTPP", "STRATA_HTT", "STRATA_HTTTP", "STRATA_THTP",
                           "STRATA_TTTP", "STRATA_HTTPS", "STRATA_TTP"})
    EXPECT_NE(said(slip).find("'STRATA_HTTP'"), std::string::npos) << slip << ": " << said(slip);
  for (const char* slip : {"STRATA_3S", "STRATA_SS3", "STRATA_S33"})
    EXPECT_NE(said(slip).find("'STRATA_S3'"), std::string::npos) << slip << ": " << said(slip);
  for (const char* other : {"STRATA_STEP", "STRATA_HOST", "STRATA_FTP", "STRATA_S", "STRATA_S4",
                            "STRATA_SSH", "STRATA_", "STRATA_CPUS", "STRATA_HTML"})
    EXPECT_EQ(said(other), "accepted") << other;
}

TEST(Config, Sizes_are_read_with_their_unit) {
  Settings settings{kSchema};
  ASSERT_TRUE(settings.read_file("s", "sql.memory = '1.5GiB'").ok());
  EXPECT_EQ(settings.integer("sql.memory"), 1610612736);
  ASSERT_TRUE(settings.set_flag("sql.memory", "2097152").ok());
  EXPECT_EQ(settings.integer("sql.memory"), 2097152);
}

}  // namespace
}  // namespace strata::config
