#include "platform/inference/params.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::platform::inference {

using wire::ColumnType;
using wire::ScoringCell;
using wire::ScoringParam;
using Kind = ScoringCell::Kind;
using Form = ScoringParam::Form;

namespace {

// 2026, 2026-11-22 or 2026-11-22T15:04:05.123Z: what NumPy reads as a time.
bool is_time(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  return text.size() >= 4 && text.substr(0, 4).find_first_not_of(kDigits) == std::string::npos &&
         text.find_first_not_of("0123456789-+:. TZ") == std::string::npos;
}

bool fits(const ScoringCell& cell, ColumnType type, const std::vector<std::string>& texts) {
  if (cell.kind == Kind::kMissing) return true;
  const bool whole = cell.kind == Kind::kInt || cell.kind == Kind::kUnsigned;
  switch (type) {
    case ColumnType::kBoolean:
      return cell.kind == Kind::kBool;
    case ColumnType::kInteger:
    case ColumnType::kLong:
      return whole;
    case ColumnType::kFloat:
    case ColumnType::kDouble:
      return whole || cell.kind == Kind::kDouble;
    case ColumnType::kString:
      return cell.kind == Kind::kText;
    case ColumnType::kDatetime:
      return cell.kind == Kind::kText && is_time(texts.at(cell.text));
    case ColumnType::kBinary:
      break;
  }
  return false;
}

bool fits(const ScoringParam& param, const wire::ParamSpec& spec,
          const std::vector<std::string>& texts) {
  if (spec.list != (param.form == Form::kList) || param.nested) return false;
  if (!spec.type) return spec.list || param.form == Form::kObject;
  if (param.form == Form::kObject) return false;
  return std::all_of(param.cells.begin(), param.cells.end(),
                     [&](const auto& cell) { return fits(cell, *spec.type, texts); });
}

}  // namespace

Status check_params(std::span<const wire::ParamSpec> specs, const wire::ScoringRequest& request) {
  for (const auto& spec : specs) {
    const auto sent = std::find_if(request.params.begin(), request.params.end(),
                                   [&](const auto& param) { return param.name == spec.name; });
    if (sent == request.params.end() || fits(*sent, spec, request.texts)) continue;
    const auto type = spec.type ? wire::column_type_name(*spec.type) : "object";
    return invalid("params." + spec.name,
                   fmt::format("params.{}: must be {}{} by the model's signature",
                               printable(spec.name), spec.list ? "a list of " : "of type ", type));
  }
  return {};
}

}  // namespace strata::platform::inference
