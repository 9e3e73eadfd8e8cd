#include "kernel/records/records.hpp"

namespace strata::kernel {

namespace {
template <class T>
const T* cell_as(const SqlValue& value) {
  return std::get_if<T>(&value.get());
}
}  // namespace

std::int64_t Row::integer(std::size_t i) const {
  return maybe_integer(i).value_or(0);
}

double Row::real(std::size_t i) const {
  if (const auto* d = cell_as<double>(cells_[i])) return *d;
  return static_cast<double>(integer(i));
}

std::string Row::text(std::size_t i) const {
  return maybe_text(i).value_or("");
}

std::string Row::blob(std::size_t i) const {
  if (const auto* b = cell_as<Blob>(cells_[i])) return b->bytes;
  return text(i);
}

std::optional<std::int64_t> Row::maybe_integer(std::size_t i) const {
  if (const auto* v = cell_as<std::int64_t>(cells_[i])) return *v;
  return std::nullopt;
}

std::optional<std::string> Row::maybe_text(std::size_t i) const {
  if (const auto* v = cell_as<std::string>(cells_[i])) return *v;
  return std::nullopt;
}

Result<std::optional<Row>> Reader::first(std::string_view sql, const SqlArgs& args) {
  auto rows = query(sql, args);
  if (!rows) return std::move(rows).error();
  if (rows->empty()) return std::optional<Row>();
  return std::optional<Row>(std::move(rows->front()));
}

}  // namespace strata::kernel
