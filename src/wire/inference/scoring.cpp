#include "wire/inference/scoring.hpp"

#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/flow/json_reader.hpp"

namespace strata::wire {

namespace {

using Cell = ScoringCell::Kind;
using Scalar = JsonScalar::Kind;
constexpr std::string_view kForms =
    "send exactly one of dataframe_split, dataframe_records, instances and inputs";

ScoringCell make_cell(const JsonScalar& value, std::vector<std::string>& texts) {
  ScoringCell cell;
  switch (value.kind) {
    case Scalar::kNull:
      break;
    case Scalar::kBool:
      cell.kind = Cell::kBool;
      cell.boolean = value.boolean;
      break;
    case Scalar::kInt:
      cell.kind = Cell::kInt;
      cell.integer = value.integer;
      break;
    case Scalar::kUnsigned:
      cell.kind = Cell::kUnsigned;
      cell.unsigned_integer = value.unsigned_integer;
      break;
    case Scalar::kDouble:
      cell.kind = Cell::kDouble;
      cell.number = value.number;
      break;
    case Scalar::kText:
      cell.kind = Cell::kText;
      cell.text = static_cast<std::uint32_t>(texts.size());
      texts.push_back(value.text);
      break;
  }
  return cell;
}

class Decoder {
 public:
  explicit Decoder(std::string_view body) : reader_(body) {}

  Result<ScoringRequest> run() {
    if (reader_.peek() == JsonReader::Kind::kArray) {
      return invalid("body", fmt::format("body: is a JSON array; {} in an object", kForms));
    }
    std::string name;
    std::vector<std::string> seen;
    bool found = false;
    bool twice = false;
    if (reader_.enter_object()) {
      while (reader_.next_member(name)) {
        seen.push_back(printable(name));
        const auto form = form_of(name);
        if (form && !found) {
          found = true;
          out_.form = *form;
          read_form();
        } else {
          twice |= form.has_value();
          if (name == "params") {
            read_params();
          } else {
            reader_.skip();
          }
        }
      }
      reader_.finish();
    }
    if (fault_) return *std::move(fault_);
    if (reader_.failed()) return reader_.error();
    if (!found || twice) {
      return invalid("body", fmt::format("body: {}; it has [{}]", kForms, fmt::join(seen, ", ")));
    }
    return std::move(out_);
  }

 private:
  static std::optional<ScoringForm> form_of(std::string_view name) {
    if (name == "dataframe_split") return ScoringForm::kSplit;
    if (name == "dataframe_records") return ScoringForm::kRecords;
    if (name == "instances") return ScoringForm::kInstances;
    if (name == "inputs") return ScoringForm::kInputs;
    return std::nullopt;
  }

  void read_params() {
    if (reader_.peek() != JsonReader::Kind::kObject) {
      JsonScalar value;
      if (reader_.scalar(value) && value.kind != Scalar::kNull)
        reader_.fail("params must be an object");
      return;
    }
    std::string name;
    reader_.enter_object();
    while (reader_.next_member(name)) {
      ScoringParam param;
      param.name = name;
      read_param(param);
      std::erase_if(out_.params, [&](const auto& other) { return other.name == name; });
      out_.params.push_back(std::move(param));
    }
  }

  void read_param(ScoringParam& param) {
    switch (reader_.peek()) {
      case JsonReader::Kind::kScalar:
        if (reader_.scalar(value_)) param.cells.push_back(make_cell(value_, out_.texts));
        return;
      case JsonReader::Kind::kArray:
        param.form = ScoringParam::Form::kList;
        reader_.enter_array();
        while (reader_.next_element()) {
          if (reader_.peek() != JsonReader::Kind::kScalar) {
            param.nested = true;
            reader_.skip();
          } else if (reader_.scalar(value_)) {
            param.cells.push_back(make_cell(value_, out_.texts));
          }
        }
        return;
      default:
        param.form = ScoringParam::Form::kObject;
        reader_.skip();
    }
  }

  void read_form() {
    switch (out_.form) {
      case ScoringForm::kSplit:
        read_split();
        return;
      case ScoringForm::kRecords:
        if (reader_.peek() != JsonReader::Kind::kArray) {
          fault("dataframe_records", "must be an array of records");
          reader_.skip();
          return;
        }
        read_list("dataframe_records");
        if (!fault_ && !out_.arrays.empty() && out_.arrays.front().name.empty()) {
          fault("dataframe_records", "must be an array of objects, one for each row");
        }
        return;
      case ScoringForm::kInstances:
        if (reader_.peek() != JsonReader::Kind::kArray) {
          fault("instances", "must be an array");
          reader_.skip();
          return;
        }
        read_list("instances");
        return;
      default:
        read_inputs();
    }
  }

  // {"columns": [...], "index": [...], "data": [[...], ...]} in any order.
  void read_split() {
    if (reader_.peek() != JsonReader::Kind::kObject) {
      fault("dataframe_split", "must be an object with columns and data");
      reader_.skip();
      return;
    }
    std::string name;
    std::optional<std::vector<std::string>> columns;
    std::string_view data;
    std::size_t data_at = 0;
    reader_.enter_object();
    while (reader_.next_member(name)) {
      if (name == "columns") {
        columns = read_names();
      } else if (name == "data") {
        reader_.peek();
        data_at = reader_.position();
        data = reader_.skip();
      } else if (name == "index") {
        reader_.skip();
      } else {
        fault("dataframe_split",
              fmt::format("has only columns, index and data, not '{}'", printable(name)));
        reader_.skip();
      }
    }
    if (fault_ || reader_.failed()) return;
    if (data.empty()) {
      fault("dataframe_split.data", "is missing");
      return;
    }
    JsonReader rows(data, data_at);
    if (!columns) {
      ScoringArray array;
      if (read_nested(rows, array, "dataframe_split.data")) out_.arrays.push_back(std::move(array));
      return;
    }
    read_rows(rows, *columns);
  }

  std::vector<std::string> read_names() {
    std::vector<std::string> names;
    if (!reader_.enter_array()) return names;
    JsonScalar value;
    while (reader_.next_element()) {
      if (!reader_.scalar(value)) return names;
      if (value.kind != Scalar::kText && value.kind != Scalar::kInt) {
        fault("dataframe_split.columns", "must be texts");
      }
      std::string name = value.kind == Scalar::kInt ? std::to_string(value.integer) : value.text;
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        fault("dataframe_split.columns", fmt::format("names '{}' twice", printable(name)));
      }
      names.push_back(std::move(name));
    }
    return names;
  }

  void read_rows(JsonReader& rows, const std::vector<std::string>& columns) {
    const std::size_t first = out_.arrays.size();
    for (const auto& column : columns)
      out_.arrays.push_back({column, {}, {}});
    std::size_t row = 0;
    JsonScalar value;
    rows.enter_array();
    while (rows.next_element()) {
      std::size_t column = 0;
      if (!rows.enter_array()) break;
      bool fits = true;
      while (fits && rows.next_element()) {
        fits = column < columns.size() && rows.peek() == JsonReader::Kind::kScalar;
        if (fits && rows.scalar(value))
          out_.arrays[first + column++].cells.push_back(make_cell(value, out_.texts));
      }
      if (rows.failed()) break;
      if (!fits || column != columns.size()) {
        fault(fmt::format("dataframe_split.data[{}]", row),
              fmt::format("must have one value for each of the {} columns", columns.size()));
        return;
      }
      ++row;
    }
    if (rows.failed()) fault("dataframe_split.data", rows.error().message);
    for (std::size_t i = first; i < out_.arrays.size(); ++i) {
      out_.arrays[i].shape = {static_cast<std::int64_t>(row)};
    }
  }

  // A list of objects gives one array for each name, any other list one array without a name.
  void read_list(std::string_view field) {
    const std::size_t at = reader_.position();
    const auto raw = reader_.skip();
    if (reader_.failed()) return;
    JsonReader probe(raw, at);
    probe.enter_array();
    if (!probe.next_element() || probe.peek() != JsonReader::Kind::kObject) {
      JsonReader list(raw, at);
      ScoringArray array;
      if (read_nested(list, array, field)) out_.arrays.push_back(std::move(array));
      return;
    }
    JsonReader list(raw, at);
    read_records(list, field);
  }

  void read_records(JsonReader& list, std::string_view field) {
    std::unordered_map<std::string, std::size_t> places;
    std::size_t row = 0;
    std::string name;
    list.enter_array();
    while (list.next_element()) {
      if (list.peek() != JsonReader::Kind::kObject) {
        fault(fmt::format("{}[{}]", field, row), "must be an object like the rows before it");
        return;
      }
      list.enter_object();
      while (list.next_member(name)) {
        const auto [place, fresh] = places.try_emplace(name, out_.arrays.size());
        if (fresh) out_.arrays.push_back({name, {0}, {}});
        if (!read_record_value(list, out_.arrays[place->second], row, field)) return;
      }
      if (list.failed()) break;
      ++row;
    }
    if (list.failed()) {
      fault(field, list.error().message);
      return;
    }
    for (auto& array : out_.arrays) {
      if (!pad(array, row, field)) return;
    }
  }

  bool read_record_value(JsonReader& list, ScoringArray& array, std::size_t row,
                         std::string_view field) {
    if (static_cast<std::size_t>(array.shape[0]) > row) {
      return fault(fmt::format("{}[{}]", field, row),
                   fmt::format("names '{}' twice", printable(array.name)));
    }
    if (!pad(array, row, field)) return false;
    ScoringArray value;
    if (!read_nested(list, value, fmt::format("{}[{}].{}", field, row, printable(array.name))))
      return false;
    if (array.shape[0] == 0) {
      array.shape.insert(array.shape.end(), value.shape.begin(), value.shape.end());
    } else if (!std::equal(value.shape.begin(), value.shape.end(), array.shape.begin() + 1,
                           array.shape.end())) {
      return fault(fmt::format("{}[{}].{}", field, row, printable(array.name)),
                   "has another shape than in the rows before it");
    }
    array.cells.insert(array.cells.end(), value.cells.begin(), value.cells.end());
    array.shape[0] = static_cast<std::int64_t>(row) + 1;
    return true;
  }

  // Rows that did not name a column have a missing value there, as in a data frame.
  bool pad(ScoringArray& array, std::size_t rows, std::string_view field) {
    if (static_cast<std::size_t>(array.shape[0]) == rows) return true;
    if (array.shape.size() > 1) {
      return fault(fmt::format("{}.{}", field, printable(array.name)), "is missing in some rows");
    }
    array.cells.resize(rows);
    array.shape[0] = static_cast<std::int64_t>(rows);
    return true;
  }

  void read_inputs() {
    if (reader_.peek() == JsonReader::Kind::kArray) {
      read_list("inputs");
      return;
    }
    ScoringArray array;
    if (reader_.peek() == JsonReader::Kind::kScalar) {
      if (read_nested(reader_, array, "inputs")) out_.arrays.push_back(std::move(array));
      return;
    }
    std::string name;
    reader_.enter_object();
    while (reader_.next_member(name)) {
      for (const auto& earlier : out_.arrays) {
        if (earlier.name == name) fault("inputs", fmt::format("names '{}' twice", printable(name)));
      }
      ScoringArray input{name, {}, {}};
      if (!read_nested(reader_, input, fmt::format("inputs.{}", printable(name)))) return;
      out_.arrays.push_back(std::move(input));
    }
  }

  // A scalar, or arrays nested to a regular shape.
  bool read_nested(JsonReader& reader, ScoringArray& out, std::string_view field) {
    depth_ = -1;
    if (read_level(reader, out, 0, field)) return true;
    if (!fault_) fault(field, reader.error().message);
    return false;
  }

  bool read_level(JsonReader& reader, ScoringArray& out, int level, std::string_view field) {
    const auto kind = reader.peek();
    if (kind == JsonReader::Kind::kObject)
      return fault(field, "has an object where a value should stand");
    if (kind != JsonReader::Kind::kArray) {
      if (depth_ < 0) depth_ = level;
      if (depth_ != level) return fault(field, "is ragged: values stand beside arrays");
      if (!reader.scalar(value_)) return false;
      out.cells.push_back(make_cell(value_, out_.texts));
      return true;
    }
    if (depth_ >= 0 && level >= depth_)
      return fault(field, "is ragged: arrays stand beside values");
    if (!reader.enter_array()) return false;
    const auto here = static_cast<std::size_t>(level);
    const bool first = out.shape.size() == here;
    if (first) out.shape.push_back(-1);
    std::int64_t count = 0;
    while (reader.next_element()) {
      ++count;
      if (!read_level(reader, out, level + 1, field)) return false;
    }
    if (reader.failed()) return false;
    if (out.shape[here] < 0) out.shape[here] = count;
    if (out.shape[here] != count) {
      return fault(field,
                   fmt::format("is ragged: arrays of {} and of {} elements stand side by side",
                               out.shape[here], count));
    }
    return true;
  }

  bool fault(std::string_view field, std::string_view what) {
    if (!fault_) fault_ = invalid(std::string(field), fmt::format("{}: {}", field, what));
    return false;
  }

  JsonReader reader_;
  ScoringRequest out_;
  std::optional<Error> fault_;
  JsonScalar value_;
  int depth_ = -1;
};

// One record of CSV (RFC 4180) from `at` on; false at the end of the text.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  bool next(std::vector<std::string>& fields) {
    fields.clear();
    if (at_ >= text_.size()) return false;
    while (true) {
      fields.push_back(field());
      if (at_ >= text_.size()) return true;
      const char c = text_[at_++];
      if (c == ',') continue;
      if (c == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      return true;
    }
  }
  bool unclosed() const { return unclosed_; }

 private:
  std::string field() {
    std::string out;
    if (at_ >= text_.size() || text_[at_] != '"') {
      const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
      out = text_.substr(at_, end - at_);
      at_ = end;
      return out;
    }
    ++at_;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        unclosed_ = true;
        at_ = text_.size();
        return out;
      }
      out += text_.substr(at_, quote - at_);
      at_ = quote + 1;
      if (at_ >= text_.size() || text_[at_] != '"') return out;
      out += '"';
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool unclosed_ = false;
};

Result<ScoringRequest> decode_csv(std::string_view body) {
  if (!is_utf8(body)) return Error(Code::kMalformed, "body: the CSV text is not valid UTF-8");
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // spreadsheets write one
  if (body.starts_with(kByteOrderMark)) body.remove_prefix(kByteOrderMark.size());
  CsvReader reader(body);
  ScoringRequest out;
  out.form = ScoringForm::kCsv;
  std::vector<std::string> fields;
  if (!reader.next(fields))
    return invalid("body", "body: is empty; the first line names the columns");
  for (const auto& name : fields) {
    for (const auto& earlier : out.arrays) {
      if (earlier.name == name)
        return invalid("body", fmt::format("body: names column '{}' twice", printable(name)));
    }
    out.arrays.push_back({name, {0}, {}});
  }
  std::size_t line = 1;
  while (reader.next(fields)) {
    ++line;
    if (fields.size() == 1 && fields[0].empty() && out.arrays.size() > 1) continue;
    if (fields.size() != out.arrays.size()) {
      return invalid("body",
                     fmt::format("body: record {} has {} fields, the header names {} columns", line,
                                 fields.size(), out.arrays.size()));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      ScoringCell cell;
      if (!fields[i].empty()) {
        cell.kind = Cell::kText;
        cell.text = static_cast<std::uint32_t>(out.texts.size());
        out.texts.push_back(std::move(fields[i]));
      }
      out.arrays[i].cells.push_back(cell);
      ++out.arrays[i].shape[0];
    }
  }
  if (reader.unclosed()) return invalid("body", "body: a quoted field is not closed");
  return out;
}

}  // namespace

Result<ScoringRequest> decode_scoring(std::string_view body, std::string_view content_type) {
  const auto parts = split(content_type, ';');
  const std::string media = to_lower(trim(parts.front()));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string parameter = to_lower(trim(parts[i]));
    if (parameter.empty() || parameter == "charset=utf-8" || parameter == "charset=\"utf-8\"")
      continue;
    return Error(Code::kUnsupportedMediaType,
                 fmt::format("Content-Type: parameter '{}' is not offered; only charset=utf-8 is",
                             printable(parameter)));
  }
  if (media == "text/csv") return decode_csv(body);
  if (media != "application/json") {
    return Error(Code::kUnsupportedMediaType,
                 fmt::format("Content-Type: '{}' is not offered; send application/json or text/csv",
                             printable(media)));
  }
  if (body.empty()) return invalid("body", fmt::format("body: is empty; {}", kForms));
  Decoder decoder(body);
  return decoder.run();
}

}  // namespace strata::wire
