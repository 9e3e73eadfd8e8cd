#include "wire/growthbook/evaluate.hpp"

#include <algorithm>
#include <array>

#include "wire/growthbook/bucket.hpp"
#include "wire/growthbook/js_value.hpp"

namespace strata::wire::growthbook {

namespace {

// Deeper chains of prerequisites count as a circle.
constexpr std::size_t kMaxChain = 64;
// What one feature of a chain costs, in steps of conditions.
constexpr std::int64_t kFeatureSteps = 100;

FeatureResult plain(Json value, std::string_view source, std::string rule = "") {
  return {std::move(value), std::string(source), std::move(rule), {}, {}};
}

int integer_or(const Json& value, int fallback) {
  return js_truthy(value) ? static_cast<int>(std::clamp(js_number(value), -1e9, 1e9)) : fallback;
}

BucketRange range_of(const Json& range) {
  if (!range.is_array() || range.size() != 2) return {0, 0};
  return {range.as_array()[0].as_double(), range.as_array()[1].as_double()};
}

std::vector<double> numbers(const Json& list) {
  std::vector<double> out;
  if (!list.is_array()) return out;
  for (const Json& one : list.as_array())
    out.push_back(one.as_double());
  return out;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.as_string() : js_stringify(value);
}

std::string sticky_key(const Json& experiment, int version) {
  return experiment.text("key") + "__" + std::to_string(version);
}

std::vector<BucketRange> ranges_of(const Json& experiment) {
  const auto count = static_cast<int>(experiment["variations"].size());
  if (!experiment["ranges"].is_array()) {
    return bucket_ranges(count, experiment.number("coverage", 1), numbers(experiment["weights"]));
  }
  std::vector<BucketRange> out;
  for (const Json& range : experiment["ranges"].as_array())
    out.push_back(range_of(range));
  return out;
}

}  // namespace

Payload::Payload(Json document) : document_(std::move(document)) {
  const Json& features = document_["features"];
  if (features.is_object()) {
    for (const auto& [key, feature] : features.as_object())
      features_.insert_or_assign(key, &feature);
  }
  patterns_.add(document_);
}

const Json* Payload::feature(const std::string& key) const {
  const auto found = features_.find(key);
  return found == features_.end() ? nullptr : found->second;
}

Json FeatureResult::to_json() const {
  Json out = Json::object({{"value", value},
                           {"on", js_truthy(value)},
                           {"off", !js_truthy(value)},
                           {"source", source},
                           {"ruleId", rule_id}});
  if (!experiment.is_null()) out.set("experiment", experiment);
  if (!experiment_result.is_null()) out.set("experimentResult", experiment_result);
  return out;
}

Evaluation::Evaluation(const Payload& payload, Subject& subject)
    : payload_(payload),
      subject_(subject) {
  context_.saved_groups = &payload.document()["savedGroups"];
  context_.patterns = &payload.patterns();
}

FeatureResult Evaluation::feature(const std::string& key) {
  chain_.clear();
  return in_chain(key);
}

Json Evaluation::run(const Json& experiment) {
  chain_.clear();
  return run(experiment, {});
}

FeatureResult Evaluation::in_chain(const std::string& key) {
  context_.steps_left -= kFeatureSteps;
  if (chain_.size() >= kMaxChain || exhausted() || !chain_.insert(key).second)
    return plain({}, "cyclicPrerequisite");
  if (const Json* forced = subject_.forced_features.find(key)) return plain(*forced, "override");
  const Json* const feature = payload_.feature(key);
  if (feature == nullptr || !feature->is_object()) return plain({}, "unknownFeature");
  const Json& rules = (*feature)["rules"];
  if (rules.is_array()) {
    const auto before = chain_;
    for (const Json& rule : rules.as_array()) {
      chain_ = before;
      if (auto result = by_rule(key, rule)) return *std::move(result);
    }
  }
  return plain((*feature)["defaultValue"], "defaultValue");
}

std::optional<FeatureResult> Evaluation::by_rule(const std::string& key, const Json& rule) {
  switch (parents(rule["parentConditions"])) {
    case Parents::kCyclic:
      return plain({}, "cyclicPrerequisite");
    case Parents::kBlocked:
      return plain({}, "prerequisite");
    case Parents::kUnmet:
      return {};
    case Parents::kMet:
      break;
  }
  if (filtered_out(rule["filters"])) return {};
  if (const Json* const force = rule.find("force")) {
    if (!meets(subject_.attributes, rule["condition"], context_) || !in_rollout(key, rule))
      return {};
    if (rule["tracks"].is_array()) {
      for (const Json& track : rule["tracks"].as_array())
        exposures_.push_back({track["experiment"], track["result"]});
    }
    return plain(*force, "force", rule.text("id"));
  }
  if (!rule["contextualVariations"].is_array() && !rule["variations"].is_array()) return {};
  Json experiment = experiment_of(key, rule);
  Json result = run(experiment, key);
  if (!result.boolean("inExperiment") || result.boolean("passthrough")) return {};
  // What led to a variation that was forced is no part of the experiment.
  if (!result.boolean("hashUsed") && experiment.find("contextualBandit") != nullptr)
    std::erase_if(experiment.as_object(),
                  [](const auto& member) { return member.first == "contextualBandit"; });
  FeatureResult out = plain(result["value"], "experiment", rule.text("id"));
  out.experiment = std::move(experiment);
  out.experiment_result = std::move(result);
  return out;
}

Evaluation::Parents Evaluation::parents(const Json& conditions) {
  if (!conditions.is_array()) return Parents::kMet;
  const auto before = chain_;
  for (const Json& parent : conditions.as_array()) {
    chain_ = before;
    const auto result = in_chain(parent.text("id"));
    chain_ = before;
    if (result.source == "cyclicPrerequisite") return Parents::kCyclic;
    const Json seen = Json::object({{"value", result.value}});
    if (meets(seen, parent["condition"], context_)) continue;
    return parent.boolean("gate") ? Parents::kBlocked : Parents::kUnmet;
  }
  return Parents::kMet;
}

bool Evaluation::filtered_out(const Json& filters) {
  if (!filters.is_array()) return false;
  return std::ranges::any_of(filters.as_array(), [&](const Json& filter) {
    const auto by = hashed(filter["attribute"], {});
    if (!js_truthy(by.value)) return true;
    const auto n =
        bucket_of(filter.text("seed"), js_text(by.value), integer_or(filter["hashVersion"], 2));
    if (!n || !filter["ranges"].is_array()) return true;
    return std::ranges::none_of(filter["ranges"].as_array(),
                                [&](const Json& range) { return in_range(*n, range_of(range)); });
  });
}

Json Evaluation::fallback_of(const Json& rule) const {
  const bool used = subject_.sticky && !js_truthy(rule["disableStickyBucketing"]);
  return used ? rule["fallbackAttribute"] : Json();
}

bool Evaluation::in_rollout(const std::string& key, const Json& rule) {
  const bool ranged = js_truthy(rule["range"]);
  const Json* const coverage = rule.find("coverage");
  if (!ranged && coverage == nullptr) return true;
  if (!ranged && coverage->is_number() && coverage->as_double() == 0) return false;
  const auto by = hashed(rule["hashAttribute"], fallback_of(rule));
  if (!js_truthy(by.value)) return false;
  const std::string seed = js_truthy(rule["seed"]) ? js_text(rule["seed"]) : key;
  const auto n = bucket_of(seed, js_text(by.value), integer_or(rule["hashVersion"], 1));
  if (!n) return false;
  return ranged ? in_range(*n, range_of(rule["range"])) : *n <= js_number(*coverage);
}

Evaluation::Hashed Evaluation::hashed(const Json& attribute, const Json& fallback) const {
  const std::string name = js_truthy(attribute) ? js_text(attribute) : "id";
  const Json& value = subject_.attributes[name];
  if (js_truthy(value)) return {name, value};
  if (js_truthy(fallback) && js_truthy(subject_.attributes[js_text(fallback)]))
    return {js_text(fallback), subject_.attributes[js_text(fallback)]};
  return {name, ""};
}

Json Evaluation::experiment_of(const std::string& key, const Json& rule) {
  constexpr std::array<std::string_view, 16> kCopied = {"coverage",      "weights",
                                                        "hashAttribute", "fallbackAttribute",
                                                        "bucketVersion", "minBucketVersion",
                                                        "namespace",     "meta",
                                                        "ranges",        "name",
                                                        "phase",         "seed",
                                                        "hashVersion",   "filters",
                                                        "condition",     "disableStickyBucketing"};
  const Json& contextual = rule["contextualVariations"];
  Json out = Json::object({{"variations", contextual.is_array() ? contextual : rule["variations"]},
                           {"key", js_truthy(rule["key"]) ? rule["key"] : Json(key)}});
  for (const auto name : kCopied) {
    const Json* const value = rule.find(name);
    const bool always = name == "coverage" || name.ends_with("ucketVersion");
    if (value != nullptr && (always || js_truthy(*value))) out.set(name, *value);
  }
  if (js_truthy(rule["contextualBanditRef"])) choose_leaf(out, rule.text("contextualBanditRef"));
  return out;
}

void Evaluation::choose_leaf(Json& experiment, const std::string& bandit) {
  const Json* const found = payload_.document()["contextualBandits"].find(bandit);
  if (found == nullptr) return;
  Json chosen = Json::object({{"leafId", -1}});
  if ((*found)["contexts"].is_array()) {
    for (const Json& leaf : (*found)["contexts"].as_array()) {
      if (!meets(subject_.attributes, leaf["condition"], context_)) continue;
      chosen.set("leafId", leaf["leafId"]);
      experiment.set("weights", leaf["weights"]);
      break;
    }
  }
  Json weights = experiment["weights"];
  if (!weights.is_array()) {
    weights = Json::array();
    for (const double weight : equal_weights(static_cast<int>(experiment["variations"].size())))
      weights.push(weight);
  }
  chosen.set("variationWeights", std::move(weights));
  if (const Json* const version = found->find("banditVersion"))
    chosen.set("banditVersion", *version);
  experiment.set("contextualBandit", std::move(chosen));
}

std::optional<Json> Evaluation::decided_early(const Json& experiment, const Json& feature) {
  const auto count = static_cast<int>(experiment["variations"].size());
  const std::string key = experiment.text("key");
  const Json out = result_of(experiment, feature, -1, false);
  if (!experiment["variations"].is_array() || count < 2 || !subject_.enabled) return out;
  if (const auto asked = query_string_override(key, subject_.url, count))
    return result_of(experiment, feature, *asked, false);
  if (const Json* const forced = subject_.forced_variations.find(key))
    return result_of(experiment, feature, integer_or(*forced, 0), false);
  if (experiment.text("status") == "draft" || !experiment.boolean("active", true)) return out;
  return {};
}

bool Evaluation::may_enter(const Json& experiment, const Json& value) {
  const Json& space = experiment["namespace"];
  if (experiment["filters"].is_array()) {
    if (filtered_out(experiment["filters"])) return false;
  } else if (space.is_array() && space.size() == 3) {
    const auto& parts = space.as_array();
    if (!in_namespace(js_text(value), js_text(parts[0]), parts[1].as_double(),
                      parts[2].as_double()))
      return false;
  }
  return meets(subject_.attributes, experiment["condition"], context_) &&
         parents(experiment["parentConditions"]) == Parents::kMet;
}

Json Evaluation::run(const Json& experiment, const Json& feature) {
  if (auto early = decided_early(experiment, feature)) return *std::move(early);
  const Json out = result_of(experiment, feature, -1, false);
  const auto by = hashed(experiment["hashAttribute"], fallback_of(experiment));
  if (!js_truthy(by.value)) return out;
  const bool sticky = subject_.sticky && !js_truthy(experiment["disableStickyBucketing"]);
  auto [assigned, blocked] = sticky ? sticky_variation(experiment) : std::pair{-1, false};
  const bool found = assigned >= 0;
  if (!found && !may_enter(experiment, by.value)) return out;
  const std::string seed =
      js_truthy(experiment["seed"]) ? js_text(experiment["seed"]) : experiment.text("key");
  const auto n = bucket_of(seed, js_text(by.value), integer_or(experiment["hashVersion"], 1));
  if (!n) return out;
  if (!found) assigned = choose_variation(*n, ranges_of(experiment));
  if (blocked) return result_of(experiment, feature, -1, false, {}, true);
  if (assigned < 0) return out;
  if (const Json* const force = experiment.find("force"))
    return result_of(experiment, feature, integer_or(*force, 0), false);
  if (subject_.qa_mode || experiment.text("status") == "stopped") return out;
  Json result = result_of(experiment, feature, assigned, true, n, found);
  if (sticky) keep_sticky(experiment, by, result.text("key"));
  exposures_.push_back({experiment, result});
  return result;
}

// The variation kept for the subject, or -1; and whether an older version of it is shut out.
std::pair<int, bool> Evaluation::sticky_variation(const Json& experiment) const {
  const auto by = hashed(experiment["hashAttribute"], {});
  const auto other = hashed(experiment["fallbackAttribute"], {});
  const Json& own = (*subject_.sticky)[by.attribute + "||" + text_of(by.value)]["assignments"];
  const Json& fallback =
      js_truthy(other.value)
          ? (*subject_.sticky)[other.attribute + "||" + text_of(other.value)]["assignments"]
          : (*subject_.sticky)["\0"];
  const auto kept = [&](int version) {
    const std::string key = sticky_key(experiment, version);
    const Json* const first = own.find(key);
    return first != nullptr ? first : fallback.find(key);
  };
  const int least = std::min(integer_or(experiment["minBucketVersion"], 0), 1000);
  for (int version = 0; version < least; ++version) {
    if (kept(version) != nullptr) return {-1, true};
  }
  const Json* const key = kept(integer_or(experiment["bucketVersion"], 0));
  if (key == nullptr || !experiment["meta"].is_array()) return {-1, false};
  const auto& meta = experiment["meta"].as_array();
  const auto found =
      std::ranges::find_if(meta, [&](const Json& one) { return js_same(one["key"], *key); });
  return {found == meta.end() ? -1 : static_cast<int>(found - meta.begin()), false};
}

void Evaluation::keep_sticky(const Json& experiment, const Hashed& by,
                             const std::string& variation) {
  const std::string value = text_of(by.value);
  Json assignments = (*subject_.sticky)[by.attribute + "||" + value]["assignments"];
  if (!assignments.is_object()) assignments = Json::object();
  assignments.set(sticky_key(experiment, integer_or(experiment["bucketVersion"], 0)), variation);
  subject_.sticky->set(by.attribute + "||" + value,
                       Json::object({{"attributeName", by.attribute},
                                     {"attributeValue", value},
                                     {"assignments", std::move(assignments)}}));
}

Json Evaluation::result_of(const Json& experiment, const Json& feature, int variation,
                           bool hash_used, std::optional<double> bucket, bool sticky) const {
  static const Json kNothing;
  const Json& variations = experiment["variations"];
  const bool inside = variation >= 0 && variation < static_cast<int>(variations.size());
  const auto index = static_cast<std::size_t>(inside ? variation : 0);
  const auto at = [&](const Json& list) -> const Json& {
    return list.is_array() && index < list.size() ? list.as_array()[index] : kNothing;
  };
  const Json& meta = at(experiment["meta"]);
  const auto by = hashed(experiment["hashAttribute"], fallback_of(experiment));
  Json out =
      Json::object({{"key", js_truthy(meta["key"]) ? meta["key"] : Json(std::to_string(index))},
                    {"featureId", feature},
                    {"inExperiment", inside},
                    {"hashUsed", hash_used},
                    {"variationId", static_cast<std::int64_t>(index)},
                    {"value", at(variations)},
                    {"hashAttribute", by.attribute},
                    {"hashValue", by.value},
                    {"stickyBucketUsed", sticky}});
  if (js_truthy(meta["name"])) out.set("name", meta["name"]);
  if (bucket) out.set("bucket", *bucket);
  if (js_truthy(meta["passthrough"])) out.set("passthrough", meta["passthrough"]);
  const Json& bandit = experiment["contextualBandit"];
  if (!bandit.is_object() || !hash_used || !inside) return out;
  for (const std::string_view name : {"leafId", "variationWeights", "banditVersion"}) {
    if (const Json* const value = bandit.find(name)) out.set(name, *value);
  }
  return out;
}

}  // namespace strata::wire::growthbook
