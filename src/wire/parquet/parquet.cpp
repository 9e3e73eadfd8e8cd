#include "wire/parquet/parquet.hpp"

#include <cstring>

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

bool all_alike(const ParquetColumn& column) {
  if (column.type != ParquetType::kText || column.list || column.texts.size() < 2) return false;
  for (const auto& text : column.texts) {
    if (text != column.texts.front()) return false;
  }
  return true;
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
  chunk.dictionary = all_alike(column);
  std::string page;
  if (chunk.dictionary) {
    append_u32(page, static_cast<std::uint32_t>(column.texts.front().size()));
    page += column.texts.front();
    append_page(out, page, kDictionaryPage, 1, kPlain);
    page.clear();
  }
  chunk.data_page = static_cast<std::int64_t>(out.size());
  const std::size_t entries = append_levels(page, column);
  if (chunk.dictionary) {
    page += '\1';  // indices of one bit, all of them 0
    append_varint(page, static_cast<std::uint64_t>(column.texts.size()) << 1U);
    page += '\0';
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

// Levels of one page, undone from their runs.
Result<std::vector<std::uint8_t>> read_levels(std::string_view& page, std::size_t entries) {
  if (page.size() < 4 || read_u32(page) > page.size() - 4) return damaged("levels are cut off");
  std::string_view runs = page.substr(4, read_u32(page));
  page.remove_prefix(4 + runs.size());
  std::vector<std::uint8_t> levels;
  while (levels.size() < entries) {
    const auto head = take_varint(runs);
    if (!head || runs.empty()) return damaged("levels are cut off");
    if ((*head & 1U) != 0) return foreign("bit-packed levels are not written here");
    if ((*head >> 1U) > entries - levels.size())
      return damaged("a page has more levels than entries");
    levels.insert(levels.end(), *head >> 1U, static_cast<std::uint8_t>(runs[0]));
    runs.remove_prefix(1);
  }
  return levels;
}

Status read_texts(std::string_view page, std::size_t count, std::vector<std::string>& out) {
  for (std::size_t i = 0; i < count; ++i) {
    if (page.size() < 4 || read_u32(page) > page.size() - 4) return damaged("texts are cut off");
    const std::size_t length = read_u32(page);
    out.emplace_back(page.substr(4, length));
    page.remove_prefix(4 + length);
  }
  return {};
}

Status read_values(std::string_view page, std::size_t count, ParquetColumn& column) {
  if (column.type == ParquetType::kText) return read_texts(page, count, column.texts);
  if (column.type == ParquetType::kBool) {
    if (page.size() < (count + 7) / 8) return damaged("values are cut off");
    for (std::size_t i = 0; i < count; ++i)
      column.fixed += static_cast<char>((page[i / 8] >> (i % 8)) & 1);
    return {};
  }
  if (count > page.size() / column.element_bytes()) return damaged("values are cut off");
  column.fixed = page.substr(0, count * column.element_bytes());
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

// Puts what the levels say into rows; gives how many values are stored.
Result<std::size_t> place_rows(const std::vector<std::uint8_t>& repetition,
                               const std::vector<std::uint8_t>& definition, ParquetColumn& column) {
  std::size_t values = 0;
  for (std::size_t i = 0; i < definition.size(); ++i) {
    if (definition[i] > (column.list ? 2 : 1)) return damaged("a level is too high");
    if (column.list && repetition[i] != 0) {
      // Only behind an element can there be one more of the same row.
      if (definition[i] != 2 || column.lengths.empty() || column.lengths.back() == 0)
        return damaged("an element has no row");
      ++column.lengths.back();
    } else {
      column.present.push_back(definition[i] > 0);
      if (column.list) column.lengths.push_back(definition[i] == 2 ? 1 : 0);
    }
    if (definition[i] == (column.list ? 2 : 1)) ++values;
  }
  return values;
}

Status read_chunk(std::string_view bytes, std::size_t rows, ParquetColumn& column) {
  std::vector<std::string> dictionary;
  auto page = take_page(bytes);
  if (!page) return std::move(page).error();
  if (page->header.number(1, -1) == kDictionaryPage) {
    if (column.type != ParquetType::kText) return foreign("only texts have a dictionary here");
    STRATA_TRY(read_texts(page->content, 1, dictionary));
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
  std::vector<std::uint8_t> repetition;
  if (column.list) {
    auto levels = read_levels(content, entries);
    if (!levels) return std::move(levels).error();
    repetition = *std::move(levels);
  }
  auto definition = read_levels(content, entries);
  if (!definition) return std::move(definition).error();
  const auto placed = place_rows(repetition, *definition, column);
  if (!placed) return placed.error();
  const std::size_t values = *placed;
  if (data->number(2, -1) == kRleDictionary) {
    if (dictionary.empty()) return damaged("a dictionary is missing");
    column.texts.assign(values, dictionary.front());
    return {};
  }
  if (data->number(2, -1) != kPlain) return foreign("an encoding that is not written here");
  return read_values(content, values, column);
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
  return type == ParquetType::kText ? texts.size() : fixed.size() / element_bytes();
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
    mine.texts.insert(mine.texts.end(), theirs.texts.begin(), theirs.texts.end());
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
  if (bytes.size() < kMagic.size() + kTail || !bytes.starts_with(kMagic) ||
      !bytes.ends_with(kMagic)) {
    return damaged("the file does not begin and end with PAR1");
  }
  const std::size_t footer_size = read_u32(bytes.substr(bytes.size() - kTail));
  if (footer_size > bytes.size() - kMagic.size() - kTail) return damaged("the footer is cut off");
  std::string_view footer = bytes.substr(bytes.size() - kTail - footer_size, footer_size);
  auto meta = ThriftValue::parse_struct(footer);
  if (!meta) return std::move(meta).error();
  const ThriftValue* schema = meta->find(2);
  const ThriftValue* groups = meta->find(4);
  if (schema == nullptr || groups == nullptr || groups->items.size() != 1)
    return foreign("not one row group");
  auto columns = read_schema(schema->items);
  if (!columns) return std::move(columns).error();
  ParquetTable table{static_cast<std::size_t>(meta->number(3, 0)), *std::move(columns)};
  if (table.rows > kMaxParquetRows) return foreign("more rows than a file has here");
  const ThriftValue* chunks = groups->items[0].find(1);
  if (chunks == nullptr || chunks->items.size() != table.columns.size())
    return damaged("columns are missing");
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const ThriftValue* chunk = chunks->items[i].find(3);
    if (chunk == nullptr) return damaged("a column has no description");
    const std::int64_t start = chunk->number(chunk->find(11) == nullptr ? 9 : 11, -1);
    if (start < 0 || static_cast<std::uint64_t>(start) > bytes.size())
      return damaged("a column lies outside");
    STRATA_TRY(
        read_chunk(bytes.substr(static_cast<std::size_t>(start)), table.rows, table.columns[i]));
    if (table.columns[i].present.size() != table.rows)
      return damaged("a column has another number of rows");
  }
  return table;
}

}  // namespace strata::wire
