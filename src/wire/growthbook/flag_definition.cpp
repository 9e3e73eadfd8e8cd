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

constexpr std::size_t kMaxText = 1000;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// Whether an operator is given what it can compare with; a wrong type would match nobody, silently.
Status check_operand(std::string_view name, const Json& value, const std::string& at) {
  const auto must = [&](bool fits, std::string_view what) -> Status {
    if (fits) return {};
    return invalid(at, fmt::format("{}: must be {}, not {}", at, what, value.type_name()));
  };
  if (is_one_of(name, {"$in", "$nin", "$ini", "$nini", "$all", "$alli"}))
    return must(value.is_array(), "a list");
  if (is_one_of(name, {"$or", "$nor", "$and"})) {
    const bool objects =
        value.is_array() && value.size() > 0 &&
        std::ranges::all_of(value.as_array(), [](const Json& one) { return one.is_object(); });
    return must(objects, "a list of conditions");
  }
  if (is_one_of(name, {"$inGroup", "$notInGroup"}))
    return must(value.is_string(), "the name of a saved group");
  if (name == "$exists") return must(value.is_bool(), "true or false");
  if (name == "$type") {
    const bool known =
        value.is_string() && is_one_of(value.as_string(), {"string", "number", "boolean", "array",
                                                           "object", "null", "undefined"});
    return must(known, "string, number, boolean, array, object, null or undefined");
  }
  if (name == "$size") return must(value.is_number() || value.is_object(), "a number");
  if (name == "$elemMatch") return must(value.is_object(), "a condition");
  if (name.starts_with("$v")) return must(value.is_string(), "a version as text");
  if (is_one_of(name, {"$lt", "$lte", "$gt", "$gte"}))
    return must(value.is_string() || value.is_number(), "a number or a text");
  return {};
}

// Operators that are there with operands that they take, and patterns that can be run, at any
// depth.
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
    STRATA_TRY(check_operand(name, value, at));
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
  int carrying = 0;
  for (const Json& weight : weights->as_array()) {
    if (!weight.is_number() || weight.as_double() < 0)
      return invalid(at, fmt::format("{}: {} is no share from 0 to 1", at, weight.dump()));
    sum += weight.as_double();
    carrying += weight.as_double() > 0 ? 1 : 0;
  }
  if (carrying < 2)
    return invalid(at, fmt::format("{}: fewer than two variations get traffic, so nothing could "
                                   "ever be decided; use force for one value for all",
                                   at));
  if (std::abs(sum - 1) <= kWeightSlack) return {};
  return invalid(at, fmt::format("{}: they sum to {}, not to 1; to give the experiment less of the "
                                 "traffic use coverage",
                                 at, sum));
}

// The key by which results and sticky buckets know a variation: its own, or its index.
std::string variation_key(const Json& rule, std::size_t index) {
  const Json& meta = rule["meta"];
  const std::string own = meta.is_array() ? meta.as_array()[index].text("key") : "";
  return own.empty() ? std::to_string(index) : own;
}

Status check_meta(const Json& rule, const std::string& field) {
  const Json* const meta = rule.find("meta");
  if (meta == nullptr) return {};
  const std::string at = field + ".meta";
  if (!meta->is_array() || meta->size() != rule["variations"].size())
    return invalid(at, fmt::format("{}: must be a list of {} objects, one for each variation", at,
                                   rule["variations"].size()));
  for (std::size_t i = 0; i < meta->size(); ++i) {
    const Json& one = meta->as_array()[i];
    const std::string here = fmt::format("{}[{}]", at, i);
    STRATA_TRY(check_names(one, {"key", "name", "passthrough"}, here));
    if (one.find("key") != nullptr) STRATA_TRY(check_key(one.text("key"), here + ".key"));
    if (const Json* const name = one.find("name"); name != nullptr && !name->is_string())
      return invalid(here + ".name", here + ".name: must be a text");
    if (const Json* const pass = one.find("passthrough"); pass != nullptr && !pass->is_bool())
      return invalid(here + ".passthrough", here + ".passthrough: must be true or false");
  }
  std::set<std::string> keys;
  for (std::size_t i = 0; i < meta->size(); ++i) {
    if (!keys.insert(variation_key(rule, i)).second)
      return invalid(at, fmt::format("{}: two variations have the key '{}'; a variation without a "
                                     "key has its index",
                                     at, variation_key(rule, i)));
  }
  return {};
}

// The types of the fields that stand for themselves, and where they may stand.
Status check_plain_fields(const Json& rule, const std::string& field) {
  for (const auto& [name, value] : rule.as_object()) {
    const std::string at = field + "." + name;
    if (is_one_of(name, {"id", "description", "hashAttribute", "fallbackAttribute", "seed", "name",
                         "phase"})) {
      const bool fits =
          value.is_string() && !value.as_string().empty() && value.as_string().size() <= kMaxText;
      if (!fits)
        return invalid(at, fmt::format("{}: must be a text of 1 to {} bytes", at, kMaxText));
    }
    if (name == "bucketVersion" || name == "minBucketVersion") {
      if (!value.is_int() || value.as_int() < 0 || value.as_int() > 1000)
        return invalid(at, at + ": must be a whole number from 0 to 1000");
    }
    if (name == "disableStickyBucketing" && !value.is_bool())
      return invalid(at, at + ": must be true or false");
    const bool of_experiment = is_one_of(name, {"key", "weights", "meta", "phase", "bucketVersion",
                                                "minBucketVersion", "disableStickyBucketing"});
    if (of_experiment && !is_experiment(rule))
      return invalid(at, fmt::format("{}: belongs to a rule with variations", at));
  }
  return {};
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
  STRATA_TRY(check_plain_fields(rule, field));
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
  STRATA_TRY(check_variations(rule, field));
  return check_meta(rule, field);
}

// A prerequisite is compared as {"value": ...}; any other name would never be there.
Status check_parent_condition(const Json& condition, const std::string& field) {
  if (!condition.is_object() || condition.size() == 0)
    return invalid(field, field + R"(: must be a condition such as {"value": true})");
  for (const auto& [name, value] : condition.as_object()) {
    if (name == "value" || name.starts_with("value.") || name.starts_with('$')) continue;
    return invalid(field, fmt::format("{}.{}: a prerequisite has only its value; write \"value\"",
                                      field, printable(name, 40)));
  }
  return check_condition(condition, field);
}

Status check_parents(const Json& parents, const std::string& field) {
  if (parents.is_null()) return {};
  if (!parents.is_array()) return invalid(field, field + ": must be a list");
  for (std::size_t i = 0; i < parents.size(); ++i) {
    const Json& parent = parents.as_array()[i];
    const std::string at = fmt::format("{}[{}]", field, i);
    STRATA_TRY(check_names(parent, {"id", "condition", "gate"}, at));
    STRATA_TRY(check_key(parent.text("id"), at + ".id"));
    STRATA_TRY(check_parent_condition(parent["condition"], at + ".condition"));
    if (const Json* const gate = parent.find("gate"); gate != nullptr && !gate->is_bool())
      return invalid(at + ".gate", at + ".gate: must be true or false");
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

// The saved groups that a condition names, at any depth.
void add_groups(const Json& condition, std::set<std::string>& names) {
  if (condition.is_array()) {
    for (const Json& one : condition.as_array())
      add_groups(one, names);
  }
  if (!condition.is_object()) return;
  for (const auto& [name, value] : condition.as_object()) {
    const bool group = name == "$inGroup" || name == "$notInGroup";
    if (group && value.is_string()) names.insert(value.as_string());
    add_groups(value, names);
  }
}

std::set<std::string> groups_of(const Json& flag) {
  std::set<std::string> names;
  for (const Json& rule : flag["rules"].is_array() ? flag["rules"].as_array() : Json::Array()) {
    add_groups(rule["condition"], names);
    add_groups(rule["parentConditions"], names);
  }
  return names;
}

Status check_groups(const std::string& key, const Json& flag, const SavedGroups& groups) {
  for (const auto& name : groups_of(flag)) {
    if (groups.contains(name)) continue;
    return invalid(key + ": condition.$inGroup",
                   fmt::format("{}: condition.$inGroup: there is no saved group '{}'; make it "
                               "first, or leave it out of the condition",
                               key, printable(name, 40)));
  }
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

// The times of all ramps.
std::vector<Instant> steps_of(const FlagDefinitions& flags) {
  std::vector<Instant> out;
  for (const auto& [key, flag] : flags) {
    for (const Json& rule : flag["rules"].is_array() ? flag["rules"].as_array() : Json::Array()) {
      if (!rule["ramp"].is_array()) continue;
      for (const Json& step : rule["ramp"].as_array())
        out.push_back(parse_rfc3339(step.text("at")).value());
    }
  }
  return out;
}

// The share of a forced value as a range: of an id that falls exactly on a coverage the SDKs for
// JavaScript and Python think differently, of a range they do not.
void as_range(Json& rule) {
  Json range = Json::array();
  range.push(0);
  range.push(rule["coverage"]);
  std::erase_if(rule.as_object(), [](const auto& member) { return member.first == "coverage"; });
  rule.set("range", std::move(range));
}

Json compiled(const Json& rule, const std::vector<Holdout>& holdouts, Instant now) {
  Json out = Json::object();
  for (const auto& [name, value] : rule.as_object()) {
    if (name != "layer" && name != "ramp" && name != "description") out.set(name, value);
  }
  if (rule.find("ramp") != nullptr) out.set("coverage", coverage_at(rule["ramp"], now));
  if (!is_experiment(rule) && out.find("coverage") != nullptr) as_range(out);
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
  if (const Json* const text = definition.find("description");
      text != nullptr && (!text->is_string() || text->as_string().size() > kMaxText))
    return invalid("description",
                   fmt::format("description: must be a text of at most {} bytes", kMaxText));
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

Status check_group(std::string_view name, const Json& definition) {
  STRATA_TRY(check_key(name, "name"));
  STRATA_TRY(check_names(definition, {"description", "values"}, ""));
  const Json& values = definition["values"];
  if (!values.is_array() || values.size() > kMaxGroupValues)
    return invalid("values",
                   fmt::format("values: must be a list of at most {} values", kMaxGroupValues));
  for (const Json& value : values.as_array()) {
    if (!value.is_string() && !value.is_number())
      return invalid("values", fmt::format("values: {} is no text and no number",
                                           printable(value.dump(), 40)));
  }
  return {};
}

Result<Holdout> read_holdout(std::string_view key, const Json& definition) {
  STRATA_TRY(check_key(key, "name"));
  STRATA_TRY(check_names(definition, {"description", "coverage", "hashAttribute"}, ""));
  const Json& coverage = definition["coverage"];
  if (!coverage.is_number() || coverage.as_double() <= 0 || coverage.as_double() >= 1)
    return invalid("coverage", fmt::format("coverage: {} must be a share above 0 and below 1; a "
                                           "holdout of all would leave no experiment any traffic",
                                           printable(coverage.dump(), 40)));
  const Json* const attribute = definition.find("hashAttribute");
  if (attribute != nullptr && (!attribute->is_string() || attribute->as_string().empty()))
    return invalid("hashAttribute", "hashAttribute: must be the name of an attribute");
  return Holdout{std::string(key), coverage.as_double(), definition.text("hashAttribute", "id")};
}

Status check_flags(const FlagDefinitions& flags, const SavedGroups& groups) {
  std::map<std::string, int> depths;
  std::map<std::string, std::string> experiments;
  std::map<std::string, std::vector<Claim>> layers;
  for (const auto& [key, flag] : flags) {
    Names chain;
    int depth = 0;
    STRATA_TRY(check_chain(flags, key, chain, depths, depth));
    STRATA_TRY(check_groups(key, flag, groups));
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

Json payload_of(const FlagDefinitions& flags, const std::vector<Holdout>& holdouts, Instant now,
                const SavedGroups& groups) {
  Json features = Json::object();
  std::set<std::string> named;
  for (const auto& [key, flag] : flags) {
    Json feature = Json::object({{"defaultValue", flag["default"]}});
    if (flag["rules"].size() > 0) {
      Json rules = Json::array();
      for (const Json& rule : flag["rules"].as_array())
        rules.push(compiled(rule, holdouts, now));
      feature.set("rules", std::move(rules));
    }
    features.as_object().emplace_back(key, std::move(feature));
    named.merge(groups_of(flag));
  }
  Json saved = Json::object();
  for (const auto& name : named) {
    if (const auto group = groups.find(name); group != groups.end())
      saved.set(name, group->second["values"]);
  }
  Json out = Json::object({{"features", std::move(features)}});
  if (saved.size() > 0) out.set("savedGroups", std::move(saved));
  return out;
}

std::optional<Instant> next_step(const FlagDefinitions& flags, Instant now) {
  std::optional<Instant> next;
  for (const Instant at : steps_of(flags)) {
    if (at > now && (!next || at < *next)) next = at;
  }
  return next;
}

std::optional<Instant> last_step(const FlagDefinitions& flags, Instant now) {
  std::optional<Instant> last;
  for (const Instant at : steps_of(flags)) {
    if (at <= now && (!last || at > *last)) last = at;
  }
  return last;
}

}  // namespace strata::wire::growthbook
