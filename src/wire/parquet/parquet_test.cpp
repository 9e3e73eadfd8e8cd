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
      {{"id"}, ParquetType::kText, false, {true, true, true}, {}, "", {"a", "b", "c"}},
      {{"digest"}, ParquetType::kText, false, {true, true, true}, {}, "", {"same", "same", "same"}},
      {{"time"},
       ParquetType::kTimestampMicros,
       false,
       {true, true, true},
       {},
       raw<std::int64_t>({1, 2, 3}),
       {}},
      {{"inputs", "wind"},
       ParquetType::kDouble,
       false,
       {true, false, true},
       {},
       raw<double>({0.1, 0.3}),
       {}},
      {{"inputs", "cold"},
       ParquetType::kBool,
       false,
       {true, true, true},
       {},
       std::string("\1\0\1", 3),
       {}},
      {{"inputs", "pixels"},
       ParquetType::kFloat,
       true,
       {true, false, true},
       {3, 0, 0},
       raw<float>({1, 2, 3}),
       {}},
      {{"outputs", "names"},
       ParquetType::kText,
       true,
       {true, true, true},
       {1, 0, 2},
       "",
       {"x", "y", ""}},
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
