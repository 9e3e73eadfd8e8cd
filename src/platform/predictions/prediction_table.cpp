#include <cstring>

#include <fmt/format.h>

#include "platform/predictions/predictions.hpp"
#include "wire/parquet/parquet_tensor.hpp"

namespace strata::platform::predictions {

namespace {

using wire::ElementType;
using wire::ParquetColumn;
using wire::ParquetType;
using wire::Tensor;

template <class T>
void append_raw(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

ParquetColumn plain(std::string name, ParquetType type) {
  ParquetColumn column;
  column.path = {std::move(name)};
  column.type = type;
  return column;
}

void add_texts(ParquetColumn& column, std::string_view text, std::size_t rows) {
  column.present.insert(column.present.end(), rows, true);
  column.add_run(text, rows);
}

template <class T>
void add_numbers(ParquetColumn& column, T value, std::size_t rows) {
  column.present.insert(column.present.end(), rows, true);
  for (std::size_t i = 0; i < rows; ++i)
    append_raw(column.fixed, value);
}

// The places of the columns that every log file begins with.
enum Place : std::size_t {
  kId,
  kRow,
  kTime,
  kEndpoint,
  kModel,
  kVersion,
  kDigest,
  kDeployment,
  kLatency,
  kStatus,
  kRoute,
  kFixedColumns
};

// Files from before there were routes lack that column.
std::size_t fixed_columns(const std::vector<ParquetColumn>& columns) {
  const bool routed = columns.size() > kRoute && columns[kRoute].path.size() == 1 &&
                      columns[kRoute].path.front() == "route";
  return routed ? kFixedColumns : kRoute;
}

std::vector<ParquetColumn> columns_of(const ModelIdentity& model) {
  std::vector<ParquetColumn> columns = {plain("prediction_id", ParquetType::kText),
                                        plain("row", ParquetType::kInt32),
                                        plain("time", ParquetType::kTimestampMicros),
                                        plain("endpoint", ParquetType::kText),
                                        plain("model", ParquetType::kText),
                                        plain("version", ParquetType::kText),
                                        plain("digest", ParquetType::kText),
                                        plain("deployment", ParquetType::kInt64),
                                        plain("latency_us", ParquetType::kInt64),
                                        plain("status", ParquetType::kText),
                                        plain("route", ParquetType::kText)};
  const auto add = [&](const char* group, const std::string& name, ElementType type, bool list) {
    ParquetColumn column;
    column.path = {group, name};
    column.type = wire::parquet_type_of(type);
    column.list = list;
    columns.push_back(std::move(column));
  };
  for (const auto& column : model.contract.columns)
    add("inputs", column.name, column.element, false);
  for (const auto& spec : model.contract.tensors)
    add("inputs", spec.name, spec.type, true);
  for (const auto& spec : model.contract.outputs) {
    const bool one = spec.shape.size() == 1 || (spec.shape.size() == 2 && spec.shape[1] == 1);
    add("outputs", spec.name, spec.type, !one);
  }
  return columns;
}

// The part of a tensor that belongs to one row: its slice where the first dimension counts the
// rows, else all of it, with row 0.
void add_slice(ParquetColumn& column, const Tensor* tensor, std::size_t row, std::size_t rows) {
  std::size_t first = 0;
  std::size_t count = tensor == nullptr ? 0 : tensor->count();
  const bool by_row = tensor != nullptr && !tensor->shape.empty() &&
                      static_cast<std::size_t>(tensor->shape[0]) == rows &&
                      (rows > 1 || column.list);
  if (by_row && rows > 0) {
    count /= rows;
    first = row * count;
  } else if (row > 0) {
    tensor = nullptr;
  }
  const bool missing = tensor != nullptr && !column.list && tensor->is_missing(first);
  const bool present = tensor != nullptr && !missing && (column.list || count == 1);
  column.present.push_back(present);
  if (column.list) column.lengths.push_back(present ? static_cast<std::uint32_t>(count) : 0);
  if (present) wire::append_tensor(column, *tensor, first, count);
}

void add_rows(wire::ParquetTable& table, const ModelIdentity& model, const ExchangeSlice& slice) {
  auto& columns = table.columns;
  const Exchange& exchange = *slice.exchange;
  table.rows += slice.rows;
  add_texts(columns[kId], exchange.id, slice.rows);
  columns[kRow].present.insert(columns[kRow].present.end(), slice.rows, true);
  for (std::size_t i = 0; i < slice.rows; ++i)
    append_raw(columns[kRow].fixed, static_cast<std::int32_t>(slice.first + i));
  add_numbers(columns[kTime], exchange.time.micros, slice.rows);
  add_texts(columns[kEndpoint], model.endpoint, slice.rows);
  add_texts(columns[kModel], model.model, slice.rows);
  add_texts(columns[kVersion], model.version, slice.rows);
  add_texts(columns[kDigest], model.digest, slice.rows);
  add_numbers(columns[kDeployment], model.deployment, slice.rows);
  add_numbers(columns[kLatency], exchange.latency_us, slice.rows);
  add_texts(columns[kStatus], exchange.failure.empty() ? "ok" : exchange.failure, slice.rows);
  add_texts(columns[kRoute], route_name(exchange.route), slice.rows);
  const auto fill = [&](ParquetColumn& column, const Tensor* tensor) {
    for (std::size_t i = 0; i < slice.rows; ++i)
      add_slice(column, tensor, slice.first + i, exchange.inputs.rows);
  };
  std::size_t at = kFixedColumns;
  for (const auto& tensor : exchange.inputs.tensors)
    fill(columns[at++], &tensor);
  for (std::size_t i = 0; i < model.contract.outputs.size(); ++i)
    fill(columns[at++], i < exchange.outputs.size() ? &exchange.outputs[i] : nullptr);
}

// The id, the shapes and what else surrounds the values of an exchange.
constexpr std::size_t kAround = 512;

// As a JSON text, with its quotes and escapes.
std::size_t json_bytes(std::string_view text) {
  std::size_t bytes = text.size() + 3;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) bytes += 5;
    if (c == '"' || c == '\\') ++bytes;
  }
  return bytes;
}

template <class T>
T number_at(const ParquetColumn& column, std::size_t element) {
  T value{};
  std::memcpy(&value, column.fixed.data() + element * sizeof(T), sizeof(T));
  return value;
}

Json element_at(const ParquetColumn& column, std::size_t element) {
  switch (column.type) {
    case ParquetType::kBool:
      return Json(column.fixed[element] != 0);
    case ParquetType::kInt32:
      return Json(static_cast<std::int64_t>(number_at<std::int32_t>(column, element)));
    case ParquetType::kFloat:
      return Json(static_cast<double>(number_at<float>(column, element)));
    case ParquetType::kDouble:
      return Json(number_at<double>(column, element));
    case ParquetType::kText:
      return Json(column.texts[element]);
    case ParquetType::kUint64:
      return Json(number_at<std::uint64_t>(column, element));
    default:
      return Json(number_at<std::int64_t>(column, element));
  }
}

}  // namespace

std::string_view route_name(Route route) {
  constexpr std::string_view kNames[] = {"live", "canary", "control", "shadow"};
  return kNames[static_cast<std::size_t>(route)];
}

std::size_t Exchange::held_bytes() const {
  std::size_t total = kAround + (backing == nullptr ? 0 : backing->capacity());
  for (const auto& tensor : inputs.tensors)
    total += tensor.held_bytes();
  for (const auto& tensor : outputs)
    total += tensor.held_bytes();
  return total;
}

std::size_t Exchange::value_bytes() const {
  std::size_t total = kAround;
  const auto add = [&](const Tensor& tensor) {
    total += tensor.bytes().size() + tensor.texts.size() * sizeof(std::string);
    for (const auto& text : tensor.texts)
      total += text.size();
  };
  for (const auto& tensor : inputs.tensors)
    add(tensor);
  for (const auto& tensor : outputs)
    add(tensor);
  return total;
}

wire::ParquetTable table_of(const ModelIdentity& model, std::span<const ExchangeSlice> slices) {
  wire::ParquetTable table;
  table.columns = columns_of(model);
  for (const auto& slice : slices)
    add_rows(table, model, slice);
  // Ids of requests with one row each gain nothing from being runs.
  for (auto& column : table.columns) {
    if (column.texts.size() * 2 > column.elements()) column.unroll();
  }
  return table;
}

std::vector<std::size_t> shown_bytes(wire::ParquetTable& table) {
  // The longest number, and what stands around a row and around a member.
  constexpr std::size_t kNumber = 24;
  constexpr std::size_t kRow = 48;
  constexpr std::size_t kMember = 6;
  std::vector<std::size_t> bytes(table.rows, kRow);
  for (std::size_t c = fixed_columns(table.columns); c < table.columns.size(); ++c) {
    auto& column = table.columns[c];
    column.unroll();
    std::size_t next = 0;
    for (std::size_t row = 0; row < table.rows; ++row) {
      bytes[row] += kMember + column.path.back().size();
      if (!column.present[row]) continue;
      const std::size_t count = column.list ? column.lengths[row] : 1;
      if (column.type != ParquetType::kText) bytes[row] += count * kNumber;
      for (std::size_t i = 0; i < count && column.type == ParquetType::kText; ++i)
        bytes[row] += json_bytes(column.texts[next + i]);
      next += count;
    }
  }
  return bytes;
}

std::vector<Prediction> predictions_of(wire::ParquetTable& table, std::size_t first,
                                       std::size_t count) {
  std::vector<Prediction> out;
  auto& columns = table.columns;
  for (auto& column : columns)
    column.unroll();
  const std::size_t fixed = fixed_columns(columns);
  if (columns.size() < fixed) return out;
  for (std::size_t c = 0; c < fixed; ++c) {
    if (columns[c].elements() != table.rows) return out;
  }
  std::vector<std::size_t> next(columns.size());  // the next element of each column
  for (std::size_t c = fixed; c < columns.size(); ++c) {
    for (std::size_t row = 0; row < first; ++row) {
      if (columns[c].present[row]) next[c] += columns[c].list ? columns[c].lengths[row] : 1;
    }
  }
  for (std::size_t row = first; row < std::min(table.rows, first + count); ++row) {
    const auto& id = columns[kId].texts[row];
    if (out.empty() || out.back().id != id) {
      auto& p = out.emplace_back();
      p.id = id;
      p.time = Instant{number_at<std::int64_t>(columns[kTime], row)};
      p.endpoint = columns[kEndpoint].texts[row];
      p.model = columns[kModel].texts[row];
      p.version = columns[kVersion].texts[row];
      p.digest = columns[kDigest].texts[row];
      p.deployment = number_at<std::int64_t>(columns[kDeployment], row);
      p.latency_us = number_at<std::int64_t>(columns[kLatency], row);
      p.status = columns[kStatus].texts[row];
      p.route = fixed == kFixedColumns ? columns[kRoute].texts[row] : "live";
    }
    ++out.back().row_count;
    auto& to = out.back().rows.emplace_back();
    to.row = number_at<std::int32_t>(columns[kRow], row);
    to.inputs = Json::object();
    to.outputs = Json::object();
    for (std::size_t c = fixed; c < columns.size(); ++c) {
      const auto& column = columns[c];
      Json value;
      if (column.present[row] && column.list) {
        value = Json::array();
        for (std::uint32_t i = 0; i < column.lengths[row]; ++i)
          value.push(element_at(column, next[c]++));
      } else if (column.present[row]) {
        value = element_at(column, next[c]++);
      }
      (column.path[0] == "inputs" ? to.inputs : to.outputs)
          .set(column.path.back(), std::move(value));
    }
  }
  return out;
}

}  // namespace strata::platform::predictions
