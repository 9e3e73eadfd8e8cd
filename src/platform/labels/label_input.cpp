#include <cmath>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/labels/labels.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::labels {

namespace {

constexpr std::size_t kMaxText = 1024;
constexpr std::size_t kMaxName = 128;
constexpr std::int64_t kMaxRow = std::int64_t{1} << 31;
// How far the clock of who sends may be ahead.
constexpr std::chrono::minutes kAhead{5};

Error wrong(std::size_t at, std::string_view field, std::string_view what) {
  const std::string where = fmt::format("labels[{}].{}", at, field);
  return invalid(where, fmt::format("{}: {}", where, what));
}

Result<std::string> name_in(const Json& json, std::size_t at, std::string_view field,
                            std::string_view fallback) {
  const Json* const given = json.find(field);
  if (given == nullptr || given->is_null()) {
    if (!fallback.empty()) return std::string(fallback);
    return wrong(at, field, "is missing; it is what the endpoint answered with the prediction");
  }
  if (!given->is_string() || given->as_string().empty() || given->as_string().size() > kMaxName)
    return wrong(at, field, fmt::format("must be a text of 1 to {} bytes", kMaxName));
  return given->as_string();
}

Status read_value(const Json& json, std::size_t at, Label& label) {
  const Json& value = json["value"];
  if (value.is_bool()) {
    label.value = value.as_bool() ? "true" : "false";
    label.number = value.as_bool() ? 1 : 0;
  } else if (value.is_number()) {
    label.value = value.dump();
    label.number = value.as_double();
  } else if (value.is_string() && !value.as_string().empty() &&
             value.as_string().size() <= kMaxText) {
    label.value = value.as_string();
    if (label.value == "true" || label.value == "false") label.number = label.value == "true";
    if (!label.number) label.number = to_double(label.value);
    if (label.number && !std::isfinite(*label.number)) label.number.reset();
  } else {
    return wrong(
        at, "value",
        value.is_null()
            ? "is missing; give a number, true or false, or a text"
            : fmt::format("must be a number, true or false, or a text of 1 to {} bytes", kMaxText));
  }
  return {};
}

Status read_event(const Json& json, std::size_t at, Instant now, Label& label) {
  const Json* const given = json.find("event_time");
  if (given == nullptr || given->is_null()) return {};
  const std::string text = given->is_string() ? given->as_string() : given->dump();
  const auto time = parse_rfc3339(text);
  if (!time) {
    return wrong(
        at, "event_time",
        fmt::format("'{}' is no time; write it as 2026-11-17T10:32:00Z", printable(text, 40)));
  }
  if (*time > now + kAhead) {
    return wrong(at, "event_time",
                 fmt::format("'{}' is in the future; a label tells what is true already",
                             printable(text, 40)));
  }
  label.event = *time;
  return {};
}

Result<Label> read_label(const Json& json, std::size_t at, Instant now) {
  if (!json.is_object())
    return invalid(fmt::format("labels[{}]", at), fmt::format("labels[{}]: must be an object", at));
  for (const auto& [name, value] : json.as_object()) {
    const std::vector<std::string> known = {"prediction_id", "row", "name", "value", "event_time"};
    if (std::ranges::find(known, name) == known.end())
      return wrong(at, printable(name, 40),
                   fmt::format("is unknown; there are {}", join(known, ", ")));
  }
  Label label;
  auto id = name_in(json, at, "prediction_id", "");
  if (!id) return std::move(id).error();
  auto name = name_in(json, at, "name", "label");
  if (!name) return std::move(name).error();
  label.prediction_id = *std::move(id);
  label.name = *std::move(name);
  if (const Json& row = json["row"]; !row.is_null()) {
    const auto number = row.is_int()      ? std::optional(row.as_int())
                        : row.is_string() ? to_int(row.as_string())
                                          : std::nullopt;
    if (!number || *number < 0 || *number >= kMaxRow)
      return wrong(at, "row", "must be the number of a row of the request, from 0 on");
    label.row = *number;
  }
  STRATA_TRY(read_value(json, at, label));
  STRATA_TRY(read_event(json, at, now, label));
  return label;
}

Result<Json> lines_of(std::string_view body) {
  Json out = Json::array();
  std::size_t number = 0;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::string_view line = trim(body.substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    auto one = parse_json(line);
    if (!one) return one.error().wrap(fmt::format("line {}", number));
    out.push(*std::move(one));
  }
  return out;
}

// Cells of CSV are texts, or missing.
Result<Json> records_of(std::string_view body, std::string_view content_type) {
  const auto table = wire::decode_scoring(body, content_type);
  if (!table) return table.error();
  Json out = Json::array();
  const std::size_t rows = table->arrays.empty() ? 0 : table->arrays.front().cells.size();
  for (std::size_t row = 0; row < rows; ++row) {
    Json one = Json::object();
    for (const auto& column : table->arrays) {
      const auto& cell = column.cells[row];
      const bool text = cell.kind == wire::ScoringCell::Kind::kText;
      one.set(column.name, text ? Json(table->texts[cell.text]) : Json());
    }
    out.push(std::move(one));
  }
  return out;
}

Result<Json> list_of(std::string_view body, std::string_view content_type) {
  const std::string media = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  if (media == "text/csv") return records_of(body, content_type);
  if (media == "application/x-ndjson" || media == "application/jsonl") return lines_of(body);
  if (media != "application/json" && !media.empty()) {
    return Error(Code::kUnsupportedMediaType,
                 fmt::format("Content-Type: '{}' is not offered; send application/json, "
                             "application/x-ndjson or text/csv",
                             printable(media, 60)));
  }
  auto json = parse_json(body);
  if (!json) return std::move(json).error();
  if (!json->is_object() || !(*json)["labels"].is_array())
    return invalid("labels",
                   "labels: must be a list; send {\"labels\": [{\"prediction_id\": ...}]}");
  return (*json)["labels"];
}

}  // namespace

Result<std::vector<Label>> parse_labels(std::string_view body, std::string_view content_type,
                                        Instant now) {
  const auto list = list_of(body, content_type);
  if (!list) return list.error();
  if (list->size() == 0) return invalid("labels", "labels: has none; send at least one");
  if (list->size() > Labels::kMostAtOnce) {
    return Error(Code::kTooLarge, fmt::format("labels: has {}; send at most {} at once",
                                              list->size(), Labels::kMostAtOnce));
  }
  std::vector<Label> out;
  out.reserve(list->size());
  for (const Json& one : list->as_array()) {
    auto label = read_label(one, out.size(), now);
    if (!label) return std::move(label).error();
    out.push_back(*std::move(label));
  }
  return out;
}

std::string_view labels_schema() {
  return R"json({"type":"object","required":["labels"],"properties":{"labels":{"type":"array",
"minItems":1,"maxItems":50000,"items":{"type":"object","additionalProperties":false,
"required":["prediction_id","value"],"properties":{"prediction_id":{"type":"string"},
"row":{"type":"integer","minimum":0},"name":{"type":"string"},
"value":{"type":["number","boolean","string"]},
"event_time":{"type":"string","format":"date-time"}}}}}})json";
}

}  // namespace strata::platform::labels
