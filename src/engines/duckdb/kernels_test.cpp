// Every kernel as the SQL engine calls it against the same kernel called on single rows.

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engines/duckdb/engine.hpp"
#include "platform/expressions/expressions.hpp"

namespace strata::engines::duckdb {
namespace {

namespace fs = std::filesystem;
using platform::expressions::Kernel;
using Kind = platform::expressions::Type;
using Cell = platform::expressions::Value;

constexpr std::size_t kRows = 2300;  // more than a chunk of the engine, and no multiple of it

constexpr std::int64_t kHour = 3'600'000'000;

class Rows {
 public:
  explicit Rows(std::uint64_t seed) : random_(seed) {}

  Cell cell(Kind kind, bool zone) {
    if (pick(12) == 0) return Cell::null(kind);
    switch (kind) {
      case Kind::kBool:
        return Cell::of(pick(2) == 0);
      case Kind::kInt64:
        return Cell::of(integer());
      case Kind::kDouble:
        return Cell::of(number());
      case Kind::kString:
        return Cell::of(zone ? zone_name() : text());
      case Kind::kTimestamp:
        return Cell::of_micros(time());
    }
    return Cell::null(kind);
  }

 private:
  std::size_t pick(std::size_t among) { return random_() % among; }
  template <class T>
  T one_of(std::initializer_list<T> all) {
    return *(all.begin() + pick(all.size()));
  }
  std::int64_t integer() {
    if (pick(3) == 0) return one_of<std::int64_t>({0, 1, -1, 2, 7, INT64_MAX, INT64_MIN, 1 << 20});
    return static_cast<std::int64_t>(random_()) >> pick(64);
  }
  double number() {
    using Limits = std::numeric_limits<double>;
    if (pick(2) == 0) {
      return one_of({0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 1.0, -1.0, Limits::quiet_NaN(),
                     Limits::infinity(), -Limits::infinity(), Limits::max(), Limits::lowest(),
                     Limits::denorm_min(), 0x1p63, -0x1p63, 9007199254740993.0, 0.1});
    }
    if (pick(2) == 0) return static_cast<double>(integer()) / 1000;
    const double any = std::bit_cast<double>(random_());
    return std::isnan(any) ? 0.25 : any;
  }
  std::string text() {
    if (pick(3) == 0) {
      return one_of<std::string>({"", " ", "12", "-7 ", "+3", "1e400", "NaN", "-inf", "0.1", "true",
                                  "F", "9223372036854775808", "2024-02-30", "2024-02-29T12:30:00Z",
                                  "2024-10-27 02:30:00.123456+02:00", "2024-01-01T00:00:00.1234567",
                                  "Zürich", "a text that is too long to be kept inline: żółć"});
    }
    std::string out;
    for (std::size_t i = pick(20); i > 0; --i)
      out += one_of<std::string>({"a", "B", "z", "1", " ", "ü", "日", "😀", "'"});
    return out;
  }
  std::string zone_name() {
    return one_of<std::string>({"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata",
                                "America/Sao_Paulo", "Australia/Lord_Howe", "Nowhere/None"});
  }
  // Often a night in which clocks change: Berlin, New York, Sao Paulo (at midnight), Lord Howe.
  std::int64_t time() {
    if (pick(8) == 0) {
      return one_of({platform::expressions::kFirstMicros, platform::expressions::kLastMicros,
                     std::int64_t{0}, std::int64_t{-1}});
    }
    if (pick(2) == 0) {
      const auto night = one_of<std::int64_t>({1711846800, 1729990800, 1710054000, 1730613600,
                                               1541300400, 1550368800, 1712415600, 1728142200});
      return night * 1'000'000 + (static_cast<std::int64_t>(random_() % 6) - 3) * kHour / 2 +
             static_cast<std::int64_t>(pick(3)) - 1;
    }
    return static_cast<std::int64_t>(random_() % 4'000'000'000'000'000) - 1'000'000'000'000'000;
  }

  std::mt19937_64 random_;
};

std::string sql_of(const Cell& cell) {
  if (!cell.present) return "NULL";
  switch (cell.type) {
    case Kind::kBool:
      return cell.integer != 0 ? "true" : "false";
    case Kind::kInt64:
      return fmt::format("'{}'::BIGINT", cell.integer);
    case Kind::kDouble:
      return std::isnan(cell.number) ? "'NaN'::DOUBLE" : fmt::format("'{}'::DOUBLE", cell.number);
    case Kind::kString:
      return quote_text(cell.text);
    case Kind::kTimestamp:
      return fmt::format("make_timestamp({}::BIGINT)", cell.integer);
  }
  return "NULL";
}

std::string_view column_type(Kind kind) {
  constexpr std::array<std::string_view, platform::expressions::kTypes> kTypes = {
      "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP"};
  return kTypes.at(static_cast<std::size_t>(kind));
}

Cell read_cell(Kind kind, const void* data, idx_t row) {
  Cell out = Cell::null(kind);
  out.present = true;
  if (kind == Kind::kBool) {
    out.integer = static_cast<const std::uint8_t*>(data)[row];
  } else if (kind == Kind::kDouble) {
    out.number = static_cast<const double*>(data)[row];
  } else if (kind == Kind::kString) {
    const auto& value = static_cast<const duckdb_string_t*>(data)[row].value;
    out.text.assign(value.inlined.length <= 12 ? value.inlined.inlined : value.pointer.ptr,
                    value.inlined.length);
  } else {
    out.integer = static_cast<const std::int64_t*>(data)[row];
  }
  return out;
}

std::string show(const Cell& cell) {
  return fmt::format("{}{}", sql_of(cell),
                     cell.type == Kind::kDouble
                         ? fmt::format(" ({:x})", std::bit_cast<std::uint64_t>(cell.number))
                         : "");
}

class Kernels : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / ("strata-kernels-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "warehouse/spool/r");
    fs::current_path(folder_);
    EngineOptions options;
    options.data = folder_;
    options.library = fs::read_symlink("/proc/self/exe").parent_path() / "lib/strata/libduckdb.so";
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

  // The result of `sql`, whose columns have these types.
  static std::vector<std::vector<Cell>> read(const Connection& connection, const std::string& sql,
                                             const std::vector<Kind>& kinds) {
    const Library& library = engine_->library();
    QueryResult result(library);
    EXPECT_EQ(library.query(connection.get(), sql.c_str(), result.out()), DuckDBSuccess)
        << library.result_error(result.out());
    std::vector<std::vector<Cell>> rows;
    while (true) {
      const Chunk chunk(library, library.fetch_chunk(result.get()));
      if (!chunk) return rows;
      const idx_t size = library.data_chunk_get_size(chunk.get());
      const std::size_t first = rows.size();
      rows.resize(first + size);
      for (std::size_t i = 0; i < kinds.size(); ++i) {
        auto* const vector = library.data_chunk_get_vector(chunk.get(), i);
        const auto* const mask = library.vector_get_validity(vector);
        for (idx_t row = 0; row < size; ++row) {
          const bool present = mask == nullptr || (mask[row / 64] >> (row % 64) & 1U) != 0;
          rows[first + row].push_back(
              present ? read_cell(kinds[i], library.vector_get_data(vector), row)
                      : Cell::null(kinds[i]));
        }
      }
    }
  }

  // Differing cells of `kernel` over `count` generated rows.
  static std::size_t differing(const Kernel& kernel, std::size_t count, std::uint64_t seed) {
    auto connection = engine_->connect();
    EXPECT_TRUE(connection.ok());
    const bool zone = kernel.arguments.size() == 2 && kernel.arguments[0] == Kind::kTimestamp;
    Rows generated(seed);
    std::string columns = "n BIGINT";
    std::string call_sql = fmt::format("strata_{}(", kernel.name);
    std::string names;
    std::vector<Kind> kinds(kernel.arguments.begin(), kernel.arguments.end());
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      columns += fmt::format(", c{} {}", i, column_type(kinds[i]));
      call_sql += fmt::format("{}c{}", i > 0 ? ", " : "", i);
      names += fmt::format("c{}, ", i);
    }
    EXPECT_TRUE(engine_->run(*connection, "CREATE OR REPLACE TABLE t (" + columns + ")").ok());
    std::vector<std::vector<Cell>> rows;
    std::string values;
    for (std::size_t row = 0; row < count; ++row) {
      values += fmt::format("{}({}", row > 0 ? ", " : "", row);
      rows.emplace_back();
      for (std::size_t i = 0; i < kinds.size(); ++i) {
        rows.back().push_back(generated.cell(kinds[i], zone));
        values += ", " + sql_of(rows.back().back());
      }
      values += ")";
    }
    const auto inserted = engine_->run(*connection, "INSERT INTO t VALUES " + values);
    EXPECT_TRUE(inserted.ok()) << inserted.error().message;
    kinds.push_back(kernel.result);
    const auto got = read(*connection, "SELECT " + names + call_sql + ") FROM t ORDER BY n", kinds);
    EXPECT_EQ(got.size(), count);
    std::size_t wrong = 0;
    for (std::size_t row = 0; row < got.size(); ++row) {
      std::string shown;
      for (std::size_t i = 0; i < rows[row].size(); ++i) {
        EXPECT_TRUE(got[row][i].same_bits(rows[row][i]));  // what was put in is what is there
        shown += show(rows[row][i]) + " ";
      }
      const auto online = platform::expressions::call(kernel, rows[row]);
      EXPECT_TRUE(online.ok());
      if (got[row].back().same_bits(*online)) continue;
      ++wrong;
      ADD_FAILURE() << kernel.name << " of " << shown << "is offline " << show(got[row].back())
                    << ", online " << show(*online);
    }
    return wrong;
  }

  static inline fs::path folder_;
  static inline std::unique_ptr<Engine> engine_;
};

// STRATA_KERNEL_ROWS sets how many rows each kernel is tried on.
TEST_F(Kernels, Give_the_same_bits_offline_and_online) {
  const char* const set = std::getenv("STRATA_KERNEL_ROWS");
  const std::size_t rows = set != nullptr ? std::strtoull(set, nullptr, 10) : kRows;
  std::size_t differ = 0;
  std::uint64_t seed = 1;
  for (const Kernel& kernel : platform::expressions::kernels()) {
    for (std::size_t done = 0; done < rows; done += kRows)
      differ += differing(kernel, std::min(kRows, rows - done), seed++);
  }
  EXPECT_EQ(differ, 0U);
}

// Whole expressions: the SQL that they compile to against the evaluation of rows.
TEST_F(Kernels, Expressions_give_the_same_bits_offline_and_online) {
  using platform::expressions::Expression;
  using platform::expressions::Input;
  const std::vector<Input> inputs = {{"b", Kind::kBool},
                                     {"i", Kind::kInt64},
                                     {"d", Kind::kDouble},
                                     {"s", Kind::kString},
                                     {"t", Kind::kTimestamp}};
  std::vector<Expression> all;
  std::string calls;
  for (const auto* const text :
       {"CASE WHEN d / i > 1.5 THEN 'x' WHEN b THEN upper(s) ELSE s || i::string END",
        "date_trunc('day', t, 'Europe/Berlin') + INTERVAL '1h30m'",
        "bucketize(d, -1, 0, 2.5e3) + hour(t, 'America/New_York') * hash(s, 100)",
        "coalesce(s::double, d, i) BETWEEN -10 AND least(d, 1e6)", "-i % 7 // 2", "d",
        "t IS NULL OR s IN ('12', '', NULL)", "round(d * 100)::int64 - i"}) {
    auto made = Expression::compile(text, inputs);
    ASSERT_TRUE(made.ok()) << made.error().message;
    calls += ", " + made->to_sql([](const Input& input) { return "\"" + input.name + "\""; });
    all.push_back(*std::move(made));
  }
  const platform::expressions::Program program(all);
  auto connection = engine_->connect();
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE(engine_
                  ->run(*connection,
                        "CREATE OR REPLACE TABLE e (n BIGINT, b BOOLEAN, i BIGINT, d DOUBLE, s "
                        "VARCHAR, t TIMESTAMP)")
                  .ok());
  Rows generated(42);
  std::vector<std::vector<Cell>> online;
  std::string values;
  for (std::size_t row = 0; row < kRows; ++row) {
    std::map<std::string, Cell> cells;
    values += fmt::format("{}({}", row > 0 ? ", " : "", row);
    for (const auto& input : inputs) {
      cells[input.name] = generated.cell(input.type, false);
      values += ", " + sql_of(cells[input.name]);
    }
    values += ")";
    std::vector<Cell> given;
    for (const auto& input : program.inputs())
      given.push_back(cells[input.name]);
    auto out = program.run(given);
    ASSERT_TRUE(out.ok());
    online.push_back(*std::move(out));
  }
  ASSERT_TRUE(engine_->run(*connection, "INSERT INTO e VALUES " + values).ok());
  std::vector<Kind> kinds = {Kind::kInt64};
  for (const auto& expression : all)
    kinds.push_back(expression.type());
  const auto offline = read(*connection, "SELECT n" + calls + " FROM e ORDER BY n", kinds);
  ASSERT_EQ(offline.size(), online.size());
  for (std::size_t row = 0; row < online.size(); ++row) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_TRUE(offline[row][i + 1].same_bits(online[row][i]))
          << all[i].canonical() << " is offline " << show(offline[row][i + 1]) << ", online "
          << show(online[row][i]);
    }
  }
}

// What compiles is never nested deeper than the engine takes.
TEST_F(Kernels, The_deepest_expressions_run_in_the_engine) {
  using platform::expressions::Expression;
  std::string buckets = "bucketize(d";
  for (int i = 0; i < 150; ++i)
    buckets += fmt::format(", {}", i);
  buckets += ")";
  for (int i = 0; i < 90; ++i)
    buckets += " + 1";
  const auto made = Expression::compile(buckets, {{"d", Kind::kDouble}});
  ASSERT_TRUE(made.ok()) << made.error().message;
  auto connection = engine_->connect();
  ASSERT_TRUE(connection.ok());
  const auto got = engine_->rows(*connection, "SELECT " + made->to_sql([](const auto&) {
    return std::string("x");
  }) + " FROM (VALUES (149.5::DOUBLE), (-1), (NULL)) AS v(x)");
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ((*got)[0][0], "240");
  EXPECT_EQ((*got)[1][0], "90");
  EXPECT_EQ((*got)[2][0], "");
}

// Constants are folded by the engine before it runs anything.
TEST_F(Kernels, Give_the_same_for_constants) {
  auto connection = engine_->connect();
  ASSERT_TRUE(connection.ok());
  const auto folded = engine_->rows(
      *connection,
      "SELECT strata_f64_to_i64(2.5::DOUBLE), strata_add_i64(9223372036854775807, 1) IS NULL, "
      "strata_hour_ts(TIMESTAMP '2024-10-27 00:30:00', 'Europe/Berlin'), "
      "strata_hour_ts(TIMESTAMP '2024-10-27 01:30:00', 'Europe/Berlin')");
  ASSERT_TRUE(folded.ok()) << folded.error().message;
  EXPECT_EQ(folded->front(), (std::vector<std::string>{"2", "true", "2", "2"}));
}

}  // namespace
}  // namespace strata::engines::duckdb
