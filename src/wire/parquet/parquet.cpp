#include "wire/parquet/parquet.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "wire/parquet/thrift_compact.hpp"

namespace strata::wire {

namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr std::size_t kTail = 8;  // length of the footer, then the magic again

// Numbers of the format's enumerations.
enum Physical : std::int64_t {
  kBoolean = 0,
  kInt32 = 1,
  kInt64 = 2,
  kFloat = 4,
  kDouble = 5,
  kByteArray = 6
};
enum Repetition : std::int64_t { kRequired = 0, kOptional = 1, kRepeated = 2 };
enum Converted : std::int64_t { kUtf8 = 0, kListOf = 3, kTimestampMicros = 10, kUnsigned64 = 14 };
enum Encoding : std::int64_t { kPlain = 0, kRle = 3, kRleDictionary = 8 };
enum Page : std::int64_t { kDataPage = 0, kDictionaryPage = 2 };

Physical physical_of(ParquetType type) {
  switch (type) {
    case ParquetType::kBool:
      return kBoolean;
    case ParquetType::kInt32:
      return kInt32;
    case ParquetType::kFloat:
      return kFloat;
    case ParquetType::kDouble:
      return kDouble;
    case ParquetType::kText:
      return kByteArray;
    default:
      return kInt64;
  }
}

std::int64_t converted_of(ParquetType type) {
  switch (type) {
    case ParquetType::kText:
      return kUtf8;
    case ParquetType::kTimestampMicros:
      return kTimestampMicros;
    case ParquetType::kUint64:
      return kUnsigned64;
    default:
      return -1;
  }
}

void append_u32(std::string& out, std::uint32_t v) {
  char raw[sizeof v];
  std::memcpy(raw, &v, sizeof v);
  out.append(raw, sizeof v);
}

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t v = 0;
  std::memcpy(&v, bytes.data(), sizeof v);
  return v;
}

void write_element(ThriftWriter& out, std::string_view name, std::int64_t repetition,
                   std::int64_t type, std::size_t children, std::int64_t converted) {
  out.begin_item();
  if (type >= 0) out.i32(1, type);
  if (repetition >= 0) out.i32(3, repetition);
  out.text(4, name);
  if (children > 0) out.i32(5, static_cast<std::int64_t>(children));
  if (converted >= 0) out.i32(6, converted);
  out.end_struct();
}

void write_leaf(ThriftWriter& out, const ParquetColumn& column) {
  const Physical type = physical_of(column.type);
  const std::int64_t converted = converted_of(column.type);
  if (!column.list) {
    write_element(out, column.path.back(), kOptional, type, 0, converted);
    return;
  }
  write_element(out, column.path.back(), kOptional, -1, 1, kListOf);
  write_element(out, "list", kRepeated, -1, 1, -1);
  write_element(out, "element", kRequired, type, 0, converted);
}

// The columns from `first` on that share its struct, or just itself.
std::size_t group_end(const std::vector<ParquetColumn>& columns, std::size_t first) {
  std::size_t end = first + 1;
  if (columns[first].path.size() == 1) return end;
  while (end < columns.size() && columns[end].path.size() == 2 &&
         columns[end].path[0] == columns[first].path[0])
    ++end;
  return end;
}

void write_schema(ThriftWriter& out, const ParquetTable& table) {
  std::size_t elements = 1;
  std::size_t roots = 0;
  for (std::size_t i = 0; i < table.columns.size(); i = group_end(table.columns, i)) {
    ++roots;
    if (table.columns[i].path.size() == 2) ++elements;
  }
  for (const auto& column : table.columns)
    elements += column.list ? 3 : 1;
  out.begin_struct_list(2, elements);
  write_element(out, "schema", -1, -1, roots, -1);
  for (std::size_t i = 0; i < table.columns.size();) {
    const std::size_t end = group_end(table.columns, i);
    if (table.columns[i].path.size() == 2) {
      write_element(out, table.columns[i].path[0], kRequired, -1, end - i, -1);
    }
    for (; i < end; ++i)
      write_leaf(out, table.columns[i]);
  }
}

// Runs of equal levels in the RLE form of the RLE/bit-packing hybrid, with the length before them.
class Levels {
 public:
  void add(std::uint8_t level, std::uint64_t times = 1) {
    if (times == 0) return;
    if (level != level_) flush();
    level_ = level;
    run_ += times;
  }
  void append_to(std::string& out) {
    flush();
    append_u32(out, static_cast<std::uint32_t>(bytes_.size()));
    out += bytes_;
  }

 private:
  void flush() {
    if (run_ > 0) {
      append_varint(bytes_, run_ << 1U);
      bytes_ += static_cast<char>(level_);
    }
    run_ = 0;
  }
  std::string bytes_;
  std::uint8_t level_ = 0;
  std::uint64_t run_ = 0;
};

// Definition levels: 0 missing, 1 present (a list: empty), 2 an element of a list. Returns how many
// entries the page has.
std::size_t append_levels(std::string& page, const ParquetColumn& column) {
  Levels repetition;
  Levels definition;
  std::size_t entries = 0;
  for (std::size_t row = 0; row < column.present.size(); ++row) {
    if (!column.list || !column.present[row] || column.lengths[row] == 0) {
      repetition.add(0);
      definition.add(column.present[row] ? 1 : 0);
      ++entries;
      continue;
    }
    repetition.add(0);
    repetition.add(1, column.lengths[row] - 1);
    definition.add(2, column.lengths[row]);
    entries += column.lengths[row];
  }
  if (column.list) repetition.append_to(page);
  definition.append_to(page);
  return entries;
}

void append_values(std::string& page, const ParquetColumn& column) {
  if (column.type == ParquetType::kText) {
    for (const auto& text : column.texts) {
      append_u32(page, static_cast<std::uint32_t>(text.size()));
      page += text;
    }
    return;
  }
  if (column.type != ParquetType::kBool) {
    page += column.fixed;
    return;
  }
  const std::size_t start = page.size();
  page.resize(start + (column.fixed.size() + 7) / 8);
  for (std::size_t i = 0; i < column.fixed.size(); ++i) {
    if (column.fixed[i] != 0)
      page[start + i / 8] = static_cast<char>(page[start + i / 8] | (1 << (i % 8)));
  }
}

// Whether the values stand in a dictionary: texts that come in runs, numbers that are all alike.
bool wants_dictionary(const ParquetColumn& column) {
  if (column.list) return false;
  if (column.type == ParquetType::kText) return !column.repeats.empty();
  const std::size_t size = column.element_bytes();
  return column.type != ParquetType::kBool && column.fixed.size() > size &&
         std::memcmp(column.fixed.data(), column.fixed.data() + size, column.fixed.size() - size) ==
             0;
}

unsigned index_bits(std::size_t entries) {
  return std::max(1U, static_cast<unsigned>(std::bit_width(entries - 1)));
}

// Entry i of the dictionary is the text of run i.
std::size_t append_dictionary(std::string& page, const ParquetColumn& column) {
  if (column.type != ParquetType::kText) {
    page.append(column.fixed, 0, column.element_bytes());
    return 1;
  }
  for (const auto& text : column.texts) {
    append_u32(page, static_cast<std::uint32_t>(text.size()));
    page += text;
  }
  return column.texts.size();
}

void append_indices(std::string& page, const ParquetColumn& column, std::size_t entries) {
  const unsigned bits = index_bits(entries);
  page += static_cast<char>(bits);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t times =
        column.type == ParquetType::kText ? column.repeats[i] : column.elements();
    append_varint(page, static_cast<std::uint64_t>(times) << 1U);
    for (unsigned byte = 0; byte < (bits + 7) / 8; ++byte)
      page += static_cast<char>(i >> (8 * byte));
  }
}

void append_page(std::string& out, const std::string& page, Page type, std::size_t entries,
                 Encoding encoding) {
  ThriftWriter header(out);
  header.begin_struct();
  header.i32(1, type);
  header.i32(2, static_cast<std::int64_t>(page.size()));
  header.i32(3, static_cast<std::int64_t>(page.size()));
  header.begin_field_struct(type == kDataPage ? 5 : 7);
  header.i32(1, static_cast<std::int64_t>(entries));
  header.i32(2, encoding);
  if (type == kDataPage) {
    header.i32(3, kRle);
    header.i32(4, kRle);
  }
  header.end_struct();
  header.end_struct();
  out += page;
}

struct Chunk {
  std::int64_t start = 0;
  std::int64_t data_page = 0;
  std::int64_t size = 0;
  std::int64_t entries = 0;
  bool dictionary = false;
};

Chunk append_chunk(std::string& out, const ParquetColumn& column) {
  Chunk chunk;
  chunk.start = static_cast<std::int64_t>(out.size());
  chunk.dictionary = wants_dictionary(column);
  std::string page;
  std::size_t words = 0;
  if (chunk.dictionary) {
    words = append_dictionary(page, column);
    append_page(out, page, kDictionaryPage, words, kPlain);
    page.clear();
  }
  chunk.data_page = static_cast<std::int64_t>(out.size());
  const std::size_t entries = append_levels(page, column);
  if (chunk.dictionary) {
    append_indices(page, column, words);
  } else {
    append_values(page, column);
  }
  append_page(out, page, kDataPage, entries, chunk.dictionary ? kRleDictionary : kPlain);
  chunk.entries = static_cast<std::int64_t>(entries);
  chunk.size = static_cast<std::int64_t>(out.size()) - chunk.start;
  return chunk;
}

void write_chunk_meta(ThriftWriter& out, const ParquetColumn& column, const Chunk& chunk) {
  out.begin_item();
  out.i64(2, chunk.start);
  out.begin_field_struct(3);
  out.i32(1, physical_of(column.type));
  out.i32_list(2, chunk.dictionary ? std::vector<std::int64_t>{kPlain, kRle, kRleDictionary}
                                   : std::vector<std::int64_t>{kPlain, kRle});
  auto path = column.path;
  if (column.list) path.insert(path.end(), {"list", "element"});
  out.text_list(3, path);
  out.i32(4, 0);  // not compressed
  out.i64(5, chunk.entries);
  out.i64(6, chunk.size);
  out.i64(7, chunk.size);
  out.i64(9, chunk.data_page);
  if (chunk.dictionary) out.i64(11, chunk.start);
  out.end_struct();
  out.end_struct();
}

Error damaged(std::string_view what) {
  return Error(Code::kDataLoss, "parquet: " + std::string(what));
}
Error foreign(std::string_view what) {
  return Error(Code::kUnsupported, "parquet: " + std::string(what));
}

Result<ParquetType> type_of(const ThriftValue& element) {
  const auto converted = element.find(6);
  const std::int64_t meaning = converted == nullptr ? -1 : converted->integer;
  for (const auto type : {ParquetType::kBool, ParquetType::kInt32, ParquetType::kInt64,
                          ParquetType::kFloat, ParquetType::kDouble, ParquetType::kText,
                          ParquetType::kTimestampMicros, ParquetType::kUint64}) {
    if (physical_of(type) == element.number(1, -1) && converted_of(type) == meaning) return type;
  }
  return foreign("a column has a type that is not written here");
}

// The schema is a tree in depth-first order.
Result<std::vector<ParquetColumn>> read_schema(const std::vector<ThriftValue>& elements) {
  std::vector<ParquetColumn> columns;
  std::string group;
  std::int64_t left = 0;
  for (std::size_t i = 1; i < elements.size(); ++i) {
    const auto& element = elements[i];
    ParquetColumn column;
    const std::string name(element.text(4));
    if (left > 0) column.path.push_back(group);
    column.path.push_back(name);
    if (element.find(1) == nullptr && element.number(6, -1) != kListOf) {
      if (left > 0) return foreign("structs inside structs are not written here");
      group = name;
      left = element.number(5, 0);
      continue;
    }
    column.list = element.number(6, -1) == kListOf;
    if (column.list) i += 2;
    if (i >= elements.size()) return damaged("the schema is cut off");
    auto type = type_of(elements[i]);
    if (!type) return std::move(type).error();
    column.type = *type;
    columns.push_back(std::move(column));
    if (left > 0) --left;
  }
  return columns;
}

// The levels of one page as runs, taken from the front.
class LevelRuns {
 public:
  // Cuts the levels off the page. Errors: kDataLoss.
  static Result<LevelRuns> take(std::string_view& page) {
    if (page.size() < 4 || read_u32(page) > page.size() - 4) return damaged("levels are cut off");
    LevelRuns out;
    out.bytes_ = page.substr(4, read_u32(page));
    page.remove_prefix(4 + out.bytes_.size());
    return out;
  }
  // Makes a run current that has something left.
  Status fill() {
    while (left_ == 0) {
      const auto head = take_varint(bytes_);
      if (!head || bytes_.empty()) return damaged("levels are cut off");
      if ((*head & 1U) != 0) return foreign("bit-packed levels are not written here");
      left_ = *head >> 1U;
      level_ = static_cast<std::uint8_t>(bytes_[0]);
      bytes_.remove_prefix(1);
    }
    return {};
  }
  std::uint64_t left() const { return left_; }
  std::uint8_t level() const { return level_; }
  void use(std::uint64_t count) { left_ -= count; }

 private:
  std::string_view bytes_;
  std::uint64_t left_ = 0;
  std::uint8_t level_ = 0;
};

struct Range {
  std::size_t first = 0, count = 0;
  std::size_t end() const { return first + count; }
  // How many of [at, at + n) lie before it and in it.
  std::size_t before(std::size_t at, std::size_t n) const {
    return at >= first ? 0 : std::min(n, first - at);
  }
  std::size_t inside(std::size_t at, std::size_t n) const {
    const std::size_t from = std::max(at, first);
    const std::size_t to = std::min(at + n, end());
    return to > from ? to - from : 0;
  }
};

// Puts the rows of a range that the levels describe into a column, by runs: what lies outside the
// range costs no memory. Gives which of the page's values belong to the range.
class RowPlacer {
 public:
  RowPlacer(ParquetColumn& column, Range rows) : column_(column), rows_(rows) {}

  Status place(std::string_view& page, std::size_t entries) {
    LevelRuns repetition;
    if (column_.list) {
      auto taken = LevelRuns::take(page);
      if (!taken) return std::move(taken).error();
      repetition = *taken;
    }
    auto definition = LevelRuns::take(page);
    if (!definition) return std::move(definition).error();
    const std::uint8_t highest = column_.list ? 2 : 1;
    while (entries > 0) {
      STRATA_TRY(definition->fill());
      std::uint64_t count = definition->left();
      if (column_.list) {
        STRATA_TRY(repetition.fill());
        count = std::min(count, repetition.left());
      }
      if (count > entries) return damaged("a page has more levels than entries");
      const std::uint8_t level = definition->level();
      if (level > highest) return damaged("a level is too high");
      if (column_.list && repetition.level() != 0) {
        // Only behind an element can there be one more of the same row.
        if (level != 2 || !in_list_) return damaged("an element has no row");
        STRATA_TRY(add_elements(count));
      } else {
        add_rows(level, count);
      }
      in_list_ = level == 2;
      entries -= count;
      definition->use(count);
      if (column_.list) repetition.use(count);
    }
    return {};
  }

  std::size_t rows() const { return row_; }
  Range values() const { return values_; }

 private:
  void add_rows(std::uint8_t level, std::size_t count) {
    const std::size_t before = rows_.before(row_, count);
    const std::size_t inside = rows_.inside(row_, count);
    column_.present.insert(column_.present.end(), inside, level > 0);
    if (column_.list) column_.lengths.insert(column_.lengths.end(), inside, level == 2 ? 1 : 0);
    if (level == (column_.list ? 2 : 1)) {
      values_.first += before;
      values_.count += inside;
    }
    row_ += count;
  }
  Status add_elements(std::size_t count) {
    if (row_ <= rows_.first) {
      values_.first += count;
    } else if (row_ <= rows_.end()) {
      if (count > std::numeric_limits<std::uint32_t>::max() - column_.lengths.back())
        return damaged("a row has too many elements");
      column_.lengths.back() += static_cast<std::uint32_t>(count);
      values_.count += count;
    }
    return {};
  }

  ParquetColumn& column_;
  Range rows_;
  Range values_;
  std::size_t row_ = 0;   // rows that began so far
  bool in_list_ = false;  // the last entry was an element
};

// The next text of a plain page; nothing when it is cut off.
std::optional<std::string_view> take_text(std::string_view& page) {
  if (page.size() < 4 || read_u32(page) > page.size() - 4) return std::nullopt;
  const std::string_view text = page.substr(4, read_u32(page));
  page.remove_prefix(4 + text.size());
  return text;
}

Status read_plain(std::string_view page, Range values, ParquetColumn& column) {
  if (column.type == ParquetType::kText) {
    for (std::size_t i = 0; i < values.end(); ++i) {
      const auto text = take_text(page);
      if (!text) return damaged("texts are cut off");
      if (i >= values.first) column.texts.emplace_back(*text);
    }
    return {};
  }
  if (column.type == ParquetType::kBool) {
    if (page.size() < (values.end() + 7) / 8) return damaged("values are cut off");
    for (std::size_t i = values.first; i < values.end(); ++i)
      column.fixed += static_cast<char>((page[i / 8] >> (i % 8)) & 1);
    return {};
  }
  const std::size_t size = column.element_bytes();
  if (values.end() > page.size() / size) return damaged("values are cut off");
  column.fixed = page.substr(values.first * size, values.count * size);
  return {};
}

Result<std::vector<std::string_view>> read_dictionary(std::string_view page, std::size_t entries,
                                                      const ParquetColumn& column) {
  std::vector<std::string_view> words;
  const std::size_t size = column.element_bytes();
  if (entries > page.size()) return damaged("a dictionary is cut off");
  for (std::size_t i = 0; i < entries; ++i) {
    if (size > page.size()) return damaged("a dictionary is cut off");
    if (size > 0) {
      words.push_back(page.substr(0, size));
      page.remove_prefix(size);
      continue;
    }
    const auto text = take_text(page);
    if (!text) return damaged("a dictionary is cut off");
    words.push_back(*text);
  }
  return words;
}

// Runs of indices into a dictionary, as append_indices() writes them.
Status read_indexed(std::string_view page, Range values, const std::vector<std::string_view>& words,
                    ParquetColumn& column) {
  if (values.end() > 0 && page.empty()) return damaged("indices are cut off");
  const std::size_t width = page.empty() ? 0 : (static_cast<std::uint8_t>(page[0]) + 7U) / 8;
  if (width > 4) return damaged("indices are too wide");
  if (!page.empty()) page.remove_prefix(1);
  for (std::size_t at = 0; at < values.end();) {
    const auto head = take_varint(page);
    if (!head || page.size() < width) return damaged("indices are cut off");
    if ((*head & 1U) != 0) return foreign("bit-packed indices are not written here");
    std::size_t index = 0;
    for (std::size_t byte = 0; byte < width; ++byte)
      index |= static_cast<std::size_t>(static_cast<std::uint8_t>(page[byte])) << (8 * byte);
    page.remove_prefix(width);
    if (index >= words.size()) return damaged("an index lies outside its dictionary");
    const std::size_t times = std::min<std::uint64_t>(*head >> 1U, values.end() - at);
    const std::size_t wanted = values.inside(at, times);
    at += times;
    if (wanted == 0) continue;
    if (column.type == ParquetType::kText) {
      column.texts.emplace_back(words[index]);
      column.repeats.push_back(static_cast<std::uint32_t>(wanted));
      continue;
    }
    for (std::size_t i = 0; i < wanted; ++i)
      column.fixed += words[index];
  }
  return {};
}

struct PageView {
  ThriftValue header;
  std::string_view content;
};

Result<PageView> take_page(std::string_view& bytes) {
  auto header = ThriftValue::parse_struct(bytes);
  if (!header) return std::move(header).error();
  const std::int64_t size = header->number(3, -1);
  if (size < 0 || static_cast<std::uint64_t>(size) > bytes.size())
    return damaged("a page is cut off");
  PageView page{*std::move(header), bytes.substr(0, static_cast<std::size_t>(size))};
  bytes.remove_prefix(static_cast<std::size_t>(size));
  return page;
}

// Rows `wanted` of the `rows` of a column.
Status read_chunk(std::string_view bytes, std::size_t rows, Range wanted, ParquetColumn& column) {
  std::vector<std::string_view> words;
  auto page = take_page(bytes);
  if (!page) return std::move(page).error();
  if (page->header.number(1, -1) == kDictionaryPage) {
    const ThriftValue* about = page->header.find(7);
    if (column.list || column.type == ParquetType::kBool)
      return foreign("a dictionary that is not written here");
    auto read = read_dictionary(
        page->content, about == nullptr ? 1 : static_cast<std::size_t>(about->number(1, 1)),
        column);
    if (!read) return std::move(read).error();
    words = *std::move(read);
    page = take_page(bytes);
    if (!page) return std::move(page).error();
  }
  const ThriftValue* data = page->header.find(5);
  if (page->header.number(1, -1) != kDataPage || data == nullptr)
    return foreign("an unknown kind of page");
  const auto entries = static_cast<std::size_t>(data->number(1, 0));
  std::string_view content = page->content;
  // Runs of levels cost nothing in the file: an entry is a row, or an element of a bit at least.
  if (entries > rows + 8 * content.size()) return damaged("a page has more entries than values");
  RowPlacer placer(column, wanted);
  STRATA_TRY(placer.place(content, entries));
  if (placer.rows() != rows) return damaged("a column has another number of rows");
  if (data->number(2, -1) == kRleDictionary && !words.empty())
    return read_indexed(content, placer.values(), words, column);
  if (data->number(2, -1) != kPlain) return foreign("an encoding that is not written here");
  return read_plain(content, placer.values(), column);
}

}  // namespace

std::size_t ParquetColumn::element_bytes() const {
  switch (type) {
    case ParquetType::kBool:
      return 1;
    case ParquetType::kInt32:
    case ParquetType::kFloat:
      return 4;
    case ParquetType::kText:
      return 0;
    default:
      return 8;
  }
}

std::size_t ParquetColumn::elements() const {
  if (type != ParquetType::kText) return fixed.size() / element_bytes();
  if (repeats.empty()) return texts.size();
  return std::accumulate(repeats.begin(), repeats.end(), std::size_t{0});
}

void ParquetColumn::add_run(std::string_view text, std::size_t times) {
  if (times == 0) return;
  if (texts.empty() || texts.back() != text) {
    texts.emplace_back(text);
    repeats.push_back(0);
  }
  repeats.back() += static_cast<std::uint32_t>(times);
}

void ParquetColumn::unroll() {
  if (repeats.empty()) return;
  std::vector<std::string> all;
  all.reserve(elements());
  for (std::size_t i = 0; i < texts.size(); ++i)
    all.insert(all.end(), repeats[i], texts[i]);
  texts = std::move(all);
  repeats.clear();
}

bool ParquetTable::same_layout(const ParquetTable& other) const {
  return std::equal(columns.begin(), columns.end(), other.columns.begin(), other.columns.end(),
                    [](const ParquetColumn& a, const ParquetColumn& b) {
                      return a.path == b.path && a.type == b.type && a.list == b.list;
                    });
}

void ParquetTable::append(const ParquetTable& other) {
  rows += other.rows;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    auto& mine = columns[i];
    const auto& theirs = other.columns[i];
    mine.present.insert(mine.present.end(), theirs.present.begin(), theirs.present.end());
    mine.lengths.insert(mine.lengths.end(), theirs.lengths.begin(), theirs.lengths.end());
    mine.fixed += theirs.fixed;
    if (mine.repeats.empty() && theirs.repeats.empty()) {
      mine.texts.insert(mine.texts.end(), theirs.texts.begin(), theirs.texts.end());
      continue;
    }
    if (mine.repeats.empty()) mine.repeats.assign(mine.texts.size(), 1);
    for (std::size_t t = 0; t < theirs.texts.size(); ++t)
      mine.add_run(theirs.texts[t], theirs.repeats.empty() ? 1 : theirs.repeats[t]);
    // Runs of hardly more than one text each only cost.
    if (mine.texts.size() * 2 > mine.elements()) mine.unroll();
  }
}

std::string encode_parquet(const ParquetTable& table) {
  std::string out(kMagic);
  std::vector<Chunk> chunks;
  std::int64_t total = 0;
  for (const auto& column : table.columns) {
    chunks.push_back(append_chunk(out, column));
    total += chunks.back().size;
  }
  const std::size_t footer_at = out.size();
  ThriftWriter footer(out);
  footer.begin_struct();
  footer.i32(1, 1);
  write_schema(footer, table);
  footer.i64(3, static_cast<std::int64_t>(table.rows));
  footer.begin_struct_list(4, 1);
  footer.begin_item();
  footer.begin_struct_list(1, chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i)
    write_chunk_meta(footer, table.columns[i], chunks[i]);
  footer.i64(2, total);
  footer.i64(3, static_cast<std::int64_t>(table.rows));
  footer.end_struct();
  footer.text(6, "strata");
  footer.end_struct();
  append_u32(out, static_cast<std::uint32_t>(out.size() - footer_at));
  out += kMagic;
  return out;
}

Result<ParquetTable> decode_parquet(std::string_view bytes) {
  auto fetch = [bytes](std::uint64_t offset, std::size_t size) -> Result<std::string> {
    return std::string(bytes.substr(offset, size));
  };
  auto reader = ParquetReader::open(bytes.size(), fetch);
  if (!reader) return std::move(reader).error();
  return reader->read(0, reader->rows());
}

Result<ParquetReader> ParquetReader::open(std::uint64_t size, Fetch fetch) {
  const auto no_file = [] {
    return damaged("the file does not begin and end with PAR1");
  };
  if (size < kMagic.size() + kTail) return no_file();
  const auto head = fetch(0, kMagic.size());
  if (!head) return head.error();
  const auto tail = fetch(size - kTail, kTail);
  if (!tail) return tail.error();
  if (*head != kMagic || !tail->ends_with(kMagic)) return no_file();
  const std::uint64_t body = size - kTail;
  const std::size_t footer_size = read_u32(*tail);
  if (footer_size > body - kMagic.size()) return damaged("the footer is cut off");
  const auto text = fetch(body - footer_size, footer_size);
  if (!text) return text.error();
  std::string_view footer = *text;
  auto meta = ThriftValue::parse_struct(footer);
  if (!meta) return std::move(meta).error();
  const ThriftValue* schema = meta->find(2);
  const ThriftValue* groups = meta->find(4);
  if (schema == nullptr || groups == nullptr || groups->items.size() != 1)
    return foreign("not one row group");
  auto columns = read_schema(schema->items);
  if (!columns) return std::move(columns).error();
  ParquetReader reader;
  reader.columns_ = *std::move(columns);
  reader.rows_ = static_cast<std::size_t>(std::max<std::int64_t>(0, meta->number(3, 0)));
  // What is walked row by row ends.
  if (reader.rows_ > std::size_t{1} << 28U) return foreign("more rows than a file has here");
  const ThriftValue* chunks = groups->items[0].find(1);
  if (chunks == nullptr || chunks->items.size() != reader.columns_.size())
    return damaged("columns are missing");
  for (const auto& item : chunks->items) {
    const ThriftValue* chunk = item.find(3);
    if (chunk == nullptr) return damaged("a column has no description");
    const std::int64_t start = chunk->number(chunk->find(11) == nullptr ? 9 : 11, -1);
    const std::int64_t length = chunk->number(7, -1);
    if (start < 0 || length < 0 || static_cast<std::uint64_t>(start) > body ||
        static_cast<std::uint64_t>(length) > body - static_cast<std::uint64_t>(start))
      return damaged("a column lies outside");
    reader.extents_.push_back(
        {static_cast<std::uint64_t>(start), static_cast<std::size_t>(length)});
  }
  reader.fetch_ = std::move(fetch);
  return reader;
}

Result<ParquetTable> ParquetReader::read(std::size_t first, std::size_t count) const {
  if (first > rows_ || count > rows_ - first) return damaged("there are fewer rows");
  if (count > kMaxParquetRows) return foreign("more rows than are read at a time");
  ParquetTable table{count, columns_};
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const auto bytes = fetch_(extents_[i].start, extents_[i].size);
    if (!bytes) return bytes.error();
    STRATA_TRY(read_chunk(*bytes, rows_, {first, count}, table.columns[i]));
  }
  return table;
}

Result<std::vector<ParquetReader::Run>> ParquetReader::runs(std::size_t column) const {
  if (column >= columns_.size() || columns_[column].type != ParquetType::kText ||
      columns_[column].list)
    return foreign("no such column of texts");
  const auto bytes = fetch_(extents_[column].start, extents_[column].size);
  if (!bytes) return bytes.error();
  std::vector<Run> out;
  // A bounded number of rows at a time: a file of long ago may hold millions of texts that are all
  // alike.
  constexpr std::size_t kStep = std::size_t{1} << 19;
  for (std::size_t first = 0; first < rows_; first += kStep) {
    ParquetColumn part = columns_[column];
    const std::size_t count = std::min(kStep, rows_ - first);
    STRATA_TRY(read_chunk(*bytes, rows_, {first, count}, part));
    if (part.elements() != count) return damaged("a text is missing");
    for (std::size_t i = 0, row = first; i < part.texts.size(); ++i) {
      const std::size_t times = part.repeats.empty() ? 1 : part.repeats[i];
      if (out.empty() || out.back().text != part.texts[i])
        out.push_back({std::move(part.texts[i]), row, 0});
      out.back().count += times;
      row += times;
    }
  }
  return out;
}

}  // namespace strata::wire
