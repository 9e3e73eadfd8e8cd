#include "wire/parquet/parquet.hpp"

#include <cstring>

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

template <class T>
std::string raw(std::initializer_list<T> values) {
  std::string out;
  for (const T v : values)
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
  return out;
}

ParquetTable sample() {
  ParquetTable table;
  table.rows = 3;
  table.columns = {
      {{"id"}, ParquetType::kText, false, {true, true, true}, {}, "", {"a", "b", "c"}, {}},
      {{"digest"}, ParquetType::kText, false, {true, true, true}, {}, "", {"same"}, {3}},
      {{"time"},
       ParquetType::kTimestampMicros,
       false,
       {true, true, true},
       {},
       raw<std::int64_t>({1, 2, 3}),
       {},
       {}},
      {{"inputs", "wind"},
       ParquetType::kDouble,
       false,
       {true, false, true},
       {},
       raw<double>({0.1, 0.3}),
       {},
       {}},
      {{"inputs", "cold"},
       ParquetType::kBool,
       false,
       {true, true, true},
       {},
       std::string("\1\0\1", 3),
       {},
       {}},
      {{"inputs", "pixels"},
       ParquetType::kFloat,
       true,
       {true, false, true},
       {3, 0, 0},
       raw<float>({1, 2, 3}),
       {},
       {}},
      {{"outputs", "names"},
       ParquetType::kText,
       true,
       {true, true, true},
       {1, 0, 2},
       "",
       {"x", "y", ""},
       {}},
  };
  return table;
}

TEST(Parquet, A_table_comes_back_as_it_was_written) {
  const auto table = sample();
  auto read = decode_parquet(encode_parquet(table));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_TRUE(read->same_layout(table));
  EXPECT_EQ(read->rows, table.rows);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    EXPECT_EQ(read->columns[i].present, table.columns[i].present) << i;
    EXPECT_EQ(read->columns[i].lengths, table.columns[i].lengths) << i;
    EXPECT_EQ(read->columns[i].fixed, table.columns[i].fixed) << i;
    EXPECT_EQ(read->columns[i].texts, table.columns[i].texts) << i;
    EXPECT_EQ(read->columns[i].repeats, table.columns[i].repeats) << i;
  }
}

TEST(Parquet, Tables_of_one_layout_can_be_joined_end_to_end) {
  auto table = sample();
  table.append(sample());
  auto read = decode_parquet(encode_parquet(table));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rows, 6U);
  EXPECT_EQ(read->columns[0].texts[5], "c");
}

ParquetReader reader_of(const std::string& file) {
  auto reader = ParquetReader::open(file.size(), [&file](std::uint64_t at, std::size_t size) {
    return Result<std::string>(file.substr(at, size));
  });
  EXPECT_TRUE(reader) << reader.error().message;
  return *std::move(reader);
}

TEST(Parquet, Any_range_of_rows_reads_as_the_same_rows_of_the_whole) {
  auto table = sample();
  table.append(sample());
  table.append(sample());
  const std::string file = encode_parquet(table);
  const auto reader = reader_of(file);
  for (std::size_t first = 0; first <= 9; ++first) {
    for (std::size_t count = 0; first + count <= 9; ++count) {
      // The parts before, in and behind the range make the whole.
      auto all = *reader.read(0, first);
      all.append(*reader.read(first, count));
      all.append(*reader.read(first + count, 9 - first - count));
      EXPECT_EQ(encode_parquet(all), file) << first << " " << count;
    }
  }
  EXPECT_FALSE(reader.read(8, 2));
}

TEST(Parquet, Texts_in_runs_are_written_once_and_come_back_as_runs) {
  ParquetTable table;
  table.rows = 2'000'000;
  auto& id = table.columns.emplace_back();
  id.path = {"id"};
  id.type = ParquetType::kText;
  id.present.assign(table.rows, true);
  for (int i = 0; i < 1000; ++i)
    id.add_run("prediction-" + std::to_string(i), 2000);
  const std::string file = encode_parquet(table);
  EXPECT_LT(file.size(), 32U << 10U);
  const auto runs = reader_of(file).runs(0);
  ASSERT_TRUE(runs) << runs.error().message;
  ASSERT_EQ(runs->size(), 1000U);
  EXPECT_EQ((*runs)[999].text, "prediction-999");
  EXPECT_EQ((*runs)[999].first, 1'998'000U);
  EXPECT_EQ((*runs)[999].count, 2000U);
  const auto part = reader_of(file).read(1999, 2);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->columns[0].texts, (std::vector<std::string>{"prediction-0", "prediction-1"}));
}

TEST(Parquet, A_file_of_more_rows_than_are_read_at_once_is_read_in_parts) {
  ParquetTable table;
  table.rows = kMaxParquetRows + 5;
  auto& id = table.columns.emplace_back();
  id.path = {"id"};
  id.type = ParquetType::kText;
  id.present.assign(table.rows, true);
  id.add_run("one", table.rows - 1);
  id.add_run("two", 1);
  const std::string file = encode_parquet(table);
  EXPECT_FALSE(decode_parquet(file));
  EXPECT_EQ(reader_of(file).runs(0)->size(), 2U);
  EXPECT_EQ(reader_of(file).read(table.rows - 2, 2)->columns[0].texts.size(), 2U);
}

TEST(Parquet, Damaged_files_are_refused_without_reading_outside) {
  const std::string good = encode_parquet(sample());
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(decode_parquet(std::string_view(good).substr(0, length)));
  }
  // A flipped byte may go unnoticed in a value, but must never lead outside the file.
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    const auto read = decode_parquet(bad);
    if (read) {
      EXPECT_EQ(read->rows, 3U);
    }
  }
}

}  // namespace
}  // namespace strata::wire
