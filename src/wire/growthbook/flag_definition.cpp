#include "wire/growthbook/flag_definition.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/growthbook/regex.hpp"

namespace strata::wire::growthbook {

namespace {

using Names = std::vector<std::string>;

// How far from 1 weights may sum up, for thirds that people write.
constexpr double kWeightSlack = 0.001;
// Chains longer than this are refused, well before the evaluator gives them up.
constexpr int kMaxChain = 32;

const Names kFlagFields = {"description", "default", "rules"};
const Names kRuleFields = {"id",
                           "description",
                           "condition",
                           "parentConditions",
                           "force",
                           "coverage",
                           "ramp",
                           "hashAttribute",
                           "fallbackAttribute",
                           "seed",
                           "variations",
                           "hashVersion",
                           "weights",
                           "key",
                           "name",
                           "meta",
                           "phase",
                           "bucketVersion",
                           "minBucketVersion",
                           "disableStickyBucketing",
                           "layer"};
const Names kOperators = {"$or",   "$nor",  "$and",       "$not",     "$veq",        "$vne",
                          "$vgt",  "$vgte", "$vlt",       "$vlte",    "$eq",         "$ne",
                          "$lt",   "$lte",  "$gt",        "$gte",     "$exists",     "$in",
                          "$ini",  "$nin",  "$nini",      "$inGroup", "$notInGroup", "$all",
                          "$alli", "$size", "$elemMatch", "$regex",   "$regexi",     "$type"};

bool is_experiment(const Json& rule) {
  return rule.find("variations") != nullptr;
}

Status check_names(const Json& object, const Names& known, const std::string& field) {
  if (!object.is_object())
    return invalid(field, fmt::format("{}: must be an object, not {}", field, object.type_name()));
  std::set<std::string> seen;
  for (const auto& [name, value] : object.as_object()) {
    const std::string at = field.empty() ? printable(name) : field + "." + printable(name);
    if (!seen.insert(name).second) return invalid(at, fmt::format("{}: stands there twice", at));
    if (std::ranges::find(known, name) != known.end()) continue;
    const auto near = did_you_mean(name, known);
    return invalid(at, near.empty()
                           ? fmt::format("{}: no such field; there are {}", at, join(known, ", "))
                           : fmt::format("{}: no such field. Did you mean '{}'?", at, near));
  }
  return {};
}

Status check_key(std::string_view key, const std::string& field) {
  const bool fits =
      !key.empty() && key.size() <= kMaxFlagKey && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-_.:|").contains(c);
      });
  if (fits) return {};
  return invalid(field, fmt::format("{}: '{}' ({} bytes) must be 1 to {} letters, digits and -_.:|",
                                    field, printable(key, 40), key.size(), kMaxFlagKey));
}

// Operators that are there, and patterns that can be run, at any depth.
Status check_condition(const Json& condition, const std::string& field) {
  if (condition.is_array()) {
    for (const Json& one : condition.as_array())
      STRATA_TRY(check_condition(one, field));
  }
  if (!condition.is_object()) return {};
  for (const auto& [name, value] : condition.as_object()) {
    const std::string at = field + "." + printable(name);
    if (name.starts_with('$') && std::ranges::find(kOperators, name) == kOperators.end()) {
      const auto near = did_you_mean(name, kOperators);
      return invalid(at, fmt::format("{}: no such operator{}", at,
                                     near.empty() ? "" : ". Did you mean '" + near + "'?"));
    }
    if (name == "$regex" || name == "$regexi") {
      if (!value.is_string()) return invalid(at, fmt::format("{}: must be a text", at));
      const auto regex = Regex::compile(value.as_string(), name == "$regexi");
      if (regex) continue;
      return invalid(at, fmt::format("{}: this pattern cannot be run in bounded time: {}; write it "
                                     "without, or use $in",
                                     at, regex.error().message));
    }
    STRATA_TRY(check_condition(value, at));
  }
  return {};
}

Status check_share(const Json& value, const std::string& field) {
  if (value.is_number() && value.as_double() > 0 && value.as_double() <= 1) return {};
  return invalid(field, fmt::format("{}: {} must be a share of the traffic above 0 and up to 1; to "
                                    "give nobody the rule, remove it",
                                    field, printable(value.dump(), 40)));
}

Status check_ramp(const Json& ramp, const std::string& field) {
  if (!ramp.is_array() || ramp.size() == 0)
    return invalid(field, fmt::format("{}: must be a list of {{at, coverage}}", field));
  std::optional<Instant> before;
  double least = 0;
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    const Json& step = ramp.as_array()[i];
    const std::string at = fmt::format("{}[{}]", field, i);
    STRATA_TRY(check_names(step, {"at", "coverage"}, at));
    STRATA_TRY(check_share(step["coverage"], at + ".coverage"));
    const auto time = parse_rfc3339(step.text("at"));
    if (!time) return invalid(at + ".at", at + ".at: must be a time such as 2026-01-31T09:00:00Z");
    if (before && *time <= *before)
      return invalid(at + ".at", at + ".at: must be later than the step before it");
    if (step.number("coverage") < least)
      return invalid(at + ".coverage",
                     at + ".coverage: must not be less than before, or ids would leave the rule");
    before = *time;
    least = step.number("coverage");
  }
  return {};
}

Status check_variations(const Json& rule, const std::string& field) {
  const Json& variations = rule["variations"];
  if (!variations.is_array() || variations.size() < 2)
    return invalid(field + ".variations",
                   fmt::format("{}.variations: must be a list of at least two values", field));
  const Json* const weights = rule.find("weights");
  if (weights == nullptr) return {};
  const std::string at = field + ".weights";
  if (!weights->is_array() || weights->size() != variations.size())
    return invalid(at, fmt::format("{}: must be a list of {} numbers, one for each variation", at,
                                   variations.size()));
  double sum = 0;
  for (const Json& weight : weights->as_array()) {
    if (!weight.is_number() || weight.as_double() < 0)
      return invalid(at, fmt::format("{}: {} is no share from 0 to 1", at, weight.dump()));
    sum += weight.as_double();
  }
  if (std::abs(sum - 1) <= kWeightSlack) return {};
  return invalid(at, fmt::format("{}: they sum to {}, not to 1; to give the experiment less of the "
                                 "traffic use coverage",
                                 at, sum));
}

Status check_layer(const Json& layer, const std::string& field) {
  STRATA_TRY(check_names(layer, {"name", "range"}, field));
  STRATA_TRY(check_key(layer.text("name"), field + ".name"));
  const Json& range = layer["range"];
  const bool two = range.is_array() && range.size() == 2 && range.as_array()[0].is_number() &&
                   range.as_array()[1].is_number();
  if (two) {
    const double from = range.as_array()[0].as_double();
    const double to = range.as_array()[1].as_double();
    if (from >= 0 && from < to && to <= 1) return {};
  }
  return invalid(field + ".range",
                 fmt::format("{}.range: must be [from, to] with 0 <= from < to <= 1", field));
}

Status check_rule(const Json& rule, const std::string& field) {
  STRATA_TRY(check_names(rule, kRuleFields, field));
  if (is_experiment(rule) == (rule.find("force") != nullptr))
    return invalid(field, fmt::format("{}: must have either force or variations", field));
  if (rule.find("coverage") != nullptr && rule.find("ramp") != nullptr)
    return invalid(field + ".ramp", fmt::format("{}.ramp: leave out coverage, or ramp", field));
  if (const Json* const value = rule.find("condition")) {
    if (!value->is_object())
      return invalid(field + ".condition", field + ".condition: must be an object");
    STRATA_TRY(check_condition(*value, field + ".condition"));
  }
  if (const Json* const value = rule.find("coverage"))
    STRATA_TRY(check_share(*value, field + ".coverage"));
  if (const Json* const value = rule.find("ramp")) STRATA_TRY(check_ramp(*value, field + ".ramp"));
  if (const Json* const value = rule.find("layer"))
    STRATA_TRY(check_layer(*value, field + ".layer"));
  const Json* const version = rule.find("hashVersion");
  if (version != nullptr && *version != Json(1) && *version != Json(2))
    return invalid(field + ".hashVersion", field + ".hashVersion: must be 1 or 2");
  if (!is_experiment(rule)) return {};
  STRATA_TRY(check_key(rule.text("key"), field + ".key"));
  return check_variations(rule, field);
}

Status check_parents(const Json& parents, const std::string& field) {
  if (parents.is_null()) return {};
  if (!parents.is_array()) return invalid(field, field + ": must be a list");
  for (std::size_t i = 0; i < parents.size(); ++i) {
    const Json& parent = parents.as_array()[i];
    const std::string at = fmt::format("{}[{}]", field, i);
    STRATA_TRY(check_names(parent, {"id", "condition", "gate"}, at));
    STRATA_TRY(check_key(parent.text("id"), at + ".id"));
    STRATA_TRY(check_condition(parent["condition"], at + ".condition"));
  }
  return {};
}

// Walks every chain of prerequisites from `key`. Each flag is walked once.
Status check_chain(const FlagDefinitions& flags, const std::string& key, Names& chain,
                   std::map<std::string, int>& depths, int& depth) {
  depth = 1;
  if (const auto known = depths.find(key); known != depths.end()) {
    depth = known->second;
    return {};
  }
  const std::string field = chain.empty() ? key : chain.back() + ": parentConditions";
  const bool circle = std::ranges::find(chain, key) != chain.end();
  chain.push_back(key);
  if (circle)
    return invalid(field, fmt::format("{}: the prerequisites lead in a circle: {}", field,
                                      join(chain, " -> ")));
  const auto flag = flags.find(key);
  if (flag == flags.end())
    return invalid(field, fmt::format("{}: there is no flag '{}'; apply it first", field, key));
  for (const Json& rule :
       flag->second["rules"].is_array() ? flag->second["rules"].as_array() : Json::Array()) {
    if (!rule["parentConditions"].is_array()) continue;
    for (const Json& parent : rule["parentConditions"].as_array()) {
      int below = 0;
      STRATA_TRY(check_chain(flags, parent.text("id"), chain, depths, below));
      depth = std::max(depth, below + 1);
    }
  }
  chain.pop_back();
  if (depth > kMaxChain)
    return invalid(
        key, fmt::format("{}: its prerequisites are {} deep, {} may be", key, depth, kMaxChain));
  depths[key] = depth;
  return {};
}

// What an experiment keeps of a layer.
struct Claim {
  std::string who;
  std::string attribute;
  double from;
  double to;
};

Status claim(std::vector<Claim>& claims, Claim mine, const std::string& layer) {
  for (const Claim& other : claims) {
    const std::string field = mine.who + ".layer";
    if (other.attribute != mine.attribute)
      return invalid(field, fmt::format("{}: layer '{}' splits by '{}' in {}, and by '{}' here; "
                                        "use one hashAttribute",
                                        field, layer, other.attribute, other.who, mine.attribute));
    if (other.from < mine.to && mine.from < other.to)
      return invalid(
          field, fmt::format("{}: [{}, {}] overlaps [{}, {}] of {} in layer '{}'; give "
                             "them ranges that share nothing",
                             field, mine.from, mine.to, other.from, other.to, other.who, layer));
  }
  claims.push_back(std::move(mine));
  return {};
}

Json filter(std::string seed, std::string attribute, Json range) {
  Json ranges = Json::array();
  ranges.push(std::move(range));
  return Json::object({{"seed", std::move(seed)},
                       {"attribute", std::move(attribute)},
                       {"hashVersion", 2},
                       {"ranges", std::move(ranges)}});
}

double coverage_at(const Json& ramp, Instant now) {
  double coverage = 0;
  for (const Json& step : ramp.as_array()) {
    if (parse_rfc3339(step.text("at")).value() <= now) coverage = step.number("coverage");
  }
  return coverage;
}

Json compiled(const Json& rule, const std::vector<Holdout>& holdouts, Instant now) {
  Json out = Json::object();
  for (const auto& [name, value] : rule.as_object()) {
    if (name != "layer" && name != "ramp" && name != "description") out.set(name, value);
  }
  if (rule.find("ramp") != nullptr) out.set("coverage", coverage_at(rule["ramp"], now));
  if (rule.find("hashVersion") == nullptr) out.set("hashVersion", 2);
  Json filters = Json::array();
  if (rule.find("layer") != nullptr) {
    filters.push(filter("layer:" + rule["layer"].text("name"), rule.text("hashAttribute", "id"),
                        rule["layer"]["range"]));
  }
  for (const Holdout& holdout : is_experiment(rule) ? holdouts : std::vector<Holdout>()) {
    Json rest = Json::array();
    rest.push(holdout.coverage);
    rest.push(1);
    filters.push(filter("holdout:" + holdout.key, holdout.hash_attribute, std::move(rest)));
  }
  if (filters.size() > 0) out.set("filters", std::move(filters));
  return out;
}

}  // namespace

Status check_flag(std::string_view key, const Json& definition) {
  STRATA_TRY(check_key(key, "key"));
  STRATA_TRY(check_names(definition, kFlagFields, ""));
  if (definition.find("default") == nullptr)
    return invalid("default", "default: say the value where no rule fits");
  const Json& rules = definition["rules"];
  if (rules.is_null()) return {};
  if (!rules.is_array() || rules.size() > kMaxRules)
    return invalid("rules", fmt::format("rules: must be a list of at most {} rules", kMaxRules));
  std::set<std::string> ids;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Json& rule = rules.as_array()[i];
    const std::string field = fmt::format("rules[{}]", i);
    STRATA_TRY(check_rule(rule, field));
    STRATA_TRY(check_parents(rule["parentConditions"], field + ".parentConditions"));
    const std::string id = rule.text("id");
    if (!id.empty() && !ids.insert(id).second)
      return invalid(field + ".id",
                     fmt::format("{}.id: an earlier rule has '{}' too", field, printable(id, 40)));
  }
  return {};
}

Status check_flags(const FlagDefinitions& flags) {
  std::map<std::string, int> depths;
  std::map<std::string, std::string> experiments;
  std::map<std::string, std::vector<Claim>> layers;
  for (const auto& [key, flag] : flags) {
    Names chain;
    int depth = 0;
    STRATA_TRY(check_chain(flags, key, chain, depths, depth));
    const Json& rules = flag["rules"];
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const Json& rule = rules.as_array()[i];
      const std::string who = fmt::format("{}: rules[{}]", key, i);
      if (is_experiment(rule)) {
        const auto [first, fresh] = experiments.try_emplace(rule.text("key"), who);
        if (!fresh)
          return invalid(who + ".key", fmt::format("{}.key: '{}' is the experiment of {} already; "
                                                   "choose another key",
                                                   who, rule.text("key"), first->second));
      }
      if (rule.find("layer") == nullptr) continue;
      const auto& range = rule["layer"]["range"].as_array();
      const std::string layer = rule["layer"].text("name");
      STRATA_TRY(
          claim(layers[layer],
                {who, rule.text("hashAttribute", "id"), range[0].as_double(), range[1].as_double()},
                layer));
    }
  }
  return {};
}

Json payload_of(const FlagDefinitions& flags, const std::vector<Holdout>& holdouts, Instant now) {
  Json features = Json::object();
  for (const auto& [key, flag] : flags) {
    Json feature = Json::object({{"defaultValue", flag["default"]}});
    if (flag["rules"].size() > 0) {
      Json rules = Json::array();
      for (const Json& rule : flag["rules"].as_array())
        rules.push(compiled(rule, holdouts, now));
      feature.set("rules", std::move(rules));
    }
    features.set(key, std::move(feature));
  }
  return Json::object({{"features", std::move(features)}});
}

}  // namespace strata::wire::growthbook
