#include "platform/scoring/plan.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::platform::scoring {

using storage::warehouse::quote_sql_name;
using storage::warehouse::quote_sql_text;

namespace {

constexpr std::string_view kScheme = "s3://";
constexpr std::array<std::string_view, 3> kAdded = {"model", "model_version", "model_digest"};

enum class Family : std::uint8_t { kNumber, kBoolean, kText, kOther };

Family family_of(std::string_view type) {
  static constexpr std::array<std::string_view, 12> kNumbers = {
      "TINYINT",   "SMALLINT", "INTEGER", "BIGINT",   "HUGEINT", "UTINYINT",
      "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT",   "DOUBLE"};
  if (type.starts_with("DECIMAL(") && type.ends_with(")")) return Family::kNumber;
  if (std::ranges::find(kNumbers, type) != kNumbers.end()) return Family::kNumber;
  if (type == "BOOLEAN") return Family::kBoolean;
  const bool text = type == "VARCHAR" || type == "UUID";
  if (text || (type.starts_with("ENUM(") && type.ends_with(")"))) return Family::kText;
  return Family::kOther;
}

// Whether Parquet holds all of what is nested in a type: HUGEINT would become DOUBLE, a list of
// fixed length a list.
bool holds_nested(std::string_view type) {
  for (const auto* part : {"HUGEINT", "ENUM(", "INTERVAL", "UNION(", "BIT", "TIMESTAMP_", "TIME "})
    if (type.contains(part)) return false;
  const auto fixed = type.find_first_of("0123456789", type.find('['));
  return type.find('[') == std::string_view::npos || fixed == std::string_view::npos ||
         type[fixed - 1] != '[';
}

// Whether a column of this type comes back from Parquet as it went in. Others go through it as
// text.
bool parquet_keeps(std::string_view type) {
  static constexpr std::array<std::string_view, 18> kKept = {
      "BOOLEAN",   "TINYINT",  "SMALLINT", "INTEGER",   "BIGINT", "UTINYINT",
      "USMALLINT", "UINTEGER", "UBIGINT",  "FLOAT",     "DOUBLE", "VARCHAR",
      "BLOB",      "DATE",     "UUID",     "TIMESTAMP", "TIME",   "TIMESTAMP WITH TIME ZONE"};
  const bool nested =
      type.ends_with("]") || type.starts_with("STRUCT(") || type.starts_with("MAP(");
  if (nested) return holds_nested(type);
  return type.starts_with("DECIMAL(") || std::ranges::find(kKept, type) != kKept.end();
}

const ColumnInfo* find(const std::vector<ColumnInfo>& columns, std::string_view name) {
  const auto at = std::ranges::find(columns, name, &ColumnInfo::name);
  return at == columns.end() ? nullptr : &*at;
}

Error no_column(const Draft& draft, const std::vector<ColumnInfo>& columns, const std::string& name,
                std::string_view field, std::string_view why) {
  std::vector<std::string> names;
  for (const auto& column : columns)
    names.push_back(column.name);
  const std::string near = did_you_mean(name, names);
  return invalid(std::string(field),
                 fmt::format("{}: {} has no column '{}'{}{}", field, printable(draft.input),
                             printable(name), why,
                             near.empty() ? fmt::format("; it has {}", printable(join(names, ", ")))
                                          : fmt::format("; did you mean '{}'?", near)));
}

Status check_type(const ColumnInfo& column, Family wanted, std::string_view model_type) {
  const Family family = family_of(column.type);
  if (family == wanted && family != Family::kOther) return {};
  return invalid("input", fmt::format("input: column '{}' is {}; the model's signature says {}. "
                                      "Score a view that casts it",
                                      printable(column.name), printable(column.type), model_type));
}

Family family_of(wire::ColumnType type) {
  if (type == wire::ColumnType::kBoolean) return Family::kBoolean;
  return type == wire::ColumnType::kString ? Family::kText : Family::kNumber;
}

bool is_floating(wire::ElementType type) {
  return type == wire::ElementType::kFp64 || type == wire::ElementType::kFp32 ||
         type == wire::ElementType::kFp16;
}

Status plan_columns(Plan& plan, const Draft& draft, const inference::Contract& contract,
                    const std::vector<ColumnInfo>& input) {
  if (!draft.features.empty()) {
    return invalid("features", "features: the model's signature names its columns; leave it out");
  }
  for (const auto& column : contract.columns) {
    const auto* sent = find(input, column.name);
    if (sent == nullptr && !column.required) continue;
    if (sent == nullptr)
      return no_column(draft, input, column.name, "input",
                       ", which the model's signature requires");
    STRATA_TRY(check_type(*sent, family_of(column.type), wire::column_type_name(column.type)));
    plan.features.push_back(*sent);
    if (column.required && !is_floating(column.element)) plan.required.push_back(column.name);
  }
  return {};
}

// A model of one tensor: all columns that are not kept for their own sake, or those that are named.
Status plan_tensor(Plan& plan, const Draft& draft, const inference::Contract& contract,
                   const std::vector<ColumnInfo>& input) {
  if (contract.tensors.size() != 1) {
    return Error(Code::kUnsupported,
                 fmt::format("model: it takes {} tensors; a table can be scored by a model of "
                             "columns or of one tensor",
                             contract.tensors.size()),
                 "model");
  }
  for (const auto& column : input) {
    const bool id =
        !draft.keep_all && std::ranges::find(draft.keep, column.name) != draft.keep.end();
    if (draft.features.empty() && !id) plan.features.push_back(column);
  }
  for (const auto& name : draft.features) {
    const auto* column = find(input, name);
    if (column == nullptr) return no_column(draft, input, name, "features", "");
    plan.features.push_back(*column);
  }
  for (const auto& column : plan.features) {
    if (family_of(column.type) == Family::kOther)
      return check_type(column, Family::kNumber, wire::element_name(contract.tensors[0].type));
    if (!is_floating(contract.tensors[0].type)) plan.required.push_back(column.name);
  }
  return {};
}

Status plan_output(Plan& plan, const Draft& draft, const inference::Contract& contract,
                   const std::vector<ColumnInfo>& input) {
  if (draft.keep_all) plan.kept = input;
  for (const auto& name : draft.keep) {
    const auto* column = find(input, name);
    if (column == nullptr) return no_column(draft, input, name, "keep", "");
    plan.kept.push_back(*column);
  }
  for (const auto& output : contract.outputs) {
    plan.predictions.push_back(contract.outputs.size() == 1 ? draft.prediction
                                                            : draft.prediction + "_" + output.name);
  }
  std::vector<std::string> seen;
  const auto add = [&](std::string_view name) -> Status {
    const std::string lower = to_lower(name);
    if (std::ranges::find(seen, lower) == seen.end()) {
      seen.push_back(lower);
      return {};
    }
    return invalid("keep", fmt::format("keep: the output would have two columns '{}'; keep others, "
                                       "or name the predictions otherwise (prediction)",
                                       printable(name)));
  };
  for (const auto& column : plan.kept)
    STRATA_TRY(add(column.name));
  for (const auto& name : plan.predictions)
    STRATA_TRY(add(name));
  for (const auto name : kAdded)
    STRATA_TRY(add(name));
  return {};
}

std::string list_of(const std::vector<std::string>& items) {
  return join(items, ", ");
}

}  // namespace

Json Draft::to_json() const {
  Json keep_json = Json::array();
  for (const auto& name : keep)
    keep_json.push(name);
  Json features_json = Json::array();
  for (const auto& name : features)
    features_json.push(name);
  return Json::object({{"model", model},
                       {"input", input},
                       {"output", output},
                       {"mode", mode},
                       {"keep", keep_all ? Json() : keep_json},
                       {"features", features_json},
                       {"prediction", prediction}});
}

Draft Draft::from_json(const Json& json) {
  Draft draft;
  draft.model = json.text("model");
  draft.input = json.text("input");
  draft.output = json.text("output");
  draft.mode = json.text("mode");
  draft.keep_all = !json["keep"].is_array();
  if (!draft.keep_all) {
    for (const auto& name : json["keep"].as_array())
      draft.keep.push_back(name.as_string());
  }
  if (json["features"].is_array()) {
    for (const auto& name : json["features"].as_array())
      draft.features.push_back(name.as_string());
  }
  if (!json.text("prediction").empty()) draft.prediction = json.text("prediction");
  return draft;
}

std::string Place::sql() const {
  return object.empty() ? quote_sql_name(schema) + "." + quote_sql_name(table)
                        : quote_sql_text(object);
}

Result<Place> Place::parse(std::string_view text, std::string_view field) {
  if (text.starts_with(kScheme)) {
    const auto slash = text.find('/', kScheme.size());
    if (slash == kScheme.size() || slash == std::string_view::npos || slash + 1 == text.size())
      return invalid(
          std::string(field),
          fmt::format("{}: '{}' names no object; write s3://bucket/key", field, printable(text)));
    return Place{"", "", std::string(text)};
  }
  const auto dot = text.find('.');
  const bool whole = dot == std::string_view::npos;
  Place place{std::string(whole ? "main" : text.substr(0, dot)),
              std::string(whole ? text : text.substr(dot + 1)), ""};
  if (place.schema.empty() || place.table.empty() || place.table.contains('.') ||
      text.contains('\0') || text.contains('/')) {
    return invalid(std::string(field),
                   fmt::format("{}: '{}' is neither TABLE, SCHEMA.TABLE nor s3://bucket/key", field,
                               printable(text)));
  }
  return place;
}

Status check_draft(const Draft& draft) {
  const auto input = Place::parse(draft.input, "input");
  if (!input) return input.error();
  const auto output = Place::parse(draft.output, "output");
  if (!output) return output.error();
  if (!draft.mode.empty() && draft.mode != "create" && draft.mode != "replace" &&
      draft.mode != "append") {
    return invalid("mode", fmt::format("mode: '{}' is none; it is create, replace or append",
                                       printable(draft.mode)));
  }
  if (draft.prediction.size() > 200 || draft.prediction == kRowColumn)
    return invalid("prediction", "prediction: is no name for a column");
  if (output->object.empty()) return {};
  if (draft.mode == "create" || draft.mode == "append") {
    return invalid("mode", fmt::format("mode: an object is written as a whole; '{}' is for tables",
                                       draft.mode));
  }
  const std::string_view key = output->object;
  if (key.ends_with(".parquet") || key.ends_with(".csv") || key.ends_with(".json")) return {};
  return invalid("output", fmt::format("output: '{}' does not say its form; end it with .parquet, "
                                       ".csv or .json",
                                       printable(draft.output)));
}

std::string part_name(std::size_t number) {
  return fmt::format("s3://STRATA-SCORING/predictions-{}.parquet", number);
}

Result<Plan> make_plan(const Draft& draft, const inference::Contract& contract,
                       const std::vector<ColumnInfo>& input) {
  Plan plan;
  if (const auto* own = find(input, kRowColumn); own != nullptr) {
    return invalid("input", fmt::format("input: a column is called {}; rename it", kRowColumn));
  }
  STRATA_TRY(contract.columns.empty() ? plan_tensor(plan, draft, contract, input)
                                      : plan_columns(plan, draft, contract, input));
  if (plan.features.empty()) return invalid("input", "input: no column of it goes into the model");
  STRATA_TRY(plan_output(plan, draft, contract, input));
  for (const auto& column : input) {
    if (find(plan.features, column.name) != nullptr || find(plan.kept, column.name) != nullptr)
      plan.columns.push_back(column);
  }
  return plan;
}

std::string copy_sql(const Draft& draft, const Plan& plan) {
  std::vector<std::string> items = {
      fmt::format("row_number() OVER () - 1 AS {}", quote_sql_name(kRowColumn))};
  for (const auto& column : plan.columns) {
    const std::string name = quote_sql_name(column.name);
    items.push_back(parquet_keeps(column.type) ? name
                                               : fmt::format("CAST({0} AS VARCHAR) AS {0}", name));
  }
  const auto place = Place::parse(draft.input, "input");
  return fmt::format("SELECT {} FROM {}", list_of(items), place ? place->sql() : "");
}

Status check_copy(const Plan& plan, const std::vector<ColumnInfo>& copied) {
  for (const auto& column : plan.columns) {
    const auto now = std::ranges::find(copied, column.name, &ColumnInfo::name);
    const std::string type = parquet_keeps(column.type) ? column.type : "VARCHAR";
    if (now != copied.end() && now->type == type) continue;
    return Error(Code::kConflict,
                 fmt::format("input: column '{}' changed from {} to {} since the scoring was asked "
                             "for; score it again",
                             printable(column.name), printable(column.type),
                             now == copied.end() ? "none" : printable(now->type)),
                 "input");
  }
  return {};
}

std::string missing_sql(const Plan& plan) {
  if (plan.required.empty()) return "";
  std::vector<std::string> items;
  for (const auto& name : plan.required) {
    items.push_back(fmt::format("min({}) FILTER (WHERE {} IS NULL)", quote_sql_name(kRowColumn),
                                quote_sql_name(name)));
  }
  return fmt::format("SELECT {} FROM read_parquet({})", list_of(items), quote_sql_text(kCopyName));
}

std::string read_sql(const Plan& plan) {
  std::vector<std::string> items = {quote_sql_name(kRowColumn)};
  for (const auto& column : plan.features) {
    const std::string name = quote_sql_name(column.name);
    const bool wide = column.type.starts_with("DECIMAL(") || column.type.ends_with("HUGEINT");
    items.push_back(wide ? fmt::format("CAST({} AS DOUBLE)", name) : name);
  }
  return fmt::format("SELECT {} FROM read_parquet({})", list_of(items), quote_sql_text(kCopyName));
}

std::string commit_sql(const Draft& draft, const Plan& plan, std::size_t parts,
                       const Stamp& stamp) {
  std::vector<std::string> items;
  for (const auto& column : plan.kept) {
    const std::string name = quote_sql_name(column.name);
    items.push_back(parquet_keeps(column.type)
                        ? "i." + name
                        : fmt::format("CAST(i.{0} AS {1}) AS {0}", name, column.type));
  }
  for (const auto& name : plan.predictions)
    items.push_back("p." + quote_sql_name(name));
  const std::array<std::string, 3> values = {stamp.model, stamp.version, stamp.digest};
  for (std::size_t i = 0; i < kAdded.size(); ++i)
    items.push_back(quote_sql_text(values[i]) + " AS " + std::string(kAdded[i]));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parts; ++i)
    names.push_back(quote_sql_text(part_name(i)));
  const std::string row = quote_sql_name(kRowColumn);
  const std::string query = fmt::format(
      "SELECT {} FROM read_parquet({}) i JOIN read_parquet([{}]) p ON i.{} = p.{} "
      "ORDER BY i.{}",
      list_of(items), quote_sql_text(kCopyName), list_of(names), row, row, row);
  const auto output = Place::parse(draft.output, "output");
  const std::string target = output ? output->sql() : "";
  if (output && !output->object.empty()) {
    const std::string_view form = output->object.ends_with(".parquet") ? "parquet"
                                  : output->object.ends_with(".csv")   ? "csv, header"
                                                                       : "json";
    return fmt::format("COPY ({}) TO {} (FORMAT {})", query, target, form);
  }
  if (draft.mode == "append") return fmt::format("INSERT INTO {} BY NAME {}", target, query);
  return fmt::format("CREATE {}TABLE {} AS {}", draft.mode == "replace" ? "OR REPLACE " : "",
                     target, query);
}

}  // namespace strata::platform::scoring
