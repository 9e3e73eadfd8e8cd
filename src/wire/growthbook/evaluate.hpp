#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "wire/growthbook/condition.hpp"

namespace strata::wire::growthbook {

// A payload of features as GrowthBook's SDKs read it: {"features", "savedGroups",
// "contextualBandits"}. Immutable once made; any thread may evaluate it.
class Payload {
 public:
  explicit Payload(Json document);

  const Json* feature(const std::string& key) const;
  const Json& document() const { return document_; }
  const Patterns& patterns() const { return patterns_; }

 private:
  Json document_;
  std::map<std::string, const Json*, std::less<>> features_;  // into document_
  Patterns patterns_;
};

// Who asks, and what is forced upon the answer.
struct Subject {
  Json attributes = Json::object();
  std::string url;
  Json forced_variations = Json::object();  // experiment key -> index
  Json forced_features = Json::object();    // feature key -> value
  bool enabled = true;
  bool qa_mode = false;
  // Sticky buckets: "attribute||value" -> {attributeName, attributeValue, assignments}. Without
  // them none is looked up or kept; evaluating adds what was assigned.
  std::optional<Json> sticky;
};

struct Exposure {
  Json experiment;
  Json result;
};

struct FeatureResult {
  Json value;
  std::string source;  // as the SDK names it: defaultValue, force, experiment, unknownFeature, ...
  std::string rule_id;
  Json experiment;         // null unless `source` is experiment
  Json experiment_result;  // the same

  Json to_json() const;
};

// Evaluates for one subject, and collects the experiments that it was exposed to. One use, one
// thread; `payload` and `subject` must outlive it. Spec: GrowthBook, "Build your own SDK" 0.8.0.
class Evaluation {
 public:
  Evaluation(const Payload& payload, Subject& subject);

  FeatureResult feature(const std::string& key);
  // Runs an experiment of its own, outside of any feature; its result.
  Json run(const Json& experiment);

  const std::vector<Exposure>& exposures() const { return exposures_; }
  // Whether the payload or the attributes asked for more work than one evaluation may take: then
  // no result of it may be used.
  bool exhausted() const { return context_.steps_left <= 0; }

 private:
  enum class Parents : std::uint8_t { kMet, kUnmet, kBlocked, kCyclic };
  struct Hashed {
    std::string attribute;
    Json value;  // "" when there is none
  };

  FeatureResult in_chain(const std::string& key);
  std::optional<FeatureResult> by_rule(const std::string& key, const Json& rule);
  Parents parents(const Json& conditions);
  bool filtered_out(const Json& filters);
  bool in_rollout(const std::string& key, const Json& rule);
  Hashed hashed(const Json& attribute, const Json& fallback) const;
  Json fallback_of(const Json& rule) const;
  Json experiment_of(const std::string& key, const Json& rule);
  void choose_leaf(Json& experiment, const std::string& bandit);
  Json run(const Json& experiment, const Json& feature);
  std::optional<Json> decided_early(const Json& experiment, const Json& feature);
  bool may_enter(const Json& experiment, const Json& value);
  std::pair<int, bool> sticky_variation(const Json& experiment) const;
  void keep_sticky(const Json& experiment, const Hashed& by, const std::string& variation);
  Json result_of(const Json& experiment, const Json& feature, int variation, bool hash_used,
                 std::optional<double> bucket = {}, bool sticky = false) const;

  const Payload& payload_;
  Subject& subject_;
  ConditionContext context_;
  std::set<std::string> chain_;  // the features whose evaluation led here
  std::vector<Exposure> exposures_;
};

}  // namespace strata::wire::growthbook
