#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "platform/monitoring/distance_json.hpp"
#include "platform/monitoring/monitoring.hpp"
#include "platform/monitoring/sample.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::monitoring {

using drift::Kind;

namespace {

Json undefined(const SampleColumn& column, std::string_view reason) {
  return Json::object({{"name", column.name},
                       {"kind", kind_name(column.kind)},
                       {"defined", false},
                       {"reason", reason}});
}

std::vector<double> finite_of(const SampleColumn& column) {
  std::vector<double> out;
  std::copy_if(column.numbers.begin(), column.numbers.end(), std::back_inserter(out),
               [](double v) { return std::isfinite(v); });
  return out;
}

Json compare_columns(const SampleColumn& reference, const SampleColumn& current) {
  if (reference.kind != current.kind)
    return undefined(reference, "one side has numbers and the other texts");
  auto bins = bins_of(reference);
  if (!bins) return undefined(reference, "no values in the reference");
  const auto shared = std::make_shared<const drift::Bins>(*std::move(bins));
  const auto before = profile_of(shared, reference);
  const auto now = profile_of(shared, current);
  Json out = Json::object({{"name", reference.name}, {"kind", kind_name(reference.kind)}});
  add_distance(out, before, now);
  if (reference.kind != Kind::kNumber || !out.boolean("defined")) return out;
  // All values are at hand, so what bins can only approximate is told exactly.
  const auto exact = drift::sample_distance(finite_of(reference), finite_of(current));
  out.set("kolmogorov_smirnov", exact.kolmogorov_smirnov);
  out.set("kolmogorov_smirnov_p_value", exact.p_value);
  const double deviation =
      before.moments().count() > 1 ? std::sqrt(before.moments().variance(0)) : 0;
  out.set("wasserstein", deviation > 0 ? Json(exact.wasserstein / deviation) : Json());
  return out;
}

}  // namespace

std::string_view compare_schema() {
  return R"json({"type":"object","required":["reference","current"],"additionalProperties":false,
  "properties":{
    "reference":{"type":"object","required":["columns"],"additionalProperties":false,
      "properties":{"columns":{"type":"object",
        "additionalProperties":{"type":"array"}}}},
    "current":{"type":"object","required":["columns"],"additionalProperties":false,
      "properties":{"columns":{"type":"object",
        "additionalProperties":{"type":"array"}}}}}})json";
}

Result<Json> compare(const Json& request) {
  static const Json schema = *parse_json(compare_schema());
  STRATA_TRY(wire::check_schema(schema, request));
  if (request["reference"]["columns"].size() == 0) {
    return invalid("reference.columns",
                   "reference.columns: has none; give at least one column, as {\"x\": [1, 2]}");
  }
  const auto reference = columns_of_json("reference", request["reference"]["columns"]);
  if (!reference) return reference.error();
  const auto current = columns_of_json("current", request["current"]["columns"]);
  if (!current) return current.error();
  Json columns = Json::array();
  for (const auto& column : *reference) {
    const auto same =
        std::find_if(current->begin(), current->end(),
                     [&](const SampleColumn& other) { return other.name == column.name; });
    columns.push(same == current->end() ? undefined(column, "no such column in the current data")
                                        : compare_columns(column, *same));
  }
  return Json::object({{"columns", std::move(columns)}});
}

}  // namespace strata::platform::monitoring
