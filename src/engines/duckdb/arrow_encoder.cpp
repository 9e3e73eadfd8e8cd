#include "engines/duckdb/arrow_encoder.hpp"

// nanoarrow's structs are the Arrow C data interface that the engine's header declares by name
// only.
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>

#include "engines/duckdb/values.hpp"

namespace strata::engines::duckdb {

namespace {

Error arrow_error(std::string_view step, const ArrowError& error) {
  return Error(Code::kUnsupported,
               "the result cannot be sent as Arrow (" + std::string(step) + "): " + error.message);
}

bool has_dictionary(const ArrowSchema& schema) {
  if (schema.dictionary != nullptr) return true;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    if (has_dictionary(*schema.children[i])) return true;
  }
  return false;
}

// Of an ArrowSchema or ArrowArray.
template <class Parent>
void release_child(Parent& parent, std::int64_t index) {
  if (parent.release == nullptr) return;
  auto& child = *parent.children[index];
  if (child.release != nullptr) child.release(&child);
}

class ArrowEncoder final : public Encoder {
 public:
  ArrowEncoder(const Library& library, duckdb_result& result)
      : library_(library),
        options_(library, library.result_get_arrow_options(&result)) {
    ArrowBufferInit(&buffer_);
  }
  ~ArrowEncoder() override {
    if (has_view_) ArrowArrayViewReset(&view_);
    if (has_writer_) ArrowIpcWriterReset(&writer_);
    // The engine's own release forgets children that were put in place of its own.
    for (const auto& column : as_text_)
      release_child(schema_, column.index);
    if (schema_.release != nullptr) schema_.release(&schema_);
    ArrowBufferReset(&buffer_);
  }

  Status prepare(duckdb_result& result) {
    std::vector<Type> types;
    std::vector<duckdb_logical_type> raw;
    std::vector<const char*> names;
    const idx_t count = library_.column_count(&result);
    for (idx_t i = 0; i < count; ++i) {
      types.emplace_back(library_, library_.column_logical_type(&result, i));
      raw.push_back(types.back().get());
      names.push_back(library_.column_name(&result, i));
    }
    STRATA_TRY(
        check(library_.to_arrow_schema(options_.get(), raw.data(), names.data(), count, &schema_),
              "schema"));
    for (idx_t i = 0; i < count; ++i) {
      ArrowSchema& child = *schema_.children[i];
      if (!has_dictionary(child)) continue;
      if (child.dictionary == nullptr) {
        return Error(Code::kUnsupported,
                     "the column '" + std::string(names[i]) +
                         "' has an ENUM inside of another type, which Arrow answers cannot carry; "
                         "cast it to VARCHAR");
      }
      as_text_.push_back(
          {static_cast<std::int64_t>(i), std::make_unique<CellReader>(library_, raw[i])});
      const std::string name = names[i];
      child.release(&child);
      ArrowSchemaInit(&child);
      if (ArrowSchemaSetType(&child, NANOARROW_TYPE_STRING) != NANOARROW_OK ||
          ArrowSchemaSetName(&child, name.c_str()) != NANOARROW_OK) {
        return Error(Code::kResourceExhausted, "no memory for the result's schema");
      }
    }
    return {};
  }

  Status begin(std::string& out) override {
    ArrowError error{};
    ArrowIpcOutputStream stream{};
    if (ArrowIpcOutputStreamInitBuffer(&stream, &buffer_) != NANOARROW_OK ||
        ArrowIpcWriterInit(&writer_, &stream) != NANOARROW_OK) {
      return Error(Code::kResourceExhausted, "no memory for the result's writer");
    }
    has_writer_ = true;
    if (ArrowIpcWriterWriteSchema(&writer_, &schema_, &error) != NANOARROW_OK)
      return arrow_error("schema", error);
    if (ArrowArrayViewInitFromSchema(&view_, &schema_, &error) != NANOARROW_OK)
      return arrow_error("layout", error);
    has_view_ = true;
    flush(out);
    return {};
  }

  Status add(std::string& out, duckdb_data_chunk chunk, idx_t rows,
             const Relieve& relieve) override {
    ArrowError error{};
    ArrowArray array{};
    STRATA_TRY(check(library_.data_chunk_to_arrow(options_.get(), chunk, &array), "rows"));
    Status written = write(chunk, rows, array, error);
    for (const auto& column : as_text_)
      release_child(array, column.index);
    if (array.release != nullptr) array.release(&array);
    if (!written) return written;
    flush(out);
    relieve(out);
    return {};
  }

  Status end(std::string& out) override {
    ArrowError error{};
    if (ArrowIpcWriterWriteArrayView(&writer_, nullptr, &error) != NANOARROW_OK)
      return arrow_error("end", error);
    flush(out);
    return {};
  }

 private:
  struct TextColumn {
    std::int64_t index;
    std::unique_ptr<CellReader> cells;
  };

  Status write(duckdb_data_chunk chunk, idx_t rows, ArrowArray& array, ArrowError& error) {
    for (auto& column : as_text_)
      STRATA_TRY(to_text(column, chunk, *array.children[column.index]));
    if (ArrowArrayViewSetArray(&view_, &array, &error) != NANOARROW_OK)
      return arrow_error("rows", error);
    // A limit may cut the last chunk: a shorter view of the same arrays.
    if (rows < static_cast<idx_t>(array.length)) {
      view_.length = static_cast<std::int64_t>(rows);
      for (std::int64_t i = 0; i < view_.n_children; ++i)
        view_.children[i]->length = view_.length;
    }
    if (ArrowIpcWriterWriteArrayView(&writer_, &view_, &error) != NANOARROW_OK)
      return arrow_error("rows", error);
    return {};
  }

  Status to_text(TextColumn& column, duckdb_data_chunk chunk, ArrowArray& array) {
    const Error no_memory(Code::kResourceExhausted, "no memory for the result");
    column.cells->attach(library_.data_chunk_get_vector(chunk, static_cast<idx_t>(column.index)));
    const std::int64_t length = array.length;
    array.release(&array);
    if (ArrowArrayInitFromType(&array, NANOARROW_TYPE_STRING) != NANOARROW_OK ||
        ArrowArrayStartAppending(&array) != NANOARROW_OK) {
      return no_memory;
    }
    std::string text;
    for (idx_t row = 0; row < static_cast<idx_t>(length); ++row) {
      text.clear();
      const bool has = column.cells->append_text(text, row);
      const int done = has ? ArrowArrayAppendString(
                                 &array, {text.data(), static_cast<std::int64_t>(text.size())})
                           : ArrowArrayAppendNull(&array, 1);
      if (done != NANOARROW_OK) return no_memory;
    }
    if (ArrowArrayFinishBuildingDefault(&array, nullptr) != NANOARROW_OK) return no_memory;
    return {};
  }

  Status check(duckdb_error_data data, std::string_view step) {
    Owned<duckdb_error_data, &Library::destroy_error_data> error(library_, data);
    if (!error || !library_.error_data_has_error(error.get())) return {};
    return Error(Code::kUnsupported, "the result cannot be sent as Arrow (" + std::string(step) +
                                         "): " + library_.error_data_message(error.get()));
  }

  void flush(std::string& out) {
    out.append(reinterpret_cast<const char*>(buffer_.data),
               static_cast<std::size_t>(buffer_.size_bytes));
    buffer_.size_bytes = 0;
  }

  const Library& library_;
  ArrowOptions options_;
  ArrowSchema schema_{};
  ArrowBuffer buffer_{};
  ArrowIpcWriter writer_{};
  ArrowArrayView view_{};
  bool has_writer_ = false;
  bool has_view_ = false;
  std::vector<TextColumn> as_text_;
};

}  // namespace

Result<std::unique_ptr<Encoder>> make_arrow_encoder(const Library& library, duckdb_result& result) {
  auto encoder = std::make_unique<ArrowEncoder>(library, result);
  STRATA_TRY(encoder->prepare(result));
  return std::unique_ptr<Encoder>(std::move(encoder));
}

}  // namespace strata::engines::duckdb
