// The rows of a copy on their way to the model, and what it says on its way back.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "platform/scoring/plan.hpp"
#include "wire/parquet/parquet_tensor.hpp"

namespace strata::platform::scoring {

Status RowReader::add(std::string_view piece) {
  if (!in_rows_) {
    // Texts in JSON have their quotes escaped, so this stands in no column's name.
    constexpr std::string_view kBegin = "\"rows\":[";
    head_ += piece;
    const auto at = head_.find(kBegin);
    if (at == std::string::npos) return {};
    in_rows_ = true;
    const std::string rest = head_.substr(at + kBegin.size());
    head_.clear();
    return add(rest);
  }
  for (const char c : piece) {
    if (over_) break;
    if (depth_ == 0) {
      if (c == '[') depth_ = 1;
      if (c == ']') over_ = true;
      continue;
    }
    if (in_text_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_text_ = false;
      }
    } else if (c == '"') {
      in_text_ = true;
    } else if (c == '[' || c == '{') {
      ++depth_;
    } else if ((c == ']' || c == '}') && --depth_ == 0) {
      STRATA_TRY(end_row());
      continue;
    }
    row_ += c;
  }
  return {};
}

// The number before the first comma has to be the next one.
Status RowReader::end_row() {
  const auto comma = row_.find(',');
  std::size_t number = 0;
  const auto read = std::from_chars(row_.data(), row_.data() + row_.size(), number);
  if (comma == std::string::npos || read.ec != std::errc() || read.ptr != row_.data() + comma ||
      number != next_) {
    return internal(fmt::format("row {} of the copy came as '{}'", next_, row_.substr(0, 40)));
  }
  if (ready_.empty() || ready_.back().count >= kTogether) ready_.push_back({next_, 0, ""});
  auto& batch = ready_.back();
  if (batch.count > 0) batch.rows += ',';
  batch.rows += '[';
  batch.rows.append(row_, comma + 1);
  batch.rows += ']';
  ++batch.count;
  ++next_;
  row_.clear();
  return {};
}

std::optional<RowBatch> RowReader::take(std::size_t rows, std::size_t bytes, bool all) {
  std::size_t count = 0, size = 0, pieces = 0;
  for (; pieces < ready_.size() && count < rows && size < bytes; ++pieces) {
    count += ready_[pieces].count;
    size += ready_[pieces].rows.size();
  }
  if (count == 0 || (!all && count < rows && size < bytes)) return std::nullopt;
  RowBatch batch = std::move(ready_.front());
  for (std::size_t i = 1; i < pieces; ++i) {
    batch.count += ready_[i].count;
    batch.rows += ',' + ready_[i].rows;
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(pieces));
  return batch;
}

std::string payload_of(const Plan& plan, const RowBatch& batch) {
  std::string body = "{\"dataframe_split\":{\"columns\":[";
  for (const auto& column : plan.features) {
    if (body.back() != '[') body += ',';
    append_json_string(body, column.name);
  }
  return body + "],\"data\":[" + batch.rows + "]}}";
}

void restore_numbers(wire::ScoringRequest& request, const Plan& plan) {
  using Kind = wire::ScoringCell::Kind;
  for (auto& array : request.arrays) {
    const auto column = std::ranges::find(plan.features, array.name, &ColumnInfo::name);
    if (column == plan.features.end() || (column->type != "FLOAT" && column->type != "DOUBLE"))
      continue;
    for (auto& cell : array.cells) {
      if (cell.kind != Kind::kText) continue;
      const std::string& text = request.texts[cell.text];
      using Limits = std::numeric_limits<double>;
      if (text == "NaN") {
        cell.number = Limits::quiet_NaN();
      } else if (text == "Infinity" || text == "-Infinity") {
        cell.number = text.front() == '-' ? -Limits::infinity() : Limits::infinity();
      } else {
        continue;  // no number, as the binding will say
      }
      cell.kind = Kind::kDouble;
    }
  }
}

Predictions::Predictions(std::vector<std::string> names) : names_(std::move(names)) {}

Status Predictions::add(const RowBatch& batch, const std::vector<wire::Tensor>& outputs) {
  if (outputs.size() != names_.size())
    return internal("the model gave another number of outputs than its signature says");
  if (table_.columns.empty()) {
    wire::ParquetColumn row;
    row.path = {std::string(kRowColumn)};
    row.type = wire::ParquetType::kInt64;
    table_.columns.push_back(std::move(row));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto& shape = outputs[i].shape;
      wire::ParquetColumn column;
      column.path = {names_[i]};
      column.type = wire::parquet_type_of(outputs[i].type);
      column.list = shape.size() > 2 || (shape.size() == 2 && shape[1] != 1);
      table_.columns.push_back(std::move(column));
    }
  }
  for (std::size_t r = 0; r < batch.count; ++r) {
    const auto number = static_cast<std::int64_t>(batch.first + r);
    char raw[sizeof(number)];
    std::memcpy(raw, &number, sizeof(number));
    table_.columns[0].fixed.append(raw, sizeof(raw));
    table_.columns[0].present.push_back(true);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& tensor = outputs[i];
    auto& column = table_.columns[i + 1];
    const bool by_row =
        !tensor.shape.empty() && static_cast<std::size_t>(tensor.shape[0]) == batch.count;
    const std::size_t width = by_row && batch.count > 0 ? tensor.count() / batch.count : 0;
    if (!by_row || (!column.list && width != 1)) {
      return Error(
          Code::kUnsupported,
          fmt::format("model: its output '{}' has shape {} for {} rows; it has to give one "
                      "value or list for each row",
                      names_[i], wire::show_shape(tensor.shape), batch.count),
          "model");
    }
    for (std::size_t r = 0; r < batch.count; ++r) {
      const bool present = column.list || !tensor.is_missing(r);
      column.present.push_back(present);
      if (column.list) column.lengths.push_back(static_cast<std::uint32_t>(width));
      if (present) wire::append_tensor(column, tensor, r * width, width);
    }
    bytes_ += tensor.held_bytes();
  }
  bytes_ += batch.count * sizeof(std::int64_t);
  table_.rows += batch.count;
  return {};
}

std::string Predictions::take() {
  const wire::ParquetTable table = std::exchange(table_, {});
  bytes_ = 0;
  return wire::encode_parquet(table);
}

}  // namespace strata::platform::scoring
