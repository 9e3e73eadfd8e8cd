#include "platform/monitoring/sample.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace strata::platform::monitoring {

using drift::Kind;
using wire::ParquetColumn;
using wire::ParquetType;

namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMaxListed = 32;  // elements of a list that are features of their own

template <class T>
double number_at(const std::string& fixed, std::size_t element) {
  T value;
  std::memcpy(&value, fixed.data() + element * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double number_of(const ParquetColumn& column, std::size_t element) {
  switch (column.type) {
    case ParquetType::kInt32:
      return number_at<std::int32_t>(column.fixed, element);
    case ParquetType::kUint64:
      return number_at<std::uint64_t>(column.fixed, element);
    case ParquetType::kFloat:
      return number_at<float>(column.fixed, element);
    case ParquetType::kDouble:
      return number_at<double>(column.fixed, element);
    default:
      return number_at<std::int64_t>(column.fixed, element);
  }
}

bool is_text(const ParquetColumn& column) {
  return column.type == ParquetType::kText || column.type == ParquetType::kBool;
}

void add_element(SampleColumn& out, const ParquetColumn& column, std::size_t element) {
  if (column.type == ParquetType::kText) {
    out.texts.emplace_back(column.texts[element]);
  } else if (column.type == ParquetType::kBool) {
    out.texts.emplace_back(column.fixed[element] != 0 ? "true" : "false");
  } else {
    out.numbers.push_back(number_of(column, element));
  }
}

void add_missing(SampleColumn& out) {
  if (out.kind == Kind::kCategory) {
    out.texts.emplace_back(std::nullopt);
  } else {
    out.numbers.push_back(kMissing);
  }
}

// How many elements each cell has; nothing when they differ or are too many to be features.
std::optional<std::size_t> listed(const ParquetColumn& column, std::size_t rows) {
  std::size_t length = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (!column.present[row]) continue;
    if (length != 0 && column.lengths[row] != length) return std::nullopt;
    length = column.lengths[row];
  }
  if (length == 0 || length > kMaxListed) return std::nullopt;
  return length;
}

void add_features(LogRows& out, ParquetColumn column, std::size_t rows) {
  column.unroll();
  const std::size_t width = column.list ? listed(column, rows).value_or(0) : 1;
  const std::string name = column.path[0] + "." + column.path[1];
  for (std::size_t at = 0; at < width; ++at) {
    SampleColumn feature;
    feature.name = column.list && width > 1 ? fmt::format("{}[{}]", name, at) : name;
    feature.kind = is_text(column) ? Kind::kCategory : Kind::kNumber;
    std::size_t element = at;
    for (std::size_t row = 0; row < rows; ++row) {
      if (!column.present[row]) {
        add_missing(feature);
        continue;
      }
      add_element(feature, column, element);
      element += width;
    }
    out.columns.push_back(std::move(feature));
  }
}

// One for each row of a column without missing cells.
std::vector<std::string> texts_of(ParquetColumn column) {
  column.unroll();
  return std::move(column.texts);
}

std::optional<Kind> kind_of_type(std::string_view type) {
  for (const std::string_view text : {"VARCHAR", "BOOLEAN", "UUID"}) {
    if (type == text) return Kind::kCategory;
  }
  if (type.starts_with("ENUM")) return Kind::kCategory;
  if (type.ends_with("INT") || type.ends_with("INTEGER") || type == "DOUBLE" || type == "FLOAT" ||
      type.starts_with("DECIMAL")) {
    return Kind::kNumber;
  }
  return std::nullopt;
}

// Numbers that JSON has not, or that a double cannot hold, come as texts.
double number_in(const Json& value) {
  if (value.is_number()) return value.as_double();
  if (!value.is_string()) return kMissing;
  return std::strtod(value.as_string().c_str(), nullptr);
}

std::string text_in(const Json& value) {
  return value.is_string() ? value.as_string() : value.dump();
}

}  // namespace

Result<drift::Bins> bins_of(const SampleColumn& column) {
  if (column.kind == Kind::kNumber) return drift::Bins::of_numbers(column.numbers);
  std::vector<std::string> texts;
  for (const auto& text : column.texts) {
    if (text) texts.push_back(*text);
  }
  return drift::Bins::of_texts(texts);
}

void add_to(drift::Profile& profile, const SampleColumn& column, std::size_t row) {
  if (column.kind == Kind::kNumber) return profile.add(column.numbers[row]);
  if (!column.texts[row]) return profile.add_missing();
  profile.add(*column.texts[row]);
}

drift::Profile profile_of(std::shared_ptr<const drift::Bins> bins, const SampleColumn& column) {
  drift::Profile profile(std::move(bins));
  for (std::size_t row = 0; row < column.size(); ++row)
    add_to(profile, column, row);
  return profile;
}

LogRows rows_of(const wire::ParquetTable& table) {
  LogRows out;
  for (const auto& column : table.columns) {
    if (column.path.size() == 2) {
      add_features(out, column, table.rows);
    } else if (column.path[0] == "time") {
      for (std::size_t row = 0; row < table.rows; ++row)
        out.times.push_back(Instant{static_cast<std::int64_t>(number_of(column, row))});
    } else if (column.path[0] == "version") {
      out.versions = texts_of(column);
    } else if (column.path[0] == "route") {
      for (const auto& route : texts_of(column))
        out.shadow.push_back(route == "shadow");
    } else if (column.path[0] == "status") {
      for (const auto& status : texts_of(column))
        out.failed.push_back(status != "ok");
    }
  }
  return out;
}

void append(LogRows& to, LogRows from) {
  if (to.size() == 0) {
    to = std::move(from);
    return;
  }
  to.times.insert(to.times.end(), from.times.begin(), from.times.end());
  to.versions.insert(to.versions.end(), from.versions.begin(), from.versions.end());
  to.failed.insert(to.failed.end(), from.failed.begin(), from.failed.end());
  to.shadow.insert(to.shadow.end(), from.shadow.begin(), from.shadow.end());
  std::erase_if(to.columns, [&](SampleColumn& column) {
    const auto same =
        std::find_if(from.columns.begin(), from.columns.end(), [&](const SampleColumn& other) {
          return other.name == column.name && other.kind == column.kind;
        });
    if (same == from.columns.end()) return true;
    column.numbers.insert(column.numbers.end(), same->numbers.begin(), same->numbers.end());
    column.texts.insert(column.texts.end(), same->texts.begin(), same->texts.end());
    return false;
  });
}

std::vector<SampleColumn> columns_of_answer(const Json& answer) {
  std::vector<SampleColumn> out;
  const auto& rows = answer["rows"].as_array();
  const auto& heads = answer["columns"].as_array();
  for (std::size_t at = 0; at < heads.size(); ++at) {
    const auto kind = kind_of_type(heads[at].text("type"));
    if (!kind) continue;
    SampleColumn column{.name = heads[at].text("name"), .kind = *kind, .numbers = {}, .texts = {}};
    for (const Json& row : rows) {
      const Json& value = row.as_array()[at];
      if (value.is_null()) {
        add_missing(column);
      } else if (*kind == Kind::kNumber) {
        column.numbers.push_back(number_in(value));
      } else {
        column.texts.emplace_back(text_in(value));
      }
    }
    out.push_back(std::move(column));
  }
  return out;
}

Result<std::vector<SampleColumn>> columns_of_json(std::string_view field, const Json& columns) {
  std::vector<SampleColumn> out;
  for (const auto& [name, values] : columns.as_object()) {
    SampleColumn column{.name = name, .kind = Kind::kNumber, .numbers = {}, .texts = {}};
    const auto& list = values.as_array();
    const auto first =
        std::find_if(list.begin(), list.end(), [](const Json& value) { return !value.is_null(); });
    if (first != list.end() && !first->is_number()) column.kind = Kind::kCategory;
    for (std::size_t row = 0; row < list.size(); ++row) {
      const Json& value = list[row];
      if (value.is_null()) {
        add_missing(column);
      } else if (column.kind == Kind::kNumber && value.is_number()) {
        column.numbers.push_back(value.as_double());
      } else if (column.kind == Kind::kCategory && (value.is_string() || value.is_bool())) {
        column.texts.emplace_back(text_in(value));
      } else {
        const std::string where = fmt::format("{}.columns.{}[{}]", field, name, row);
        return invalid(where, fmt::format("{}: is a {} where the column began with {}; give all "
                                          "values of a column as numbers or all as texts",
                                          where, value.type_name(),
                                          column.kind == Kind::kNumber ? "numbers" : "texts"));
      }
    }
    out.push_back(std::move(column));
  }
  return out;
}

}  // namespace strata::platform::monitoring
