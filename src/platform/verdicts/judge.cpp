#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "platform/verdicts/facts.hpp"

namespace strata::platform::verdicts {

using deployment::EndpointState;

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kBad:
      return "bad";
  }
  return "unknown";
}

std::string_view question_name(Question question) {
  constexpr std::array<std::string_view, kQuestions> kNames = {"owner", "binary", "features",
                                                               "code", "data"};
  return kNames[static_cast<std::size_t>(question)];
}

std::string_view question_text(Question question) {
  constexpr std::array<std::string_view, kQuestions> kTexts = {
      "Who is responsible?", "Does the right binary answer?", "Are the features right?",
      "Is the code up to date?", "What happened to the data pipeline?"};
  return kTexts[static_cast<std::size_t>(question)];
}

namespace {

constexpr std::size_t kNamed = 10;    // things that one sentence lists
constexpr std::size_t kQuoted = 300;  // bytes of an error of elsewhere

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> first(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamed)));
  std::string text = join(first, ", ");
  if (names.size() > kNamed) text += fmt::format(" and {} more", names.size() - kNamed);
  return text;
}

// The evidence of one question.
class Findings {
 public:
  void add(Verdict verdict, std::string code, std::string text,
           std::vector<std::string> refs = {}) {
    const auto better = [](Verdict v, const Evidence& e) {
      return v > e.verdict;
    };
    const auto at =
        std::upper_bound(answer_.evidence.begin(), answer_.evidence.end(), verdict, better);
    answer_.evidence.insert(at, {verdict, std::move(code), std::move(text), std::move(refs)});
  }
  bool worse_than_good() const {
    return std::any_of(answer_.evidence.begin(), answer_.evidence.end(),
                       [](const Evidence& e) { return e.verdict != Verdict::kGood; });
  }
  Answer take() {
    if (!answer_.evidence.empty()) answer_.verdict = answer_.evidence.front().verdict;
    return std::move(answer_);
  }

 private:
  Answer answer_;
};

// --- who is responsible ---

Answer judge_owner(const OwnerFacts& facts) {
  Findings found;
  const std::string& name = facts.owner.name;
  if (!facts.owner.known) {
    found.add(Verdict::kBad, "owner.unknown",
              fmt::format("the owner '{}' is no user of this server; name another one with "
                          "'strata model owner'",
                          name));
  } else if (facts.owner.disabled) {
    found.add(
        Verdict::kBad, "owner.disabled",
        fmt::format("the owner {} is disabled; name another one with 'strata model owner'", name));
  } else if (!facts.in_team) {
    found.add(Verdict::kBad, "owner.left_team",
              fmt::format("the owner {} is no longer in team {}", name, facts.team));
  } else {
    found.add(Verdict::kGood, "owner.active",
              fmt::format("{} of team {} owns it", name, facts.team));
  }
  if (facts.mover) {
    const auto& mover = *facts.mover;
    if (!mover.known || mover.disabled) {
      found.add(Verdict::kWarning, "owner.mover_gone",
                fmt::format("{} let '{}' name this version and is {}", mover.name, facts.alias,
                            mover.known ? "disabled" : "no user of this server"));
    } else {
      found.add(Verdict::kGood, "owner.moved_by",
                fmt::format("{} let '{}' name this version", mover.name, facts.alias));
    }
    if (!facts.approved_by.empty()) {
      found.add(Verdict::kGood, "owner.approved_by",
                fmt::format("{} approved that move", facts.approved_by));
    }
    if (!facts.override_reason.empty()) {
      found.add(Verdict::kWarning, "owner.overridden",
                fmt::format("'{}' was moved although questions were bad, for this reason: {}",
                            facts.alias, facts.override_reason));
    }
  }
  return found.take();
}

// --- the right binary ---

void judge_replica(const Facts& facts, const Replica& replica, Findings& found) {
  const std::string ref = fmt::format("endpoint:{}@{}", replica.endpoint, replica.deployment);
  const std::vector<std::string> refs =
      replica.answers ? std::vector<std::string>{ref} : std::vector<std::string>{};
  if (!replica.answers) {
    if (replica.state == EndpointState::kLoading) {
      found.add(Verdict::kUnknown, "binary.loading",
                fmt::format("endpoint {} is loading its first version", replica.endpoint));
    } else {
      found.add(
          Verdict::kBad, "binary.failed",
          fmt::format("endpoint {} answers with nothing: {}", replica.endpoint, replica.error));
    }
    return;
  }
  if (replica.package_digest == facts.package_digest) {
    if (replica.state == EndpointState::kDegraded) {
      found.add(Verdict::kWarning, "binary.degraded",
                fmt::format("endpoint {} answers with these bytes, but: {}", replica.endpoint,
                            replica.error),
                refs);
      return;
    }
    found.add(Verdict::kGood, "binary.matches",
              fmt::format("endpoint {} loaded the bytes of version {}, {}", replica.endpoint,
                          replica.version, replica.package_digest),
              refs);
    return;
  }
  if (replica.state == EndpointState::kLoading || replica.state == EndpointState::kReady) {
    // What it answers with and what the alias names are read one after the other; it follows.
    found.add(Verdict::kGood, "binary.following",
              fmt::format("endpoint {} is changing to version {}", replica.endpoint, facts.version),
              refs);
    return;
  }
  found.add(Verdict::kBad, "binary.other",
            fmt::format("endpoint {} answers with version {} and cannot follow to version {}: {}",
                        replica.endpoint, replica.version, facts.version, replica.error),
            refs);
}

void judge_signature(const SignatureFacts& facts, Findings& found) {
  const auto& check = facts.check;
  const std::string by = check.signer.empty() ? "" : " by " + check.signer;
  switch (check.state) {
    case signing::SignatureState::kValid:
      found.add(Verdict::kGood, "binary.signed", fmt::format("these bytes are signed{}", by));
      return;
    case signing::SignatureState::kInvalid:
      found.add(Verdict::kBad, "binary.bad_signature",
                fmt::format("the signature{} does not hold: {}", by, check.reason));
      return;
    case signing::SignatureState::kUntrusted:
      found.add(
          facts.required ? Verdict::kBad : Verdict::kWarning, "binary.untrusted_signature",
          fmt::format("it is signed{}, whom the project does not trust: {}", by, check.reason));
      return;
    case signing::SignatureState::kNone:
      if (facts.required)
        found.add(Verdict::kBad, "binary.unsigned",
                  "it is not signed, and the project asks for signatures; sign it with 'strata "
                  "model sign'");
      return;
  }
}

Answer judge_binary(const Facts& facts) {
  Findings found;
  judge_signature(facts.signature, found);
  for (const auto& replica : facts.replicas)
    judge_replica(facts, replica, found);
  if (facts.replicas.empty())
    found.add(Verdict::kUnknown, "binary.not_deployed", "no endpoint follows it");
  return found.take();
}

// --- the right features ---

const Column* column_of(const std::vector<Column>& columns, const std::string& name) {
  const auto at = std::find_if(columns.begin(), columns.end(),
                               [&](const Column& column) { return column.name == name; });
  return at == columns.end() ? nullptr : &*at;
}

// Whether the inputs come in the order that the training set has them in.
bool in_order(const std::vector<Column>& inputs, const std::vector<Column>& columns) {
  auto at = columns.begin();
  for (const auto& input : inputs) {
    at = std::find_if(at, columns.end(),
                      [&](const Column& column) { return column.name == input.name; });
    if (at == columns.end()) return false;
    ++at;
  }
  return true;
}

void judge_training_set(const FeatureFacts& facts, const TrainingSet& set, Findings& found) {
  std::vector<std::string> missing, retyped;
  for (const auto& input : facts.inputs) {
    const auto* const column = column_of(set.columns, input.name);
    if (column == nullptr) {
      missing.push_back(input.name);
    } else if (column->type != input.type) {
      retyped.push_back(fmt::format("{} ({} instead of {})", input.name, input.type, column->type));
    }
  }
  if (!missing.empty()) {
    found.add(Verdict::kBad, "features.missing",
              fmt::format("the model asks for columns that the training set '{}' does not have: {}",
                          set.name, listed(missing)));
  }
  if (!retyped.empty()) {
    found.add(Verdict::kBad, "features.type",
              fmt::format("the model asks for other types than the training set '{}' has: {}",
                          set.name, listed(retyped)));
  }
  if (!missing.empty() || !retyped.empty()) return;
  if (!in_order(facts.inputs, set.columns)) {
    found.add(Verdict::kWarning, "features.order",
              fmt::format("the model takes its columns in another order than the training set '{}' "
                          "has them in",
                          set.name));
    return;
  }
  found.add(
      Verdict::kGood, "features.match",
      fmt::format("the {} columns that the model asks for are those of the training set '{}', "
                  "by name, order and type",
                  facts.inputs.size(), set.name));
}

Answer judge_features(const FeatureFacts& facts) {
  Findings found;
  if (!facts.has_signature) {
    found.add(
        Verdict::kBad, "features.no_signature",
        "the model was logged without a signature, so nobody knows which columns it takes; log "
        "it with one (mlflow.models.infer_signature)");
    return found.take();
  }
  bool compared = false;
  for (const auto& set : facts.training_sets) {
    if (set.columns.empty() || facts.inputs.empty()) continue;
    compared = true;
    judge_training_set(facts, set, found);
  }
  if (!compared) {
    found.add(Verdict::kUnknown, "features.no_training_set",
              "its run logged no training set with columns (mlflow.log_input with context "
              "'training'), so there is nothing to compare the signature with");
  }
  return found.take();
}

// --- the code ---

void judge_sources(const CodeFacts& facts, Findings& found) {
  if (!facts.commit.empty()) {
    const std::vector<std::string> refs = {"commit:" + facts.commit};
    if (facts.dirty && !facts.has_diff) {
      found.add(Verdict::kBad, "code.dirty",
                fmt::format("it was made from changes to commit {} that nobody kept", facts.commit),
                refs);
    } else if (facts.dirty) {
      found.add(Verdict::kWarning, "code.dirty_with_diff",
                fmt::format("it was made from commit {} with changes; the run keeps the difference",
                            facts.commit),
                refs);
    } else {
      found.add(Verdict::kGood, "code.commit",
                fmt::format("it was made from commit {}", facts.commit), refs);
    }
  }
  if (facts.flow.empty()) return;
  if (!facts.flow_known) {
    found.add(Verdict::kWarning, "code.pipeline_gone",
              fmt::format("pipeline {}, which made it, was deleted", facts.flow));
  } else if (!facts.same_code) {
    found.add(
        Verdict::kWarning, "code.behind",
        facts.changed_files.empty()
            ? fmt::format("pipeline {} runs other steps today than those that made it", facts.flow)
            : fmt::format("pipeline {} has other sources today than those that made it: {}",
                          facts.flow, listed(facts.changed_files)));
  } else {
    found.add(Verdict::kGood, "code.current",
              fmt::format("pipeline {} runs the same steps and sources today", facts.flow));
  }
}

Answer judge_code(const CodeFacts& facts) {
  Findings found;
  judge_sources(facts, found);
  if (facts.commit.empty() && facts.flow.empty()) {
    found.add(
        Verdict::kUnknown, "code.unrecorded",
        facts.run_id.empty()
            ? "no run made it, so its code is not known"
            : "its run names no commit and was no step of a pipeline, so its code is not known");
  }
  if (!facts.has_requirements) {
    found.add(Verdict::kUnknown, "code.no_environment",
              "the model says nothing of the packages that it needs (requirements.txt)");
  } else if (!facts.unpinned.empty()) {
    found.add(Verdict::kWarning, "code.unlocked",
              fmt::format("its requirements do not say which version: {}", listed(facts.unpinned)));
  } else {
    found.add(Verdict::kGood, "code.locked", "each of its requirements names one version");
  }
  return found.take();
}

// --- the data ---

// What happened to columns, and how that is called.
struct SchemaWords {
  std::string what;  // "table main.t"
  std::string changed, added;
};

// Types are compared without case, as SQL has them.
void judge_schema(const SchemaWords& words, const std::vector<Column>& then,
                  const std::vector<Column>& current, const std::string& ref, Findings& found) {
  std::vector<std::string> lost, retyped, added;
  for (const auto& column : then) {
    const auto* const now = column_of(current, column.name);
    if (now == nullptr) {
      lost.push_back(column.name);
    } else if (!equal_ignoring_case(now->type, column.type)) {
      retyped.push_back(fmt::format("{} ({} instead of {})", column.name, now->type, column.type));
    }
  }
  for (const auto& column : current) {
    if (column_of(then, column.name) == nullptr) added.push_back(column.name);
  }
  if (!lost.empty() || !retyped.empty()) {
    std::vector<std::string> said;
    if (!lost.empty()) said.push_back("lost " + listed(lost));
    if (!retyped.empty()) said.push_back("other types for " + listed(retyped));
    found.add(Verdict::kBad, words.changed,
              fmt::format("{} changed since training: {}", words.what, join(said, "; ")), {ref});
  } else if (!added.empty()) {
    found.add(Verdict::kWarning, words.added,
              fmt::format("{} has new columns since training: {}", words.what, listed(added)),
              {ref});
  }
}

// Such a fall is no daily change, whatever the table.
constexpr std::int64_t kFall = 2;

void judge_table(const TableFacts& table, Instant created, Findings& found) {
  if (!table.exists) {
    // Before the model was registered it may have been a table of the pipeline's own.
    if (table.dropped && *table.dropped > created) {
      found.add(Verdict::kBad, "data.table_gone",
                fmt::format("table {}, which it was trained on, was dropped", table.name),
                {table.ref});
    }
    return;
  }
  judge_schema({"table " + table.name, "data.schema", "data.columns_added"}, table.columns,
               table.columns_now, table.ref, found);
  if (table.rows <= 0 || table.rows_now < 0) return;
  if (table.rows_now == 0) {
    found.add(Verdict::kBad, "data.empty",
              fmt::format("table {} had {} rows at training and is empty", table.name, table.rows),
              {table.ref});
  } else if (table.rows_now < table.rows / kFall) {
    found.add(Verdict::kWarning, "data.rows_fell",
              fmt::format("table {} had {} rows at training and has fewer than half of them",
                          table.name, table.rows),
              {table.ref});
  }
}

void judge_object(const ObjectFacts& object, Findings& found) {
  if (!object.exists) {
    found.add(Verdict::kBad, "data.object_gone",
              fmt::format("object {}, which it was trained on, was deleted", object.name),
              {object.ref});
  } else if (object.size_now == 0) {
    found.add(Verdict::kBad, "data.object_empty",
              fmt::format("object {}, which it was trained on, is empty", object.name),
              {object.ref});
  }
}

void judge_step(const StepFacts& step, const Facts& facts, Instant now, Findings& found,
                std::optional<Instant>& until) {
  const std::string name = fmt::format("step {} of pipeline {}", step.step, step.flow);
  if (!step.known) {
    found.add(Verdict::kWarning, "data.pipeline_gone",
              fmt::format("{}, which made its data, is no longer there", name));
    return;
  }
  if (step.last_state == "failed") {
    found.add(Verdict::kBad, "data.step_failed",
              fmt::format("{} failed in its newest run {}", name, step.last_run),
              {fmt::format("task:{}/{}", step.last_run, step.step)});
  }
  if (!step.trigger_error.empty()) {
    found.add(Verdict::kBad, "data.trigger_failed",
              fmt::format("the newest trigger of pipeline {} started no run: {}", step.flow,
                          step.trigger_error));
  }
  if (step.fresh.count() == 0) return;
  const Instant due = step.succeeded.value_or(facts.created) + step.fresh;
  if (due <= now) {
    found.add(Verdict::kBad, "data.late",
              fmt::format("{} succeeded at {} and promised to do so again by {}", name,
                          to_rfc3339(step.succeeded.value_or(facts.created)), to_rfc3339(due)));
  } else if (!until || due < *until) {
    until = due;
  }
}

// --- jobs that run elsewhere ---

std::string name_of(const external::Identifier& id) {
  return fmt::format("{} of {}", id.name, id.space);
}

void judge_producer(const external::Producer& producer, Findings& found) {
  const bool failed = producer.state == external::RunState::kFail;
  if (!failed && producer.state != external::RunState::kAbort) return;
  found.add(failed ? Verdict::kBad : Verdict::kWarning,
            failed ? "data.external_failed" : "data.external_aborted",
            fmt::format("job {}, which makes its data, {} in its newest run {}{}{}",
                        name_of(producer.job), failed ? "failed" : "was aborted", producer.run,
                        producer.error.empty() ? "" : ": ", producer.error.substr(0, kQuoted)),
            {"external_run:" + producer.run});
}

std::vector<Column> columns_of(const std::vector<wire::openlineage::Column>& columns) {
  std::vector<Column> out;
  for (const auto& column : columns)
    out.push_back({column.name, column.type});
  return out;
}

void judge_rows(const external::Reported& told, Findings& found) {
  const std::int64_t then = told.rows_then.value_or(0), now = told.rows_now.value_or(-1);
  if (then <= 0 || now < 0) return;
  if (now == 0) {
    found.add(Verdict::kBad, "data.external_empty",
              fmt::format("{} rows were written to {} before training, and none the last time",
                          then, name_of(told.dataset)),
              {told.ref});
  } else if (now < then / kFall) {
    found.add(Verdict::kWarning, "data.external_rows_fell",
              fmt::format("{} rows were written to {} before training, and fewer than half of them "
                          "the last time",
                          then, name_of(told.dataset)),
              {told.ref});
  }
}

void judge_reported(const external::Reported& told, Findings& found) {
  const std::string name = name_of(told.dataset);
  // A schema without columns is one that was taken back.
  if (told.schema_then && told.schema_now && !told.schema_now->empty()) {
    judge_schema({"dataset " + name, "data.external_schema", "data.external_columns_added"},
                 columns_of(*told.schema_then), columns_of(*told.schema_now), told.ref, found);
  }
  judge_rows(told, found);
  std::vector<std::string> broken, doubtful;
  for (const auto& one : told.failed) {
    const std::string words =
        one.column.empty() ? one.assertion : fmt::format("{} of {}", one.assertion, one.column);
    (one.only_warns ? doubtful : broken).push_back(words);
  }
  if (!broken.empty()) {
    found.add(Verdict::kBad, "data.external_quality",
              fmt::format("checks of dataset {} failed: {}", name, listed(broken)), {told.ref});
  }
  if (!doubtful.empty()) {
    found.add(Verdict::kWarning, "data.external_quality_warned",
              fmt::format("checks of dataset {} warned: {}", name, listed(doubtful)), {told.ref});
  }
}

Answer judge_data(const Facts& facts, Instant now, std::optional<Instant>& until) {
  const DataFacts& data = facts.data;
  Findings found;
  for (const auto& step : data.steps)
    judge_step(step, facts, now, found, until);
  for (const auto& table : data.tables)
    judge_table(table, facts.created, found);
  for (const auto& object : data.objects)
    judge_object(object, found);
  for (const auto& producer : data.external.producers)
    judge_producer(producer, found);
  for (const auto& told : data.external.reported)
    judge_reported(told, found);
  if (data.truncated || data.external.truncated) {
    found.add(Verdict::kUnknown, "data.truncated",
              "its lineage is longer than one walk shows, so not all of it was looked at");
  }
  if (data.tables.empty() && data.objects.empty()) {
    found.add(Verdict::kUnknown, "data.unrecorded",
              "no table or object is known to lead to it; name the training set with "
              "mlflow.log_input, or train in a step of a pipeline");
  } else if (!found.worse_than_good()) {
    found.add(Verdict::kGood, "data.sound",
              fmt::format("{} tables and {} objects that it rests upon are there, with the columns "
                          "of the training, and {} steps that make them ended well",
                          data.tables.size(), data.objects.size(), data.steps.size()));
  }
  return found.take();
}

}  // namespace

Judgement judge(const Facts& facts, Instant now) {
  Judgement out;
  out.report.model = facts.model;
  out.report.subject = facts.subject;
  out.report.version = facts.version;
  out.report.digest = facts.digest;
  out.report.package_digest = facts.package_digest;
  out.report.answers = {judge_owner(facts.owner), judge_binary(facts),
                        judge_features(facts.features), judge_code(facts.code),
                        judge_data(facts, now, out.until)};
  return out;
}

Json report_json(const Report& report) {
  Json questions = Json::array();
  for (std::size_t i = 0; i < kQuestions; ++i) {
    const auto question = static_cast<Question>(i);
    Json evidence = Json::array();
    for (const auto& one : report.answers[i].evidence) {
      Json refs = Json::array();
      for (const auto& ref : one.refs)
        refs.push(Json(ref));
      evidence.push(Json::object({{"verdict", verdict_name(one.verdict)},
                                  {"code", one.code},
                                  {"text", one.text},
                                  {"refs", std::move(refs)}}));
    }
    questions.push(Json::object({{"question", question_name(question)},
                                 {"text", question_text(question)},
                                 {"verdict", verdict_name(report.answers[i].verdict)},
                                 {"evidence", std::move(evidence)}}));
  }
  return Json::object({{"model", report.model},
                       {"subject", report.subject},
                       {"version", report.version},
                       {"digest", report.digest},
                       {"package_digest", report.package_digest},
                       {"questions", std::move(questions)}});
}

}  // namespace strata::platform::verdicts
