#include "platform/experiments/experiment_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/experiments/experiments.hpp"
#include "platform/statistics/statistics.hpp"
#include "wire/growthbook/bucket.hpp"
#include "wire/json_schema.hpp"

namespace strata::platform::experiments {

namespace {

constexpr std::size_t kMaxName = 100;

constexpr std::string_view kSchema = R"json({"type":"object","additionalProperties":false,
 "required":["name","flag","hypothesis","metrics","sample"],"properties":{
 "name":{"type":"string","minLength":1,"maxLength":100},
 "flag":{"type":"string","minLength":1,"maxLength":128},
 "experiment":{"type":"string","maxLength":128},
 "hypothesis":{"type":"string","minLength":1,"maxLength":2000},
 "metrics":{"type":"array","minItems":1,"maxItems":20,"items":{"type":"object",
  "additionalProperties":false,"required":["name","kind","table","unit","time","window"],
  "properties":{"name":{"type":"string","minLength":1,"maxLength":200},
  "kind":{"type":"string","enum":["mean","proportion","ratio"]},
  "role":{"type":"string","enum":["goal","guardrail"]},
  "direction":{"type":"string","enum":["increase","decrease"]},
  "scale":{"type":"string","enum":["absolute","relative"]},
  "margin":{"type":"number","minimum":0},
  "table":{"type":"string","maxLength":200},"unit":{"type":"string","maxLength":100},
  "time":{"type":"string","maxLength":100},"value":{"type":"string","maxLength":100},
  "denominator":{"type":"string","maxLength":100},
  "window":{"type":"string","maxLength":20},"before":{"type":"string","maxLength":20}}}},
 "alpha":{"type":"number","minimum":1e-9,"maximum":0.5},
 "correction":{"type":"string"},
 "rule":{"type":"string","enum":["fixed","sequential"]},
 "sample":{"type":"integer","minimum":2},
 "minimum_sample":{"type":"integer","minimum":2},
 "ratio_alpha":{"type":"number","minimum":1e-9,"maximum":0.5}}})json";

bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && std::ranges::all_of(text, plain);
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

// "orders" or "shop.orders", each part quoted.
Result<std::string> table_name(const std::string& text, const std::string& field) {
  const auto parts = split(text, '.');
  if (parts.size() <= 2 && std::ranges::all_of(parts, is_name)) {
    std::vector<std::string> names;
    for (const auto& part : parts)
      names.push_back(quoted(part));
    return join(names, ".");
  }
  return invalid(field, fmt::format("{}: '{}' must be a table or view, NAME or SCHEMA.NAME, of "
                                    "letters, digits and _; put SQL into a view",
                                    field, printable(text, 40)));
}

// Seconds; a text such as "7d".
Result<std::int64_t> seconds_in(const Json& metric, std::string_view name,
                                const std::string& field) {
  const auto duration = parse_duration(metric.text(name));
  if (duration && duration->count() >= 1000) return duration->count() / 1000;
  return invalid(field, fmt::format("{}: '{}' must be a duration of a second or more, such as 7d",
                                    field, printable(metric.text(name), 20)));
}

// Where a metric comes from, in canonical form.
Result<Json> read_source(const Json& metric, const std::string& at) {
  const std::string kind = metric.text("kind");
  const auto table = table_name(metric.text("table"), at + ".table");
  if (!table) return table.error();
  Json out = Json::object({{"name", metric.text("name")}, {"table", *table}});
  for (const char* column : {"unit", "time", "value", "denominator"}) {
    const bool needed = column != std::string_view("denominator")
                            ? column != std::string_view("value") || kind != "proportion"
                            : kind == "ratio";
    const Json* const given = metric.find(column);
    const std::string field = fmt::format("{}.{}", at, column);
    if (given == nullptr && !needed) continue;
    if (given != nullptr && !needed && column == std::string_view("denominator"))
      return invalid(field, fmt::format("{}: is of a metric of the kind ratio", field));
    if (given == nullptr || !is_name(given->as_string()))
      return invalid(field, fmt::format("{}: name the column, in letters, digits and _", field));
    out.set(column, quoted(given->as_string()));
  }
  const auto window = seconds_in(metric, "window", at + ".window");
  if (!window) return window.error();
  out.set("window_s", *window);
  if (metric.find("before") == nullptr) return out;
  if (kind == "proportion")
    return invalid(at + ".before", fmt::format("{}.before: a proportion takes no covariate; give "
                                               "it as a mean of 0 and 1",
                                               at));
  const auto before = seconds_in(metric, "before", at + ".before");
  if (!before) return before.error();
  out.set("before_s", *before);
  return out;
}

// The plan of the decision, as platform/statistics reads it.
Json plan_of(const Json& definition, Json arms) {
  Json metrics = Json::array();
  for (const Json& metric : definition["metrics"].as_array()) {
    Json one = Json::object();
    for (const char* name : {"name", "kind", "role", "direction", "scale", "margin"}) {
      if (const Json* const value = metric.find(name)) one.set(name, *value);
    }
    one.set("covariate", metric.find("before") != nullptr);
    metrics.push(std::move(one));
  }
  Json plan = Json::object({{"name", definition["name"]},
                            {"arms", std::move(arms)},
                            {"metrics", std::move(metrics)},
                            {"rule", definition.text("rule", "sequential")}});
  for (const char* name : {"alpha", "correction", "sample", "minimum_sample", "ratio_alpha"}) {
    if (const Json* const value = definition.find(name)) plan.set(name, *value);
  }
  return plan;
}

std::string exposed() {
  return "exposed AS (SELECT unit, arg_min(variation, \"time\") AS variation, min(\"time\") AS "
         "first, count(DISTINCT variation) AS variations FROM strata.exposures WHERE experiment = "
         "$experiment AND attribute = $attribute AND \"time\" >= CAST($start AS TIMESTAMPTZ) AND "
         "\"time\" < CAST($end AS TIMESTAMPTZ) GROUP BY unit)";
}

// The columns of each unit and what is asked of them, for one quantity and its covariate.
struct Quantity {
  std::string column;  // of the table
  std::string name;    // of the unit's sum
};

std::string sums(const std::vector<Quantity>& quantities, const Json& source) {
  std::string out;
  const auto sum = [&](const Quantity& q, const std::string& as, const std::string& when) {
    out += fmt::format(", coalesce(sum(f.{}) FILTER (WHERE {}), 0) AS {}", q.column, when, as);
  };
  const std::string after =
      fmt::format("f.moment >= e.first AND f.moment < e.first + INTERVAL {} SECOND",
                  source.integer("window_s"));
  for (const Quantity& q : quantities)
    sum(q, q.name, after);
  if (source.find("before_s") == nullptr) return out;
  const std::string before =
      fmt::format("f.moment < e.first AND f.moment >= e.first - INTERVAL {} SECOND",
                  source.integer("before_s"));
  for (const Quantity& q : quantities)
    sum(q, q.name + "0", before);
  return out;
}

std::string percent(double value) {
  return fmt::format("{:+.2g} %", 100 * value);
}

// "+5.2 % (between +2.1 % and +8.3 %)".
std::string effect_text(const Json& result) {
  const bool relative = result.text("scale") == "relative";
  const auto show = [&](const Json& value) {
    return relative ? percent(value.as_double()) : fmt::format("{:+.4g}", value.as_double());
  };
  const Json& low = result["low"];
  const Json& high = result["high"];
  std::string range =
      "between " + (low.is_null() ? "" : show(low)) + " and " + (high.is_null() ? "" : show(high));
  if (low.is_null()) range = high.is_null() ? "anything" : "at most " + show(high);
  if (high.is_null() && !low.is_null()) range = "at least " + show(low);
  return fmt::format("{} ({})", show(result["estimate"]), range);
}

std::string result_text(const Json& result) {
  const std::string what = fmt::format("{} in '{}'", result.text("metric"), result.text("arm"));
  if (!result.boolean("defined"))
    return fmt::format("{}: nothing can be said, {}.", what, result.text("reason"));
  const std::string verdict = result.text("verdict");
  const bool guardrail = result.text("role") == "guardrail";
  const std::string_view words = verdict == "better"     ? "better"
                                 : verdict == "worse"    ? "worse"
                                 : verdict == "holds"    ? "not worse than agreed"
                                 : verdict == "breached" ? "worse than agreed"
                                 : guardrail             ? "not shown to be harmless yet"
                                                         : "no difference shown";
  return fmt::format("{}: {}, {}.", what, effect_text(result), words);
}

}  // namespace

std::string_view experiment_schema() {
  return kSchema;
}

Result<Json> experiment_rule(const Version& flag, const std::string& experiment) {
  std::vector<std::string> keys;
  Json found;
  const Json& rules = flag.definition["rules"];
  for (const Json& rule : rules.is_array() ? rules.as_array() : Json::Array()) {
    if (rule.find("variations") == nullptr) continue;
    keys.push_back(rule.text("key"));
    if (experiment.empty() || keys.back() == experiment) found = rule;
  }
  const bool ambiguous = experiment.empty() && keys.size() > 1;
  if (!found.is_null() && !ambiguous) return found;
  return invalid("experiment",
                 keys.empty() ? fmt::format("flag: '{}' has no rule with variations", flag.name)
                              : fmt::format("experiment: say which rule of '{}': {}", flag.name,
                                            join(keys, ", ")));
}

Json arms_of(const Json& rule) {
  const std::size_t count = rule["variations"].size();
  const auto equal = wire::growthbook::equal_weights(static_cast<int>(count));
  Json arms = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string own =
        rule["meta"].is_array() ? rule["meta"].as_array()[i].text("key") : std::string();
    const double weight =
        rule["weights"].is_array() ? rule["weights"].as_array()[i].as_double() : equal[i];
    arms.push(Json::object({{"name", own.empty() ? std::to_string(i) : own}, {"weight", weight}}));
  }
  return arms;
}

Result<Json> freeze(const Json& definition, const Version& flag) {
  const std::string name = definition.text("name");
  if (name.size() > kMaxName || !is_name(name.substr(0, 1)) || name.contains('/'))
    return invalid("name", "name: must begin with a letter or digit and hold no /");
  const auto rule = experiment_rule(flag, definition.text("experiment"));
  if (!rule) return rule.error();
  if (flag.state != State::kOn)
    return Error(
        Code::kConflict,
        fmt::format("flag: '{}' is {}; turn it on first", flag.name, state_name(flag.state)),
        "flag");
  Json request = Json::object({{"plan", plan_of(definition, arms_of(*rule))},
                               {"units", Json::array()},
                               {"statistics", Json::array()}});
  static const Json schema = *parse_json(statistics::analysis_schema());
  STRATA_TRY(wire::check_schema(schema, request));
  const auto plan = statistics::read_plan(request["plan"]);
  if (!plan) return plan.error();
  Json sources = Json::array();
  for (std::size_t i = 0; i < definition["metrics"].size(); ++i) {
    auto source = read_source(definition["metrics"].as_array()[i], fmt::format("metrics[{}]", i));
    if (!source) return source;
    sources.push(*std::move(source));
  }
  return Json::object({{"name", name},
                       {"flag", flag.name},
                       {"flag_version", flag.number},
                       {"experiment", rule->text("key")},
                       {"attribute", rule->text("hashAttribute", "id")},
                       {"hypothesis", definition["hypothesis"]},
                       {"plan", plan->to_json()},
                       {"metrics", std::move(sources)}});
}

std::string units_sql() {
  return "WITH " + exposed() +
         " SELECT variation, count(*), count(*) FILTER (WHERE variations > 1) FROM exposed GROUP "
         "BY variation ORDER BY variation";
}

std::string metric_sql(const Json& planned, const Json& source) {
  const bool proportion = planned.text("kind") == "proportion";
  const std::string value = source.text("value", "1");
  std::vector<Quantity> quantities = {{"v", "y"}};
  std::string columns = fmt::format("CAST({} AS DOUBLE) AS v", value);
  if (planned.text("kind") == "ratio") {
    quantities.push_back({"d", "z"});
    columns += fmt::format(", CAST({} AS DOUBLE) AS d", source.text("denominator"));
  }
  const std::string per_unit = fmt::format(
      "WITH {}, facts AS (SELECT CAST({} AS VARCHAR) AS unit, CAST({} AS TIMESTAMPTZ) AS moment, "
      "{} "
      "FROM {}), units AS (SELECT e.unit, e.variation{} FROM exposed e LEFT JOIN facts f ON f.unit "
      "= e.unit WHERE e.first + INTERVAL {} SECOND <= CAST($now AS TIMESTAMPTZ) GROUP BY e.unit, "
      "e.variation)",
      exposed(), source.text("unit"), source.text("time"), columns, source.text("table"),
      sums(quantities, source), source.integer("window_s"));
  if (proportion)
    return per_unit +
           " SELECT variation, count(*), count(*) FILTER (WHERE y > 0) FROM units GROUP BY "
           "variation ORDER BY variation";
  std::vector<std::string> names;
  for (const Quantity& q : quantities)
    names.push_back(q.name);
  if (source.find("before_s") != nullptr) {
    for (const Quantity& q : quantities)
      names.push_back(q.name + "0");
  }
  std::string moments;
  for (const auto& name : names)
    moments += fmt::format(", avg({})", name);
  for (const auto& a : names) {
    for (const auto& b : names)
      moments += a == b ? fmt::format(", var_samp({})", a)
                        : fmt::format(", covar_samp({}, {})", std::min(a, b), std::max(a, b));
  }
  return per_unit + " SELECT variation, count(*)" + moments +
         " FROM units GROUP BY variation ORDER BY variation";
}

Json in_words(const Json& decision) {
  const std::string outcome = decision.text("decision");
  Json out = Json::array();
  if (outcome == "ship") {
    out.push(fmt::format("Ship '{}': it is better, and no guardrail stands against it.",
                         decision.text("arm")));
  } else if (outcome == "stop") {
    out.push("Stop: every new variation does harm. Keep what was there.");
  } else if (outcome == "continue") {
    out.push("Go on: the data decide nothing yet. To look again later costs nothing.");
  } else {
    out.push("The data do not suffice: nothing is shown, in either direction.");
  }
  for (const Json& reason : decision["reasons"].as_array()) {
    if (decision["results"].size() == 0 || outcome != "ship") out.push(reason);
  }
  for (const Json& result : decision["results"].as_array())
    out.push(result_text(result));
  return out;
}

}  // namespace strata::platform::experiments
