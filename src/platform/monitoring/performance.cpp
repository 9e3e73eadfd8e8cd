#include "platform/monitoring/performance.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/monitoring/maturity.hpp"
#include "platform/monitoring/quality.hpp"
#include "platform/monitoring/sample.hpp"

namespace strata::platform::monitoring {

using drift::Kind;
using labels::Outcome;
using labels::Outcomes;
using wire::ParquetTable;

namespace {

// Labels that the server had a little before the prediction was in the log.
constexpr std::chrono::hours kEarly{1};

std::string_view name_of(Answers answers) {
  constexpr std::array<std::string_view, 3> kNames = {"regression", "binary", "classes"};
  return kNames[static_cast<std::size_t>(answers)];
}

std::int64_t step_of(Instant since, Instant until) {
  constexpr std::array<std::int64_t, 7> kSteps = {60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400};
  const std::int64_t seconds = until.seconds() - since.seconds();
  for (const std::int64_t step : kSteps) {
    if (seconds / step < Performance::kMostSteps) return step;
  }
  return (seconds / Performance::kMostSteps / 86400 + 1) * 86400;
}

// The name of a row's prediction and its place in the request.
std::vector<std::string> places_of(const ParquetTable& table) {
  std::vector<std::string> ids, out;
  const std::string* rows = nullptr;
  for (const auto& column : table.columns) {
    if (column.path.size() != 1) continue;
    if (column.path[0] == "row") rows = &column.fixed;
    if (column.path[0] != "prediction_id") continue;
    auto texts = column;
    texts.unroll();
    ids = std::move(texts.texts);
  }
  out.reserve(ids.size());
  for (std::size_t at = 0; rows != nullptr && at < ids.size(); ++at) {
    std::int32_t row = 0;
    std::memcpy(&row, rows->data() + at * sizeof row, sizeof row);
    out.push_back(labels::place_of(ids[at], row));
  }
  return out;
}

// The figures of one version in one step.
struct Step {
  Quality quality;
  Maturity maturity{Performance::kLeastRows};
};

// Reads the log row by row, with the labels at hand.
struct Join {
  const Outcomes& outcomes;
  const PerformanceQuery& query;
  Instant since, until, now;
  std::int64_t step_s;
  bool binary = false;  // what the answers may be, as far as the labels say
  bool classes = false;
  std::string output{};
  std::map<std::pair<std::string, std::int64_t>, Step> steps{};  // by version and time

  Status see(const ParquetTable& table) {
    const LogRows rows = rows_of(table);
    const std::vector<std::string> places = places_of(table);
    const auto column = choose(rows);
    if (!column) return column.error();
    if (places.size() != rows.size())
      return Error(Code::kDataLoss, "the prediction log has no ids");
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const bool shadow = !rows.shadow.empty() && rows.shadow[row];
      if (shadow || rows.failed[row] || rows.times[row] < since || rows.times[row] >= until)
        continue;
      if (*column != nullptr) add(rows, row, **column, places[row]);
    }
    return {};
  }

 private:
  // Which column has the answers; none in a file that has nothing but failures.
  Result<const SampleColumn*> choose(const LogRows& rows) {
    std::vector<std::string> known;
    const SampleColumn* found = nullptr;
    for (const auto& column : rows.columns) {
      if (!column.name.starts_with("outputs.")) continue;
      known.push_back(column.name);
      if (query.output.empty() || column.name == query.output ||
          column.name == "outputs." + query.output)
        found = &column;
    }
    if (known.empty()) return found;
    if (query.output.empty() && known.size() > 1) {
      return invalid("output", fmt::format("output: the endpoint answers {}; say which is the "
                                           "prediction",
                                           join(known, ", ")));
    }
    if (found == nullptr) {
      return invalid("output", fmt::format("output: '{}' is not answered; there are {}",
                                           printable(query.output, 60), join(known, ", ")));
    }
    output = found->name;
    return found;
  }

  void add(const LogRows& rows, std::size_t row, const SampleColumn& column,
           const std::string& place) {
    const auto found = outcomes.find(place);
    const Outcome* const outcome = found == outcomes.end() ? nullptr : &found->second;
    const auto [at, fresh] =
        steps.try_emplace({rows.versions[row], rows.times[row].seconds() / step_s * step_s},
                          Step{Quality(query.threshold)});
    Step& step = at->second;
    step.maturity.add(rows.times[row], outcome ? std::optional(outcome->first) : std::nullopt, now);
    const bool text = column.kind != Kind::kNumber;
    const bool yes = text && column.texts[row] == "true", no = text && column.texts[row] == "false";
    if (classes || (text && !yes && !no && query.kind.empty())) {
      classes = true;
      const auto truth = outcome ? std::optional(class_of(*outcome)) : std::nullopt;
      return step.quality.add_class(answer_of(column, row), truth);
    }
    const double answer = !text ? column.numbers[row] : yes ? 1 : no ? 0 : std::nan("");
    const auto truth = outcome ? outcome->number : std::nullopt;
    if (!std::isnan(answer)) step.quality.add_number(answer, truth, binary);
  }

  // As labels and answers are compared: numbers by their value, whatever their form.
  static std::string class_of(const Outcome& outcome) {
    return outcome.number && outcome.value != "true" && outcome.value != "false"
               ? fmt::format("{}", *outcome.number)
               : outcome.value;
  }
  static std::string answer_of(const SampleColumn& column, std::size_t row) {
    if (column.kind == Kind::kNumber) return fmt::format("{}", column.numbers[row]);
    return column.texts[row].value_or("");
  }
};

bool zero_or_one(const Outcome& outcome) {
  return outcome.number && (*outcome.number == 0 || *outcome.number == 1);
}

// What the labels alone say of the answers. Errors: kInvalidArgument when they are not of the kind
// that is asked for.
Status read_labels(Join& join, const Outcomes& outcomes, const std::string& kind) {
  for (const auto& [place, outcome] : outcomes) {
    if (kind.empty() || kind == "classes") break;
    if (kind == "binary" ? zero_or_one(outcome) : outcome.number.has_value()) continue;
    return invalid(
        "kind",
        fmt::format("kind: the label '{}' is not {}; choose another kind or label",
                    printable(outcome.value, 40), kind == "binary" ? "0 or 1" : "a number"));
  }
  const auto numbers =
      std::ranges::all_of(outcomes, [](const auto& one) { return one.second.number.has_value(); });
  join.classes = kind == "classes" || (kind.empty() && !numbers);
  join.binary = kind == "binary" || (kind.empty() && std::ranges::all_of(outcomes, [](auto& one) {
                                       return zero_or_one(one.second);
                                     }));
  return {};
}

std::string most_frequent(const Join& join) {
  std::map<std::string, std::int64_t> rows;
  for (const auto& [key, step] : join.steps)
    rows[key.first] += step.quality.rows();
  const auto most = std::ranges::max_element(
      rows, [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == rows.end() ? "" : most->first;
}

Json versions_of(const Join& join) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> rows;
  for (const auto& [key, step] : join.steps) {
    rows[key.first].first += step.quality.rows();
    rows[key.first].second += step.quality.labelled();
  }
  Json out = Json::array();
  for (const auto& [version, counts] : rows)
    out.push(
        Json::object({{"version", version}, {"rows", counts.first}, {"labelled", counts.second}}));
  return out;
}

void put_counts(Json& out, const Quality& quality) {
  out.set("rows", quality.rows());
  out.set("labelled", quality.labelled());
  out.set("share", quality.rows() > 0 ? Json(static_cast<double>(quality.labelled()) /
                                             static_cast<double>(quality.rows()))
                                      : Json());
}

// The figures of one version.
void put_figures(Json& out, const Join& join, const std::string& version) {
  Step whole{Quality(join.query.threshold)};
  for (const auto& [key, step] : join.steps) {
    if (key.first != version) continue;
    whole.quality.merge(step.quality);
    whole.maturity.merge(step.maturity);
  }
  const bool asked = join.query.kind == "binary";
  std::optional<Answers> answers;
  if (join.classes) {
    answers = Answers::kClasses;
  } else if (asked ||
             (whole.quality.labelled() > 0 && join.binary && whole.quality.probabilities())) {
    answers = Answers::kBinary;
  } else if (whole.quality.labelled() > 0 || !join.query.kind.empty()) {
    answers = Answers::kRegression;
  }
  const bool binary = answers == Answers::kBinary;
  const auto figures = [&](Json& to, const Quality& quality) {
    to.set("metrics", answers ? quality.figures(*answers) : Json());
    to.set("estimated", binary ? quality.estimated() : Json());
  };
  const auto after = whole.maturity.mature_after();
  Quality matured(join.query.threshold);
  Json steps = Json::array();
  for (const auto& [key, step] : join.steps) {
    if (key.first != version) continue;
    const Instant end = Instant::from_seconds(key.second + join.step_s);
    const bool mature = after && join.now - end >= std::chrono::seconds(*after);
    if (mature) matured.merge(step.quality);
    Json one = Json::object({{"time", to_rfc3339(Instant::from_seconds(key.second))}});
    put_counts(one, step.quality);
    one.set("mature", mature);
    figures(one, step.quality);
    steps.push(std::move(one));
  }
  out.set("kind", answers ? Json(name_of(*answers)) : Json());
  put_counts(out, whole.quality);
  figures(out, whole.quality);
  Json old = Json::object();
  put_counts(old, matured);
  old.set("metrics", answers ? matured.figures(*answers) : Json());
  out.set("matured", std::move(old));
  out.set("reliability", binary ? whole.quality.reliability() : Json());
  out.set("mature_after_s", after ? Json(*after) : Json());
  out.set("maturity", whole.maturity.to_json());
  out.set("step_s", join.step_s);
  out.set("steps", std::move(steps));
}

Status check(const PerformanceQuery& query, const Join& join) {
  const bool any_number = std::ranges::any_of(
      join.steps, [](const auto& one) { return !one.second.quality.probabilities(); });
  if (query.kind == "binary" && any_number) {
    return invalid("kind", fmt::format("kind: '{}' has answers that are not from 0 to 1, so they "
                                       "are no scores of a class; choose another output or kind",
                                       join.output));
  }
  for (const auto& [key, step] : join.steps) {
    if (step.quality.too_many_classes()) {
      return invalid("kind", fmt::format("kind: there are more than {} classes; use regression, or "
                                         "SQL over strata.labels",
                                         Quality::kMostClasses));
    }
  }
  return {};
}

}  // namespace

Task<Result<Json>> Performance::report(const kernel::Caller& caller, std::string endpoint,
                                       PerformanceQuery query) {
  const Instant now = ports_.clock.now();
  const Instant until = query.until.value_or(now);
  const Instant since = query.since.value_or(until - kSpan);
  if (since >= until) co_return invalid("since", "since: must be before until");
  if (!query.kind.empty() && query.kind != "regression" && query.kind != "binary" &&
      query.kind != "classes") {
    co_return invalid("kind", fmt::format("kind: '{}' is none; use regression, binary or classes",
                                          printable(query.kind, 40)));
  }
  if (!(query.threshold >= 0 && query.threshold <= 1))
    co_return invalid("threshold", "threshold: must be from 0 to 1");
  if (const auto there = ports_.endpoints.get(caller, endpoint); !there) {
    const auto keys = ports_.log.keys();
    if (std::ranges::find(keys, caller.project.str() + "/" + endpoint) == keys.end())
      co_return there.error();
  }
  const auto work = [&] {
    return report_of(caller.project, endpoint, query, since, until, now);
  };
  co_return co_await ports_.pool.run(work);
}

Result<Json> Performance::report_of(const ProjectId& project, const std::string& endpoint,
                                    const PerformanceQuery& query, Instant since, Instant until,
                                    Instant now) {
  const auto outcomes = ports_.labels.newest(project, endpoint, query.label, since - kEarly);
  if (!outcomes) return outcomes.error();
  Join join{.outcomes = *outcomes,
            .query = query,
            .since = since,
            .until = until,
            .now = now,
            .step_s = step_of(since, until)};
  STRATA_TRY(read_labels(join, *outcomes, query.kind));
  STRATA_TRY(ports_.log.scan(project.str(), endpoint, since, until,
                             [&join](const ParquetTable& table) { return join.see(table); }));
  STRATA_TRY(check(query, join));
  const std::string version = query.version.empty() ? most_frequent(join) : query.version;
  Json out = Json::object({{"endpoint", endpoint},
                           {"version", version.empty() ? Json() : Json(version)},
                           {"versions", versions_of(join)},
                           {"since", to_rfc3339(since)},
                           {"until", to_rfc3339(until)},
                           {"output", join.output.empty() ? Json() : Json(join.output)},
                           {"label", query.label},
                           {"threshold", query.threshold}});
  put_figures(out, join, version);
  return out;
}

}  // namespace strata::platform::monitoring
