#include "engines/duckdb/kernel_functions.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "platform/expressions/kernels.hpp"

namespace strata::engines::duckdb {

namespace {

using platform::expressions::Arena;
using platform::expressions::Cells;
using platform::expressions::CellsOut;
using platform::expressions::Kernel;

constexpr std::array<duckdb_type, platform::expressions::kTypes> kSqlTypes = {
    DUCKDB_TYPE_BOOLEAN, DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_DOUBLE, DUCKDB_TYPE_VARCHAR,
    DUCKDB_TYPE_TIMESTAMP};

// What a function needs at its call; lives as long as the process, as the library does.
struct Bound {
  const Library* library = nullptr;
  const Kernel* kernel = nullptr;
};

bool is_text(platform::expressions::Type type) {
  return type == platform::expressions::Type::kString;
}

// One argument's values as kernels take them: only texts and the mask have another form there.
struct Column {
  std::vector<std::uint8_t> present;
  std::vector<std::string_view> texts;

  Cells read(const Library& library, duckdb_vector vector, bool text, idx_t rows) {
    const auto* const mask = library.vector_get_validity(vector);
    const void* const data = library.vector_get_data(vector);
    present.assign(rows, 1);
    for (idx_t row = 0; mask != nullptr && row < rows; ++row)
      present[row] = static_cast<std::uint8_t>(mask[row / 64] >> (row % 64) & 1U);
    if (!text) return {data, present.data()};
    texts.resize(rows);
    const auto* const strings = static_cast<const duckdb_string_t*>(data);
    for (idx_t row = 0; row < rows; ++row) {
      if (present[row] == 0) continue;
      const auto& value = strings[row].value;
      const bool inlined = value.inlined.length <= sizeof value.inlined.inlined;
      texts[row] = {inlined ? strings[row].value.inlined.inlined : value.pointer.ptr,
                    value.inlined.length};
    }
    return {texts.data(), present.data()};
  }
};

void write_nulls(const Library& library, duckdb_vector out,
                 const std::vector<std::uint8_t>& present) {
  library.vector_ensure_validity_writable(out);
  auto* const mask = library.vector_get_validity(out);
  for (idx_t row = 0; row < present.size(); ++row) {
    const std::uint64_t bit = std::uint64_t{1} << (row % 64);
    if (present[row] != 0) {
      mask[row / 64] |= bit;
    } else {
      mask[row / 64] &= ~bit;
    }
  }
}

// A function pointer of C cannot carry the library whose calls it needs, but its extra info can;
// the one call that reads it is the same in every library.
decltype(&duckdb_scalar_function_get_extra_info) extra_info = nullptr;

void call_kernel(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  const auto& bound = *static_cast<const Bound*>(extra_info(info));
  const Library& library = *bound.library;
  const Kernel& kernel = *bound.kernel;
  const idx_t rows = library.data_chunk_get_size(input);
  std::vector<Column> columns(kernel.arguments.size());
  std::vector<Cells> arguments;
  for (idx_t i = 0; i < columns.size(); ++i) {
    arguments.push_back(columns[i].read(library, library.data_chunk_get_vector(input, i),
                                        is_text(kernel.arguments[i]), rows));
  }
  Arena arena;
  std::vector<std::uint8_t> present(rows);
  std::vector<std::string_view> texts(is_text(kernel.result) ? rows : 0);
  const CellsOut out{
      is_text(kernel.result) ? static_cast<void*>(texts.data()) : library.vector_get_data(output),
      present.data()};
  kernel.run(arguments, out, rows, arena);
  for (idx_t row = 0; row < texts.size(); ++row) {
    if (present[row] == 0) continue;
    library.vector_assign_string_element_len(output, row, texts[row].data(), texts[row].size());
  }
  write_nulls(library, output, present);
}

Type sql_type(const Library& library, platform::expressions::Type type) {
  return Type(library, library.create_logical_type(kSqlTypes.at(static_cast<std::size_t>(type))));
}

}  // namespace

Status register_kernels(const Library& library, const Connection& connection) {
  extra_info = library.scalar_function_get_extra_info;
  for (const Kernel& kernel : platform::expressions::kernels()) {
    const ScalarFunction function(library, library.create_scalar_function());
    const std::string name = "strata_" + std::string(kernel.name);
    library.scalar_function_set_name(function.get(), name.c_str());
    for (const auto argument : kernel.arguments)
      library.scalar_function_add_parameter(function.get(), sql_type(library, argument).get());
    library.scalar_function_set_return_type(function.get(), sql_type(library, kernel.result).get());
    library.scalar_function_set_special_handling(function.get());  // NULL is the kernel's business
    auto bound = std::make_unique<Bound>(Bound{&library, &kernel});
    library.scalar_function_set_extra_info(function.get(), bound.release(), [](void* held) {
      const std::unique_ptr<Bound> freed(static_cast<Bound*>(held));
    });
    library.scalar_function_set_function(function.get(), &call_kernel);
    if (library.register_scalar_function(connection.get(), function.get()) != DuckDBSuccess)
      return internal("the SQL engine does not take the function " + name);
  }
  return {};
}

}  // namespace strata::engines::duckdb
