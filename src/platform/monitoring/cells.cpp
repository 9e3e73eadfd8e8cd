#include <fmt/format.h>

#include "platform/monitoring/distance_json.hpp"
#include "platform/monitoring/series.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::monitoring {

namespace {

Json profiles_json(const std::map<std::string, drift::Profile>& profiles, bool with_bins) {
  Json out = Json::object();
  for (const auto& [name, profile] : profiles) {
    Json one = profile.to_json();
    if (with_bins) one.set("bins", profile.bins().to_json());
    out.set(name, std::move(one));
  }
  return out;
}

}  // namespace

namespace {

// "6h", as parse_duration() reads it.
std::string written(std::chrono::seconds length) {
  const std::int64_t seconds = length.count();
  for (const auto& [unit, size] : {std::pair('d', 86400), {'h', 3600}, {'m', 60}}) {
    if (seconds % size == 0) return fmt::format("{}{}", seconds / size, unit);
  }
  return fmt::format("{}s", seconds);
}

}  // namespace

Json Settings::to_json() const {
  return Json::object({{"reference", reference.empty() ? Json() : Json(reference)},
                       {"window", written(window)},
                       {"threshold", threshold},
                       {"minimum_rows", minimum},
                       {"false_alarms", false_alarms}});
}

std::string_view settings_schema() {
  return R"json({"type":"object","additionalProperties":false,"properties":{
    "reference":{"type":["string","null"]},
    "window":{"type":"string"},
    "threshold":{"type":"number","minimum":0.01,"maximum":10},
    "minimum_rows":{"type":"integer","minimum":50,"maximum":100000000},
    "false_alarms":{"type":"number","minimum":0.001,"maximum":100}}})json";
}

Result<Settings> Settings::with(const Json& json) const {
  static const Json schema = *parse_json(settings_schema());
  STRATA_TRY(wire::check_schema(schema, json));
  Settings out = *this;
  if (const Json* given = json.find("reference"))
    out.reference = given->is_null() ? "" : given->as_string();
  out.threshold = json.number("threshold", out.threshold);
  out.minimum = json.integer("minimum_rows", out.minimum);
  out.false_alarms = json.number("false_alarms", out.false_alarms);
  if (json["window"].is_null()) return out;
  const auto length = parse_duration(json.text("window"));
  if (!length) return invalid("window", "window: " + length.error().message);
  out.window = std::chrono::duration_cast<std::chrono::seconds>(*length);
  if (out.window < std::chrono::minutes(5) || out.window > std::chrono::hours(24 * 90)) {
    return invalid("window",
                   fmt::format("window: {} is not between 5m and 90d", show_duration(*length)));
  }
  return out;
}

Json Monitoring::Reference::to_json() const {
  return Json::object({{"number", number},
                       {"kind", kind},
                       {"source", source},
                       {"rows", rows},
                       {"made_us", made.micros},
                       {"features", profiles_json(profiles, true)}});
}

Result<std::shared_ptr<const Monitoring::Reference>> Monitoring::Reference::from_json(
    const Json& json) {
  auto out = std::make_shared<Reference>();
  out->number = json.integer("number");
  out->kind = json.text("kind");
  out->source = json.text("source");
  out->rows = json.integer("rows");
  out->made = Instant{json.integer("made_us")};
  for (const auto& [name, one] : json["features"].as_object()) {
    auto bins = drift::Bins::from_json(one["bins"]);
    if (!bins) return std::move(bins).error();
    auto profile =
        drift::Profile::from_json(std::make_shared<const drift::Bins>(*std::move(bins)), one);
    if (!profile) return std::move(profile).error();
    out->profiles.emplace(name, *std::move(profile));
  }
  return std::shared_ptr<const Reference>(std::move(out));
}

void Cell::merge(const Cell& other) {
  rows += other.rows;
  failed += other.failed;
  for (const auto& [name, profile] : other.profiles) {
    const auto [place, fresh] = profiles.emplace(name, profile);
    if (!fresh) place->second.merge(profile);
  }
}

Json Cell::to_json() const {
  return Json::object(
      {{"rows", rows}, {"failed", failed}, {"features", profiles_json(profiles, false)}});
}

Result<Cell> Cell::from_json(const Json& json,
                             const std::map<std::string, drift::Profile>& reference) {
  Cell out;
  out.rows = json.integer("rows");
  out.failed = json.integer("failed");
  for (const auto& [name, one] : json["features"].as_object()) {
    const auto known = reference.find(name);
    if (known == reference.end())
      return Error(Code::kDataLoss, "a monitored cell has a feature that its reference has not");
    auto profile = drift::Profile::from_json(known->second.shared_bins(), one);
    if (!profile) return std::move(profile).error();
    out.profiles.emplace(name, *std::move(profile));
  }
  return out;
}

void fold(const LogRows& rows, const std::map<std::string, drift::Profile>& reference,
          std::map<CellKey, Cell>& cells) {
  // The cell of each row; neighbouring rows mostly share one.
  std::vector<Cell*> places(rows.size());
  CellKey key;
  Cell* cell = nullptr;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    // Nobody was given what a shadow says, and its inputs are counted where they were answered.
    if (row < rows.shadow.size() && rows.shadow[row]) continue;
    const std::int64_t start = rows.times[row].millis() / kMinuteMs * kMinuteMs;
    if (cell == nullptr || start != key.start_ms || rows.versions[row] != key.version) {
      key = {rows.versions[row], start};
      cell = &cells[key];
    }
    places[row] = cell;
    ++cell->rows;
    if (rows.failed[row]) ++cell->failed;
  }
  for (const auto& column : rows.columns) {
    const auto known = reference.find(column.name);
    if (known == reference.end() || known->second.bins().kind() != column.kind) continue;
    const bool output = column.name.starts_with("outputs.");
    const auto bins = known->second.shared_bins();
    Cell* last = nullptr;
    drift::Profile* profile = nullptr;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      // A model that failed has no output; that is counted once, as a failure.
      if (places[row] == nullptr || (output && rows.failed[row])) continue;
      if (places[row] != last) {
        last = places[row];
        profile = &last->profiles.try_emplace(column.name, bins).first->second;
      }
      add_to(*profile, column, row);
    }
  }
}

}  // namespace strata::platform::monitoring
