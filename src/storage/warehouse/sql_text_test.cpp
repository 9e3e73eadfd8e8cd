#include "storage/warehouse/sql_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::storage::warehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Statement only(std::string_view sql) {
  auto all = analyse_sql(sql);
  EXPECT_TRUE(all.ok()) << sql << ": " << (all.ok() ? "" : all.error().message);
  if (!all || all->size() != 1) return {};
  return all->front();
}

std::vector<std::string> written(std::string_view sql) {
  std::vector<std::string> out;
  for (const auto& write : only(sql).writes)
    out.push_back(write.table.to_string());
  return out;
}

std::vector<std::string> read(std::string_view sql) {
  std::vector<std::string> out;
  for (const auto& path : only(sql).reads)
    out.push_back(path.bucket + "|" + path.key);
  return out;
}

Error refused(std::string_view sql) {
  auto all = analyse_sql(sql);
  EXPECT_FALSE(all.ok()) << sql;
  return all ? Error() : all.error();
}

TEST(SqlText, A_script_is_split_at_semicolons_outside_of_texts_and_comments) {
  const std::string script =
      "SELECT ';', \"a;b\", $$;$$, $x$ ; $y$ ; $x$ -- ;\n/* ; /* ; */ ; */;;\n SELECT E'\\';' ;";
  const auto all = analyse_sql(script);
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(script.substr((*all)[1].begin, (*all)[1].end - (*all)[1].begin), "SELECT E'\\';'");
}

TEST(SqlText, What_has_no_end_is_named_with_its_place) {
  EXPECT_EQ(refused("SELECT 1,\n  'abc").field, "sql:2:3");
  EXPECT_EQ(refused("SELECT \"ü\", \"x").field, "sql:1:13");
  EXPECT_EQ(refused("/* /* */").code, Code::kInvalidArgument);
  EXPECT_EQ(refused("  -- nothing\n ;").field, "sql");
}

TEST(SqlText, Knows_the_calls_whose_rows_name_files) {
  const std::string sql =
      "SELECT * FROM glob('s3://b/*'), s.read_csv(['s3://b/a(', 's3://b/c'], filename := true), "
      "read_csv('s3://b/d', filename = false), read_json('s3://b/e', sep = ')', filename='from')";
  const auto statement = only(sql);
  std::vector<std::string> calls;
  for (const auto& call : statement.file_names)
    calls.push_back(call.column + " " + sql.substr(call.begin, call.end - call.begin));
  EXPECT_THAT(calls, ElementsAre("file glob('s3://b/*')",
                                 "filename s.read_csv(['s3://b/a(', 's3://b/c'], filename := true)",
                                 "from read_json('s3://b/e', sep = ')', filename='from')"));
}

TEST(SqlText, Knows_which_tables_a_statement_changes) {
  EXPECT_THAT(written("INSERT INTO t VALUES (1)"), ElementsAre("main.t"));
  EXPECT_THAT(written("insert or replace into a.\"B c\" select 1"), ElementsAre("a.B c"));
  EXPECT_THAT(written("UPDATE warehouse.s.t SET x = 1"), ElementsAre("s.t"));
  EXPECT_THAT(written("DELETE FROM warehouse.t"), ElementsAre("main.t"));
  EXPECT_THAT(written("WITH q AS (SELECT 1) INSERT INTO t FROM q"), ElementsAre("main.t"));
  EXPECT_THAT(written("MERGE INTO t USING u ON t.i=u.i WHEN MATCHED THEN DELETE"),
              ElementsAre("main.t"));
  EXPECT_THAT(written("CREATE OR REPLACE TABLE t AS SELECT 1"), ElementsAre("main.t"));
  EXPECT_THAT(written("CREATE TABLE IF NOT EXISTS a.t (i INT)"), ElementsAre("a.t"));
  EXPECT_THAT(written("CREATE TEMP TABLE t AS SELECT 1"), ElementsAre());
  EXPECT_THAT(written("DROP TABLE IF EXISTS a, b.c"), ElementsAre("main.a", "b.c"));
  EXPECT_THAT(written("ALTER TABLE a.t RENAME TO u"), ElementsAre("a.t", "a.u"));
  EXPECT_THAT(written("COPY t (a, b) FROM 's3://lake/x.csv'"), ElementsAre("main.t"));
  EXPECT_THAT(written("EXPLAIN ANALYZE DELETE FROM t"), ElementsAre("main.t"));
  EXPECT_THAT(written("EXPLAIN DELETE FROM t"), ElementsAre());
  EXPECT_FALSE(only("WITH q AS (SELECT 1) SELECT * FROM q").changes);
  EXPECT_TRUE(only("TRUNCATE t").changes);
  EXPECT_TRUE(only("SELECT \"NextVal\" ('s')").changes);
  EXPECT_FALSE(only("SELECT nextval, currval('s') FROM t").changes);
}

TEST(SqlText, Finds_lake_paths_where_the_grammar_reads_files_and_nowhere_else) {
  EXPECT_THAT(read("SELECT * FROM 's3://lake/a/b.csv'"), ElementsAre("lake|a/b.csv"));
  EXPECT_THAT(read("FROM 's3://lake/a' x JOIN 'S3://lake/b' USING (i)"),
              ElementsAre("lake|a", "lake|b"));
  EXPECT_THAT(read("SELECT * FROM read_csv(['s3://l/a', 's3://l/*.csv'], delim=';')"),
              ElementsAre("l|a", "l|*.csv"));
  EXPECT_THAT(read("COPY t FROM 's3://l/x''y.csv'"), ElementsAre("l|x'y.csv"));
  EXPECT_THAT(read("SELECT 's3://l/a' AS path WHERE path <> 's3://l/b'"), ElementsAre());
  EXPECT_THAT(read("COPY (FROM 's3://l/a') TO 's3://l/out.parquet' (FORMAT parquet)"),
              ElementsAre("l|a"));
  EXPECT_EQ(only("COPY t TO 's3://l/out.parquet'").lake_target->key, "out.parquet");
  EXPECT_EQ(refused("SELECT * FROM 's3://lake'").field, "sql:1:15");
  EXPECT_EQ(refused("SELECT * FROM 's3://la*e/x'").code, Code::kInvalidArgument);
}

TEST(SqlText, Refuses_ways_out_of_the_warehouse) {
  for (const auto* sql : {"INSTALL httpfs",
                          "LOAD httpfs",
                          "ATTACH '/tmp/x.db'",
                          "DETACH warehouse",
                          "USE memory",
                          "SET threads=1",
                          "RESET threads",
                          "PRAGMA database_list",
                          "CALL pragma_version()",
                          "EXPORT DATABASE '/tmp/x'",
                          "IMPORT DATABASE '/tmp/x'",
                          "PREPARE p AS COPY t TO '/tmp/x'",
                          "EXECUTE p",
                          "COPY t TO '/tmp/x'",
                          "COPY t TO ('/tmp' || '/x')",
                          "COPY t TO $1",
                          "COPY t FROM '/etc/passwd'",
                          "EXPLAIN ANALYZE COPY t TO '/tmp/x'",
                          "COPY FROM DATABASE a TO b",
                          "CREATE SECRET (TYPE s3)",
                          "DROP SECRET x",
                          "SELECT current_setting('x')",
                          "SELECT \"Current_Setting\"('x')",
                          "SELECT 'x'.current_setting()",
                          "FROM query('SELECT 1')",
                          "FROM query_table('t')",
                          "FROM duckdb_settings()",
                          "FROM pg_catalog.pg_settings",
                          "FROM 'pg_settings'",
                          "FROM U&\"pg\\005fsettings\"",
                          "FROM duckdb_databases",
                          "CREATE MACRO m() AS current_setting('allowed_directories')",
                          "FROM read_csv('/etc/passwd')",
                          "FROM read_csv('/etc' || '/passwd')",
                          "FROM read_blob('warehouse/strata.duckdb')",
                          "FROM read_csv(['s3://l/a', '/etc/passwd'])",
                          "FROM read_csv('s3://l/a' || 'x')",
                          "FROM 'warehouse/x.parquet'",
                          "FROM \"/etc/passwd\"",
                          "FROM a, 'x.csv'",
                          "CREATE MACRO m(f) AS TABLE FROM read_csv(f)",
                          "FROM glob('*')",
                          "CREATE TABLE strata.t (i INT)",
                          "DROP SCHEMA strata",
                          "CHECKPOINT",
                          "SELECT 1; SET memory_limit='1TB'"}) {
    const auto code = refused(sql).code;
    EXPECT_TRUE(code == Code::kUnsupported || code == Code::kInvalidArgument) << sql;
  }
  EXPECT_TRUE(analyse_sql("SELECT query FROM log WHERE query = 'query'").ok());
  EXPECT_TRUE(
      analyse_sql("SELECT extract(year FROM '2013-01-01'::DATE), trim(both 'x' FROM 'xax')").ok());
}

TEST(SqlText, Refuses_texts_with_escapes_for_tables_and_files) {
  for (const auto* sql :
       {"FROM E'pg\\x5fsettings'", "FROM t, E'pg\\x5fsettings'",
        "FROM t JOIN E'pg\\x5fsettings' ON true", "FROM (SELECT 1) t, E'pg\\x5fsettings'",
        "FROM (t, E'pg\\x5fsettings')", "FROM f(1) t, E'pg\\x5fsettings'",
        "SELECT E'a\\n', (SELECT 1 FROM t, E'pg\\x5fsettings')",
        "SELECT 1 WHERE EXISTS (FROM t, E'pg\\x5fsettings')",
        "DELETE FROM t USING u, E'pg\\x5fsettings'",
        "FROM t JOIN u ON t.order = 1, E'pg\\x5fsettings'",
        "FROM t JOIN u ON s = {order: 1}, E'pg\\x5fsettings'",
        "FROM t JOIN u ON s = {a: 1, order: 1}, E'pg\\x5fsettings'",
        "FROM t JOIN u ON f() WITHIN GROUP (ORDER BY 1), E'pg\\x5fsettings'",
        "SUMMARIZE E'pg\\x5fsettings'", "FROM t, LATERAL (FROM u, E'pg\\x5fsettings')",
        "FROM read_csv(['s3://b/a', E's3://b/\\x61'])", "FROM read_csv(E's3://b/\\x61')"})
    EXPECT_EQ(refused(sql).code, Code::kUnsupported) << sql;
}

TEST(SqlText, A_text_with_escapes_may_stand_where_no_table_can) {
  for (const auto* sql :
       {"SELECT 1 AS a, E'x\\ny' AS s", "SELECT E'a\\nb', E'\\t' FROM t, u WHERE x IN (1, E'\\n')",
        "INSERT INTO t VALUES (1, E'a\\n'), (2, E'b\\n')",
        "SELECT replace(a, E'\\n', E'\\t') FROM t", "SELECT * FROM t ORDER BY a, E'\\n'",
        "SELECT [1, E'\\n'] FROM t", "SELECT * FROM (SELECT 1, E'\\n') u",
        "SELECT string_agg(a, E'\\n') FROM t GROUP BY b, E'\\n'",
        "SELECT * FROM t WHERE regexp_matches(a, E'\\n') LIMIT 1"}) {
    const auto read = analyse_sql(sql);
    EXPECT_TRUE(read.ok()) << sql << ": " << read.error().message;
  }
  const auto error = refused("SELECT 1\nFROM t, E'x\\ny'");
  EXPECT_THAT(error.message, HasSubstr("escapes"));
  EXPECT_EQ(error.field, "sql:2:9");
}

TEST(SqlText, A_view_cannot_keep_a_lake_path) {
  EXPECT_THAT(refused("CREATE VIEW v AS FROM 's3://l/a'").message, HasSubstr("CREATE TABLE"));
  EXPECT_TRUE(analyse_sql("CREATE TABLE v AS FROM 's3://l/a'").ok());
}

TEST(SqlText, A_slip_in_the_first_word_gets_a_suggestion) {
  EXPECT_THAT(refused("SELCT 1").message, HasSubstr("Did you mean 'SELECT'?"));
}

TEST(SqlText, Rewritten_text_knows_where_it_came_from) {
  const std::string script = "SELECT 1; SELECT x FROM 's3://a/b' WHERE y";
  const RewrittenSql sql(script, 10, script.size(), {{24, 34, "'a/much/longer/path'"}});
  EXPECT_EQ(sql.text(), "SELECT x FROM 'a/much/longer/path' WHERE y");
  EXPECT_EQ(sql.original(7), 17U);
  EXPECT_EQ(sql.original(20), 24U);
  EXPECT_EQ(script[sql.original(sql.text().size() - 1)], 'y');
}

TEST(SqlText, Patterns_match_as_the_engine_matches_them) {
  EXPECT_TRUE(matches_pattern("a/*.csv", "a/x.csv"));
  EXPECT_FALSE(matches_pattern("a/*.csv", "a/b/x.csv"));
  EXPECT_TRUE(matches_pattern("a/**/*.csv", "a/b/c/x.csv"));
  EXPECT_TRUE(matches_pattern("a/**/*.csv", "a/x.csv"));
  EXPECT_TRUE(matches_pattern("**", "a/b"));
  EXPECT_TRUE(matches_pattern("m[0-3]?.p", "m2x.p"));
  EXPECT_FALSE(matches_pattern("m[!0-3].p", "m2.p"));
  EXPECT_FALSE(matches_pattern("*", "a/b"));
  EXPECT_FALSE(matches_pattern("a*b*c*d*e*f*g", std::string(200, 'a')));
}

}  // namespace
}  // namespace strata::storage::warehouse
