#pragma once

#include <memory>
#include <string>

#include <duckdb.h>

#include "base/result.hpp"

namespace strata::engines::duckdb {

// The calls of DuckDB's C API that are used here.
// clang-format off
#define STRATA_DUCKDB_CALLS(X) \
  X(library_version) X(open_ext) X(close) X(connect) X(disconnect) X(interrupt) \
  X(query_progress) X(query) X(destroy_result) X(result_error) X(result_error_type) \
  X(column_count) X(column_name) X(column_logical_type) X(rows_changed) \
  X(result_statement_type) X(fetch_chunk) X(destroy_data_chunk) X(data_chunk_get_size) \
  X(data_chunk_get_vector) X(prepare) X(prepare_error) X(destroy_prepare) \
  X(extract_statements) X(prepare_extracted_statement) X(destroy_extracted) \
  X(prepared_statement_type) X(nparams) X(bind_parameter_index) X(bind_null) \
  X(bind_boolean) X(bind_int64) X(bind_uint64) X(bind_double) X(bind_varchar_length) \
  X(pending_prepared_streaming) X(pending_error) X(execute_pending) X(destroy_pending) \
  X(result_get_arrow_options) X(destroy_arrow_options) X(to_arrow_schema) \
  X(data_chunk_to_arrow) X(error_data_has_error) X(error_data_message) \
  X(error_data_error_type) X(destroy_error_data) X(get_table_names) X(get_list_size) \
  X(get_list_child) X(get_varchar) X(destroy_value) X(free) X(vector_get_data) \
  X(vector_get_validity) X(get_type_id) X(decimal_width) X(decimal_scale) \
  X(decimal_internal_type) X(enum_internal_type) X(enum_dictionary_size) \
  X(enum_dictionary_value) X(list_type_child_type) X(list_vector_get_child) \
  X(array_type_child_type) X(array_type_array_size) X(array_vector_get_child) \
  X(map_type_key_type) X(map_type_value_type) X(struct_type_child_count) \
  X(struct_type_child_name) X(struct_type_child_type) X(struct_vector_get_child) \
  X(union_type_member_count) X(union_type_member_name) X(union_type_member_type) \
  X(logical_type_get_alias) X(destroy_logical_type) X(create_logical_type) \
  X(create_scalar_function) X(destroy_scalar_function) X(scalar_function_set_name) \
  X(scalar_function_add_parameter) X(scalar_function_set_return_type) \
  X(scalar_function_set_function) X(scalar_function_set_special_handling) \
  X(scalar_function_set_extra_info) X(scalar_function_get_extra_info) \
  X(register_scalar_function) X(data_chunk_get_column_count) \
  X(vector_ensure_validity_writable) X(vector_assign_string_element_len)
// clang-format on

// libduckdb.so, opened when it is needed and never closed, since its threads and statics do not
// survive that.
struct Library {
#define X(name) decltype(&duckdb_##name) name = nullptr;
  STRATA_DUCKDB_CALLS(X)
#undef X

  // Blocks for reading 70 MB. Errors: kNotFound (no such file), kUnsupported (a call is missing).
  static Result<std::unique_ptr<const Library>> load(const std::string& path);
};

// What C gives and wants back.
template <class T, auto Member>
class Owned {
 public:
  explicit Owned(const Library& library, T value = {}) : library_(&library), value_(value) {}
  Owned(Owned&& other) noexcept
      : library_(other.library_),
        value_(std::exchange(other.value_, T{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Owned() {
    if (value_ != T{}) (library_->*Member)(&value_);
  }
  T get() const { return value_; }
  T* out() { return &value_; }
  explicit operator bool() const { return value_ != T{}; }

 private:
  const Library* library_;
  T value_;
};

using Type = Owned<duckdb_logical_type, &Library::destroy_logical_type>;
using Chunk = Owned<duckdb_data_chunk, &Library::destroy_data_chunk>;
using Prepared = Owned<duckdb_prepared_statement, &Library::destroy_prepare>;
using Extracted = Owned<duckdb_extracted_statements, &Library::destroy_extracted>;
using Pending = Owned<duckdb_pending_result, &Library::destroy_pending>;
using Connection = Owned<duckdb_connection, &Library::disconnect>;
using Value = Owned<duckdb_value, &Library::destroy_value>;
using ScalarFunction = Owned<duckdb_scalar_function, &Library::destroy_scalar_function>;
using ArrowOptions = Owned<duckdb_arrow_options, &Library::destroy_arrow_options>;

// A result, which is a struct and not a pointer.
class QueryResult {
 public:
  explicit QueryResult(const Library& library) : library_(library) {}
  QueryResult(const QueryResult&) = delete;
  ~QueryResult() { library_.destroy_result(&value_); }
  duckdb_result* out() { return &value_; }
  duckdb_result& get() { return value_; }

 private:
  const Library& library_;
  duckdb_result value_{};
};

}  // namespace strata::engines::duckdb
