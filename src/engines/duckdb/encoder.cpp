#include "engines/duckdb/encoder.hpp"

#include "base/json.hpp"
#include "engines/duckdb/arrow_encoder.hpp"
#include "engines/duckdb/values.hpp"

namespace strata::engines::duckdb {

namespace {

using wire::sql_engine::ColumnInfo;
using wire::sql_engine::Format;

class RowEncoder : public Encoder {
 public:
  RowEncoder(const Library& library, duckdb_result& result)
      : library_(library),
        columns_(columns_of(library, result)) {
    for (idx_t i = 0; i < columns_.size(); ++i) {
      const Type type(library, library.column_logical_type(&result, i));
      cells_.push_back(std::make_unique<CellReader>(library, type.get()));
    }
  }

  Status add(std::string& out, duckdb_data_chunk chunk, idx_t rows,
             const Relieve& relieve) override {
    for (idx_t i = 0; i < cells_.size(); ++i)
      cells_[i]->attach(library_.data_chunk_get_vector(chunk, i));
    for (idx_t row = 0; row < rows; ++row) {
      append_row(out, row);
      relieve(out);
    }
    return {};
  }

 protected:
  virtual void append_row(std::string& out, idx_t row) = 0;

  const Library& library_;
  std::vector<ColumnInfo> columns_;
  std::vector<std::unique_ptr<CellReader>> cells_;
};

class JsonEncoder final : public RowEncoder {
 public:
  using RowEncoder::RowEncoder;

  Status begin(std::string& out) override {
    out += "{\"columns\":";
    wire::sql_engine::to_json(columns_).dump_to(out);
    out += ",\"rows\":[";
    return {};
  }
  Status end(std::string&) override { return {}; }

 private:
  void append_row(std::string& out, idx_t row) override {
    out += first_ ? "[" : ",[";
    first_ = false;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (i > 0) out += ',';
      cells_[i]->append_json(out, row);
    }
    out += ']';
  }
  bool first_ = true;
};

// Lines end as those of psql and the DuckDB shell do, so that `$(strata sql ... -o csv)` has no
// stray carriage return.
class CsvEncoder final : public RowEncoder {
 public:
  using RowEncoder::RowEncoder;

  Status begin(std::string& out) override {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) out += ',';
      append_field(out, columns_[i].name);
    }
    out += '\n';
    return {};
  }
  Status end(std::string&) override { return {}; }

 private:
  // RFC 4180: quoted where the text could be taken for something else.
  static void append_field(std::string& out, std::string_view text) {
    const bool quote = text.empty() || text.find_first_of(",\"\r\n") != std::string_view::npos ||
                       text.front() == ' ' || text.back() == ' ';
    if (!quote) return void(out += text);
    out += '"';
    for (const char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }

  void append_row(std::string& out, idx_t row) override {
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (i > 0) out += ',';
      field_.clear();
      if (cells_[i]->append_text(field_, row)) append_field(out, field_);
    }
    out += '\n';
  }
  std::string field_;
};

}  // namespace

std::vector<ColumnInfo> columns_of(const Library& library, duckdb_result& result) {
  std::vector<ColumnInfo> out;
  for (idx_t i = 0; i < library.column_count(&result); ++i) {
    const Type type(library, library.column_logical_type(&result, i));
    out.push_back({library.column_name(&result, i), type_name(library, type.get())});
  }
  return out;
}

Result<std::unique_ptr<Encoder>> make_encoder(const Library& library, Format format,
                                              duckdb_result& result) {
  switch (format) {
    case Format::kCsv:
      return std::unique_ptr<Encoder>(std::make_unique<CsvEncoder>(library, result));
    case Format::kArrow:
      return make_arrow_encoder(library, result);
    default:
      return std::unique_ptr<Encoder>(std::make_unique<JsonEncoder>(library, result));
  }
}

}  // namespace strata::engines::duckdb
