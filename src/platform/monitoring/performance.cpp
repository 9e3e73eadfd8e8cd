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

// Whether a row of the log is one that was answered within [since, until), to a caller.
bool counts(const LogRows& rows, std::size_t row, Instant since, Instant until) {
  const bool shadow = !rows.shadow.empty() && rows.shadow[row];
  return !shadow && !rows.failed[row] && rows.times[row] >= since && rows.times[row] < until;
}

bool is_word(const std::optional<std::string>& text) {
  return text && *text != "true" && *text != "false";
}

bool zero_or_one(const Outcome& outcome) {
  return outcome.number && (*outcome.number == 0 || *outcome.number == 1);
}

// A first look at the log: what each version answers, and what the labels of its rows are. Only
// then is it known which output counts, and as what.
struct Census {
  struct Version {
    std::int64_t rows = 0, labelled = 0;
    std::map<std::string, bool> outputs{};   // that have a value; whether some are words
    std::optional<std::string> no_number{};  // a label that is none
    std::optional<std::string> no_class{};   // a label that is neither 0 nor 1
  };
  const Outcomes& outcomes;
  Instant since, until;
  std::map<std::string, Version> versions{};

  Status see(const ParquetTable& table) {
    const LogRows rows = rows_of(table);
    const std::vector<std::string> places = places_of(table);
    if (places.size() != rows.size())
      return Error(Code::kDataLoss, "the prediction log has no ids");
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (!counts(rows, row, since, until)) continue;
      Version& version = versions[rows.versions[row]];
      ++version.rows;
      for (const auto& column : rows.columns)
        if (column.name.starts_with("outputs.")) add_output(version, column, row);
      const auto found = outcomes.find(places[row]);
      if (found == outcomes.end()) continue;
      ++version.labelled;
      const Outcome& outcome = found->second;
      if (!outcome.number && !version.no_number) version.no_number = outcome.value;
      if (!zero_or_one(outcome) && !version.no_class) version.no_class = outcome.value;
    }
    return {};
  }

  std::string most_frequent() const {
    const auto most = std::ranges::max_element(
        versions, [](const auto& a, const auto& b) { return a.second.rows < b.second.rows; });
    return most == versions.end() ? "" : most->first;
  }

  Json to_json() const {
    Json out = Json::array();
    for (const auto& [name, version] : versions) {
      out.push(Json::object(
          {{"version", name}, {"rows", version.rows}, {"labelled", version.labelled}}));
    }
    return out;
  }

 private:
  static void add_output(Version& version, const SampleColumn& column, std::size_t row) {
    const bool number = column.kind == Kind::kNumber;
    if (number ? std::isnan(column.numbers[row]) : !column.texts[row]) return;
    bool& words = version.outputs[column.name];
    words = words || (!number && is_word(column.texts[row]));
  }
};

// Adds up one version's rows, with the labels at hand.
struct Join {
  const Outcomes& outcomes;
  const PerformanceQuery& query;
  Instant since, until, now;
  std::int64_t step_s;
  std::string version{};
  std::string output{};  // empty where nothing but failures was answered
  bool words = false;    // the answers are names of classes
  bool binary = false;   // what the answers may be, as far as the labels say
  bool classes = false;
  std::map<std::int64_t, Step> steps{};  // by time

  // Errors: kInvalidArgument naming the field of the query.
  Status decide(const Census::Version& about) {
    STRATA_TRY(choose(about));
    const std::string& kind = query.kind;
    const auto& unfit = kind == "binary" ? about.no_class : about.no_number;
    if (!kind.empty() && kind != "classes" && unfit) {
      return invalid("kind",
                     fmt::format("kind: the label '{}' is not {}; choose another kind or label",
                                 printable(*unfit, 40), kind == "binary" ? "0 or 1" : "a number"));
    }
    classes = kind == "classes" || (kind.empty() && (about.no_number || words));
    binary = kind == "binary" || (kind.empty() && !about.no_class);
    return {};
  }

  Status see(const ParquetTable& table) {
    const LogRows rows = rows_of(table);
    const std::vector<std::string> places = places_of(table);
    if (places.size() != rows.size())
      return Error(Code::kDataLoss, "the prediction log has no ids");
    const auto column = std::ranges::find(rows.columns, output, &SampleColumn::name);
    if (column == rows.columns.end()) return {};
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (rows.versions[row] == version && counts(rows, row, since, until))
        add(rows.times[row], *column, row, places[row]);
    }
    return {};
  }

 private:
  // Which of the version's outputs has the answers.
  Status choose(const Census::Version& about) {
    std::vector<std::string> known;
    for (const auto& [name, has_words] : about.outputs) {
      known.push_back(name);
      if (!query.output.empty() && name != query.output && name != "outputs." + query.output)
        continue;
      output = name;
      words = has_words;
    }
    if (query.output.empty() && known.size() > 1) {
      return invalid("output", fmt::format("output: the endpoint answers {}; say which is the "
                                           "prediction",
                                           join(known, ", ")));
    }
    if (output.empty() && !known.empty()) {
      return invalid("output", fmt::format("output: '{}' is not answered; there are {}",
                                           printable(query.output, 60), join(known, ", ")));
    }
    return {};
  }

  void add(Instant time, const SampleColumn& column, std::size_t row, const std::string& place) {
    const auto found = outcomes.find(place);
    const Outcome* const outcome = found == outcomes.end() ? nullptr : &found->second;
    const auto [at, fresh] =
        steps.try_emplace(time.seconds() / step_s * step_s, Step{Quality(query.threshold)});
    Step& step = at->second;
    step.maturity.add(time, outcome ? std::optional(outcome->first) : std::nullopt, now);
    const bool number = column.kind == Kind::kNumber;
    if (number ? std::isnan(column.numbers[row]) : !column.texts[row]) return;
    if (classes) {
      const auto truth = outcome ? std::optional(class_of(*outcome)) : std::nullopt;
      return step.quality.add_class(answer_of(column, row), truth);
    }
    const auto truth = outcome ? outcome->number : std::nullopt;
    if (!number && is_word(column.texts[row])) return;
    const double answer = number ? column.numbers[row] : *column.texts[row] == "true" ? 1 : 0;
    step.quality.add_number(answer, truth, binary);
  }

  // Words are compared as they are; numbers and booleans by their value, in whatever form.
  std::string class_of(const Outcome& outcome) const {
    return outcome.number && !words ? fmt::format("{}", *outcome.number) : outcome.value;
  }
  std::string answer_of(const SampleColumn& column, std::size_t row) const {
    if (column.kind == Kind::kNumber) return fmt::format("{}", column.numbers[row]);
    if (words) return *column.texts[row];
    return *column.texts[row] == "true" ? "1" : "0";
  }
};

void put_counts(Json& out, const Quality& quality) {
  out.set("rows", quality.rows());
  out.set("labelled", quality.labelled());
  out.set("share", quality.rows() > 0 ? Json(static_cast<double>(quality.labelled()) /
                                             static_cast<double>(quality.rows()))
                                      : Json());
}

// The figures of one version.
void put_figures(Json& out, const Join& join) {
  Step whole{Quality(join.query.threshold)};
  for (const auto& [time, step] : join.steps) {
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
  for (const auto& [time, step] : join.steps) {
    const Instant end = Instant::from_seconds(time + join.step_s);
    const bool mature = after && join.now - end >= std::chrono::seconds(*after);
    if (mature) matured.merge(step.quality);
    Json one = Json::object({{"time", to_rfc3339(Instant::from_seconds(time))}});
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
  Census census{.outcomes = *outcomes, .since = since, .until = until};
  const auto scan = [&](auto& reader) {
    return ports_.log.scan(project.str(), endpoint, since, until,
                           [&reader](const ParquetTable& table) { return reader.see(table); });
  };
  STRATA_TRY(scan(census));
  Join join{.outcomes = *outcomes,
            .query = query,
            .since = since,
            .until = until,
            .now = now,
            .step_s = step_of(since, until),
            .version = query.version.empty() ? census.most_frequent() : query.version};
  STRATA_TRY(join.decide(census.versions[join.version]));
  if (!join.output.empty()) STRATA_TRY(scan(join));
  STRATA_TRY(check(query, join));
  const auto known = [](const std::string& text) {
    return text.empty() ? Json() : Json(text);
  };
  Json out = Json::object({{"endpoint", endpoint},
                           {"version", known(join.version)},
                           {"versions", census.to_json()},
                           {"since", to_rfc3339(since)},
                           {"until", to_rfc3339(until)},
                           {"output", known(join.output)},
                           {"label", query.label},
                           {"threshold", query.threshold}});
  put_figures(out, join);
  return out;
}

}  // namespace strata::platform::monitoring
