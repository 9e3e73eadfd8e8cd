#include "engines/duckdb/duckdb.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <unistd.h>

#include "engines/duckdb/session.hpp"
#include "engines/duckdb/values.hpp"

namespace strata::engines::duckdb {
namespace {

using namespace wire::sql_engine;
using testing::HasSubstr;
namespace fs = std::filesystem;

struct Answer {
  Head head;
  std::string data;
  Done done;
  std::optional<Failure> failure;
};

// One engine for all tests of the suite, in a folder of its own.
class DuckDb : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto library =
        fs::read_symlink("/proc/self/exe").parent_path() / "lib/strata/libduckdb.so";
    folder_ = fs::temp_directory_path() / ("strata-duckdb-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "warehouse/spool/r/q");
    fs::current_path(folder_);
    EngineOptions options;
    options.data = folder_;
    options.library = library;
    options.spool = "warehouse/spool/r";
    options.memory_mb = 256;
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    engine_ = std::move(*engine);
  }
  static void TearDownTestSuite() {
    engine_.reset();
    fs::current_path("/");
    fs::remove_all(folder_);
  }

  static Answer run(RunRequest request) {
    auto ends = MessageSocket::pair();
    BlockingPool threads(2);
    threads.submit([&threads, socket = std::move(ends->second)]() mutable {
      serve_session(*engine_, std::move(socket), threads);
    });
    Answer answer;
    EXPECT_TRUE(ends->first.send(static_cast<char>(Say::kRun), encode(request)).ok());
    while (true) {
      auto message = ends->first.receive();
      if (!message) break;
      const auto kind = static_cast<Say>(message->kind);
      if (kind == Say::kHead) answer.head = *decode_head(message->payload);
      if (kind == Say::kData) answer.data += message->payload;
      if (kind == Say::kDone) answer.done = *decode_done(message->payload);
      if (kind == Say::kFailed) answer.failure = *decode_failure(message->payload);
      if (kind == Say::kDone || kind == Say::kFailed) break;
    }
    ends->first.shutdown();
    return answer;
  }
  static Answer run(const std::string& sql, Format format = Format::kJson) {
    RunRequest request;
    request.statements = {{sql, true, true, false}};
    request.format = format;
    request.result_file = "warehouse/spool/r/q/result.parquet";
    return run(request);
  }
  static std::string rows(const std::string& sql) {
    const auto answer = run(sql);
    if (answer.failure) return answer.failure->message;
    return answer.data.substr(answer.data.find("\"rows\":") + 7);
  }

  static inline fs::path folder_;
  static inline std::unique_ptr<Engine> engine_;
};

TEST_F(DuckDb, Json_keeps_each_type_exact) {
  EXPECT_EQ(
      rows("SELECT 9223372036854775807, 18446744073709551615::UBIGINT, "
           "170141183460469231731687303715884105727"),
      "[[9223372036854775807,18446744073709551615,\"170141183460469231731687303715884105727\"]");
  EXPECT_EQ(rows("SELECT 1.50::DECIMAL(4,2), -0.001::DECIMAL(18,3), "
                 "12345678901234567890.12::DECIMAL(38,2), 7::HUGEINT"),
            "[[1.50,-0.001,\"12345678901234567890.12\",7]");
  EXPECT_EQ(rows("SELECT 'NaN'::DOUBLE, '-inf'::FLOAT, 0.1::FLOAT, 0.1, 1e300::DOUBLE"),
            "[[\"NaN\",\"-Infinity\",0.1,0.1,1e+300]");
  EXPECT_EQ(
      rows("SELECT NULL, true, 'a\"b', 'ab'::BLOB, '550e8400-e29b-41d4-a716-446655440000'::UUID"),
      "[[null,true,\"a\\\"b\",\"YWI=\",\"550e8400-e29b-41d4-a716-446655440000\"]");
  EXPECT_EQ(
      rows("SELECT DATE '2024-02-29', TIME '01:02:03.5', TIMESTAMP '1969-12-31 23:59:59.999999', "
           "TIMESTAMPTZ '2024-01-01 00:00:00+02', DATE '0044-03-15 (BC)', 'infinity'::TIMESTAMP"),
      "[[\"2024-02-29\",\"01:02:03.5\",\"1969-12-31T23:59:59.999999\",\"2023-12-31T22:00:00Z\",\"-"
      "0043-03-15\","
      "\"infinity\"]");
  EXPECT_EQ(rows("SELECT TIMESTAMP_S '2024-01-01 00:00:01', TIMESTAMP_MS '2024-01-01 00:00:01.25', "
                 "TIMESTAMP_NS '2024-01-01 00:00:01.123456789', TIMETZ '10:00:00-03:30'"),
            "[[\"2024-01-01T00:00:01\",\"2024-01-01T00:00:01.25\",\"2024-01-01T00:00:01."
            "123456789\",\"10:00:00-03:30\"]");
  EXPECT_EQ(rows("SELECT INTERVAL '14 months 3 days 4 hours 5.25 seconds', INTERVAL '0 days', "
                 "'0101'::BIT"),
            "[[\"P1Y2M3DT4H5.25S\",\"PT0S\",\"0101\"]");
  EXPECT_EQ(rows("SELECT [1,NULL,3], {'a': 1, 'b': [{'c': 'x'}]}, MAP {'k': 1.5}, [1,2,3]::INT[3], "
                 "'b'::ENUM('a','b')"),
            "[[[1,null,3],{\"a\":1,\"b\":[{\"c\":\"x\"}]},[{\"key\":\"k\",\"value\":1.5}],[1,2,3],"
            "\"b\"]");
  EXPECT_EQ(rows("SELECT union_value(n := 2), '{\"a\": 1}'::JSON, NULL::INT[], []"),
            "[[2,\"{\\\"a\\\": 1}\",null,[]]");
}

TEST_F(DuckDb, Columns_carry_their_sql_types) {
  const auto answer =
      run("SELECT 1::TINYINT AS a, 1.5::DECIMAL(9,3) b, [{'x': 1}] c, MAP {1: 'a'} d, now() e, "
          "'{}'::JSON f");
  ASSERT_FALSE(answer.failure) << answer.failure->message;
  const std::vector<ColumnInfo> expected = {{"a", "TINYINT"},
                                            {"b", "DECIMAL(9,3)"},
                                            {"c", "STRUCT(x INTEGER)[]"},
                                            {"d", "MAP(INTEGER, VARCHAR)"},
                                            {"e", "TIMESTAMP WITH TIME ZONE"},
                                            {"f", "JSON"}};
  EXPECT_EQ(answer.head.columns, expected);
}

TEST_F(DuckDb, Csv_quotes_what_could_be_mistaken) {
  EXPECT_EQ(run("SELECT 'a,b' x, 'say \"hi\"' AS \"y z\", '' e, NULL n, 'l1\nl2' m, 'a'::BLOB || "
                "'\\x00'::BLOB b",
                Format::kCsv)
                .data,
            "x,y z,e,n,m,b\n\"a,b\",\"say \"\"hi\"\"\",\"\",,\"l1\nl2\",a\\x00\n");
}

TEST_F(DuckDb, Arrow_is_a_stream_that_a_reader_takes) {
  const auto answer = run("SELECT range i, 'b'::ENUM('a','b') e FROM range(5000)", Format::kArrow);
  ASSERT_FALSE(answer.failure) << answer.failure->message;
  ArrowBuffer buffer;
  ArrowBufferInit(&buffer);
  ASSERT_EQ(
      ArrowBufferAppend(&buffer, answer.data.data(), static_cast<std::int64_t>(answer.data.size())),
      NANOARROW_OK);
  ArrowIpcInputStream input;
  ASSERT_EQ(ArrowIpcInputStreamInitBuffer(&input, &buffer), NANOARROW_OK);
  ArrowArrayStream stream;
  ASSERT_EQ(ArrowIpcArrayStreamReaderInit(&stream, &input, nullptr), NANOARROW_OK);
  std::int64_t rows = 0;
  while (true) {
    ArrowArray array;
    ASSERT_EQ(stream.get_next(&stream, &array), 0) << stream.get_last_error(&stream);
    if (array.release == nullptr) break;
    rows += array.length;
    array.release(&array);
  }
  stream.release(&stream);
  EXPECT_EQ(rows, 5000);
}

TEST_F(DuckDb, A_script_is_one_transaction) {
  RunRequest request;
  request.statements = {{"CREATE TABLE atomic (i INT)", true, false, false},
                        {"INSERT INTO atomic VALUES (1)", true, false, false},
                        {"SELECT * FROM nosuch", false, true, false}};
  const auto answer = run(request);
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->statement, 2);
  EXPECT_EQ(answer.failure->at, 14);
  EXPECT_EQ(answer.failure->kind, "not_found");
  EXPECT_THAT(rows("SELECT * FROM atomic"), HasSubstr("does not exist"));
}

TEST_F(DuckDb, Tells_what_was_read_and_written) {
  ASSERT_FALSE(run("CREATE TABLE src AS SELECT range i FROM range(10)").failure);
  ASSERT_FALSE(run("CREATE VIEW over AS SELECT i + 1 j FROM src").failure);
  RunRequest request;
  request.statements = {
      {"CREATE OR REPLACE TABLE made AS SELECT * FROM over JOIN src ON i = j", true, false, false},
      {"SELECT * FROM made WHERE false", false, true, false}};
  request.statements[0].writes = {{"main", "made", false, ""}};
  const auto answer = run(request);
  ASSERT_FALSE(answer.failure) << answer.failure->message;
  ASSERT_EQ(answer.done.effects.size(), 2U);
  const auto& [made, looked] = std::tie(answer.done.effects[0], answer.done.effects[1]);
  ASSERT_EQ(made.writes.size(), 1U);
  EXPECT_EQ(made.writes[0].table.rows, 9);
  EXPECT_EQ(made.writes[0].table.version, 1);
  EXPECT_EQ(made.writes[0].table.columns,
            (std::vector<ColumnInfo>{{"j", "BIGINT"}, {"i", "BIGINT"}}));
  EXPECT_FALSE(made.writes[0].from);
  EXPECT_THAT(made.reads, testing::ElementsAre(testing::Field(&TableVersion::name, "src")));
  EXPECT_THAT(looked.reads, testing::ElementsAre(TableVersion{"main", "made", 1}));
}

TEST_F(DuckDb, A_commit_keeps_its_record_until_the_server_has_it) {
  const auto unsettled = [] {
    const auto connection = engine_->connect();
    std::vector<CommitRecord> records;
    for (const auto& text : *engine_->commits().unsettled(engine_->ask(*connection)))
      records.push_back(*decode_commit_record(text));
    return records;
  };
  RunRequest request;
  request.query = "q1";
  request.note = "by ann";
  RunStatement make{"CREATE TABLE kept_record (i INTEGER)", true, true, false};
  make.writes = {{"main", "kept_record", false, ""}};
  make.note = "made";
  RunStatement begin{"BEGIN", false, false, true};
  RunStatement commit{"COMMIT", false, false, true};
  RunStatement rollback{"ROLLBACK", false, false, true};
  RunStatement add{"INSERT INTO kept_record VALUES (1)", true, true, false};
  add.writes = {{"main", "kept_record", true, ""}};
  add.note = "added";
  request.statements = {begin, make, commit, begin, add, rollback, add};
  ASSERT_FALSE(run(request).failure);
  run("SELECT 1");  // leaves none: it changes nothing, and has no name
  auto records = unsettled();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].query, "q1");
  EXPECT_EQ(records[0].note, "by ann");
  EXPECT_EQ(records[0].notes, std::vector<std::string>{"made"});
  EXPECT_FALSE(records[0].last);
  EXPECT_EQ(records[1].notes, std::vector<std::string>{"added"});
  EXPECT_TRUE(records[1].last);
  ASSERT_EQ(records[1].effects.size(), 1U);
  EXPECT_EQ(records[1].effects[0].statement, 6);
  EXPECT_EQ(records[1].effects[0].writes[0].table.version, 2);
  EXPECT_EQ(records[1].effects[0].writes[0].from->version, 1);

  request.query = "q2";
  request.statements = {add};
  request.recorded = {"q1"};
  ASSERT_FALSE(run(request).failure);
  records = unsettled();  // settled behind the answer
  for (int i = 0; i < 1000 && records.size() != 1; ++i) {
    run("SELECT 1");
    records = unsettled();
  }
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].query, "q2");
  const auto connection = engine_->connect();
  ASSERT_TRUE(engine_->commits().settle_all(engine_->ask(*connection)).ok());
  EXPECT_TRUE(unsettled().empty());
}

TEST_F(DuckDb, Parameters_are_bound_by_place_or_name) {
  RunRequest request;
  request.statements = {{"SELECT ?::BIGINT + 1, ?, ?", false, true, false}};
  request.params = *parse_json(R"([9223372036854775806, "x'; DROP TABLE t", null])");
  EXPECT_THAT(run(request).data, HasSubstr(R"([9223372036854775807,"x'; DROP TABLE t",null])"));
  request.statements = {{"SELECT $b::INT - $a::INT", false, true, false}};
  request.params = *parse_json(R"({"a": 1, "b": 10})");
  EXPECT_THAT(run(request).data, HasSubstr("[9]"));
  request.params = Json();
  EXPECT_THAT(run(request).failure->message, HasSubstr("2 parameters"));
}

TEST_F(DuckDb, A_limit_cuts_the_answer_and_says_so) {
  RunRequest request;
  request.statements = {{"SELECT * FROM range(100000)", false, true, false}};
  request.limit = 3000;
  for (const auto format : {Format::kJson, Format::kArrow}) {
    request.format = format;
    const auto answer = run(request);
    EXPECT_EQ(answer.done.rows, 3000);
    EXPECT_TRUE(answer.done.truncated);
  }
}

TEST_F(DuckDb, A_parquet_result_is_a_file) {
  const auto answer = run("SELECT * FROM range(1000) -- comment", Format::kParquet);
  ASSERT_FALSE(answer.failure) << answer.failure->message;
  EXPECT_EQ(answer.done.rows, 1000);
  EXPECT_EQ(rows("SELECT count(*) FROM 'warehouse/spool/r/q/result.parquet'"), "[[1000]");
}

TEST_F(DuckDb, A_statement_that_needs_too_much_memory_fails_alone) {
  const auto answer =
      run("SELECT list(a.range || 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') FROM range(100000000) a");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->kind, "out_of_memory") << answer.failure->message;
  EXPECT_TRUE(answer.failure->recycle);
  EXPECT_EQ(rows("SELECT 1"), "[[1]");
}

TEST_F(DuckDb, Files_outside_of_the_spool_are_out_of_reach) {
  for (const auto* sql :
       {"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('warehouse/*')",
        "SELECT * FROM glob('/**')", "COPY (SELECT 1) TO '/tmp/strata-escape.csv'",
        "SELECT * FROM read_text('warehouse/spool/*/q/*')",
        "SELECT * FROM 'https://example.org/x.csv'"}) {
    const auto answer = run(sql);
    EXPECT_TRUE(answer.failure) << sql;
  }
  for (const auto* sql : {"INSTALL httpfs", "ATTACH 'x.db'", "SET threads = 1",
                          "PRAGMA threads = 1", "LOAD httpfs"}) {
    EXPECT_TRUE(run(sql).failure) << sql;
  }
}

TEST_F(DuckDb, Closing_the_socket_interrupts_the_statement) {
  auto ends = MessageSocket::pair();
  BlockingPool threads(2);
  threads.submit([&threads, socket = std::move(ends->second)]() mutable {
    serve_session(*engine_, std::move(socket), threads);
  });
  RunRequest request;
  request.statements = {
      {"SELECT count(*) FROM range(100000000000) a, range(100000) b", false, true, false}};
  ASSERT_TRUE(ends->first.send(static_cast<char>(Say::kRun), encode(request)).ok());
  ASSERT_EQ(ends->first.receive()->kind, static_cast<char>(Say::kProgress));
  ends->first.shutdown();
  threads.stop();  // returns only when the statement has ended
}

TEST(DuckDbMessage, Points_at_the_byte_that_the_engine_means) {
  const auto message = read_message(
      "Catalog Error: no tt!\nDid you mean \"t\"?\n\nLINE 2:   FROM tt\n               ^",
      "SELECT 1\n  FROM tt");
  EXPECT_EQ(message.text, "Catalog Error: no tt!\nDid you mean \"t\"?");
  EXPECT_EQ(message.at, 16);
  EXPECT_EQ(read_message("plain", "x").at, -1);
  EXPECT_EQ(read_message("e\nLINE 9: zz\n        ^", "x").at, -1);
}

TEST(DuckDbMessage, Offers_no_name_of_the_engines_own_catalog) {
  const auto offered = [](const std::string& names) {
    return read_message(
               "Catalog Error: no tt!\nDid you mean " + names + "?\n\nLINE 1: tt\n        ^", "tt")
        .text;
  };
  const std::string error = "Catalog Error: no tt!";
  for (const std::string own :
       {"duckdb_tables", "pg_catalog.pg_tables", "pragma_table_info", "main.sqlite_master"})
    EXPECT_EQ(offered("\"" + own + "\""), error);
  EXPECT_EQ(offered("\"pg_am\" or \"duckdb_logs\""), error);
  EXPECT_EQ(offered("\"pg_am\" or \"t\""), error + "\nDid you mean \"t\"?");
  EXPECT_EQ(offered("\"pages\" or \"raw.t\""), error + "\nDid you mean \"pages\" or \"raw.t\"?");
}

TEST(DuckDbValues, Decimals_keep_all_digits) {
  std::string out;
  append_decimal(out, -5, 3);
  out += ' ';
  append_decimal(out, 0, 0);
  out += ' ';
  append_decimal(out, static_cast<__int128>(1) << 126, 2);
  EXPECT_EQ(out, "-0.005 0 850705917302346158658436518579420528.64");
}

TEST_F(DuckDb, A_system_view_is_read_only_by_sessions_that_may) {
  const std::string file = "warehouse/spool/r/seen.parquet";
  rows("COPY (SELECT 7 AS a) TO '" + file + "' (FORMAT parquet)");
  wire::sql_engine::SystemView view{"seen", {file}, {{"a", "INTEGER"}}, true, true, "no right"};
  const auto ask = [&](const std::string& sql) {
    RunRequest request;
    request.statements = {{sql, true, true, false}};
    view.named = sql.contains("seen");
    request.views = {view};
    const auto answer = run(request);
    return answer.failure ? answer.failure->message : answer.data;
  };
  EXPECT_THAT(ask("FROM strata.seen"), HasSubstr("[7]"));
  ask("CREATE VIEW beyond AS FROM strata.seen");
  ask("CREATE MACRO behind() AS TABLE FROM beyond");
  EXPECT_THAT(ask("FROM beyond"), HasSubstr("[7]"));
  view.readable = false;
  EXPECT_THAT(ask("FROM behind() WHERE false"), HasSubstr("no right"));
  for (const auto& files : {std::vector<std::string>{file}, std::vector<std::string>{}}) {
    view.files = files;
    view.readable = false;
    for (const std::string sql : {"FROM strata.seen", "FROM beyond", "SELECT count(*) FROM beyond",
                                  "FROM behind()", "CREATE TABLE t AS FROM beyond"}) {
      EXPECT_THAT(ask(sql), HasSubstr("no right")) << sql;
    }
    view.readable = true;
  }
  EXPECT_THAT(ask("SELECT 'rows: ' || count(*) FROM behind()"), HasSubstr("rows: 0"));

  // A file that cannot be read is the fault of those only who read it.
  view.files = {"warehouse/spool/r/gone.parquet"};
  EXPECT_THAT(ask("SELECT 8"), HasSubstr("[8]"));
  EXPECT_THAT(ask("FROM strata.seen"), HasSubstr("gone.parquet"));
  view.files = {file};
  EXPECT_THAT(ask("FROM beyond"), HasSubstr("[7]"));
  ask("DROP VIEW beyond");
}

}  // namespace
}  // namespace strata::engines::duckdb
