#include "platform/verdicts/verdicts.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "platform/verdicts/gather.hpp"

namespace strata::platform::verdicts {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr int kEventsAtOnce = 500;

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"verdicts", 1, R"sql(
CREATE TABLE verdict_reports (project TEXT NOT NULL, model TEXT NOT NULL, subject TEXT NOT NULL,
  number INTEGER NOT NULL, time_us INTEGER NOT NULL, report TEXT NOT NULL,
  PRIMARY KEY (project, model, subject, number));
)sql"}}};

struct Kept {
  std::int64_t number = 0;
  Instant time;
  std::string report;
};

// The newest report at that time; one without text says that the subject was there no more.
Result<std::optional<Kept>> kept(Reader& reader, const std::string& project,
                                 const std::string& model, const std::string& subject, Instant at) {
  auto row = reader.first(
      "SELECT number, time_us, report FROM verdict_reports WHERE project = ? AND model = ? AND "
      "subject = ? AND time_us <= ? ORDER BY number DESC LIMIT 1",
      {project, model, subject, at.micros});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<Kept>();
  return std::optional(Kept{(*row)->integer(0), Instant{(*row)->integer(1)}, (*row)->text(2)});
}

std::string verdict_in(const Json& report, std::string_view question) {
  if (!report["questions"].is_array()) return "";
  for (const auto& one : report["questions"].as_array()) {
    if (one.text("question") == question) return one.text("verdict");
  }
  return "";
}

// Of the evidence that makes the verdict.
Json codes_of(const Answer& answer) {
  Json codes = Json::array();
  for (const auto& evidence : answer.evidence) {
    if (evidence.verdict == answer.verdict) codes.push(Json(evidence.code));
  }
  return codes;
}

}  // namespace

// What concerns a model, from the last look.
struct Verdicts::Watched {
  std::set<std::string> subjects;
  std::optional<Instant> until;
};

Verdicts::Verdicts(Ports ports) : ports_(ports), gatherer_(std::make_unique<Gatherer>(ports_)) {}

Verdicts::~Verdicts() = default;

std::span<const kernel::Migration> Verdicts::migrations() {
  return kMigrations;
}

Status Verdicts::start() {
  ports_.scope.spawn(ports_.loops.next(), watch());
  return {};
}

// Level-triggered: an event only says where to look. Failures are looked at again with the next
// event or second.
Task<void> Verdicts::watch() {
  const auto stop = ports_.scope.token();
  std::uint64_t seen = ports_.events.generation();
  std::int64_t cursor = (co_await ports_.events.newest()).value_or(0);
  std::uint64_t people = 0, endpoints = 0;
  bool first = true;
  std::set<Key> dirty;
  while (!stop.stop_requested()) {
    const auto people_now = ports_.identity.generation();
    const auto endpoints_now = ports_.endpoints.changes();
    if (auto noted = co_await note_events(cursor, dirty); !noted)
      log::error("verdicts.watch", Json::object({{"error", noted.error().to_string()}}));
    if (first) {
      if (auto found = co_await find_models(dirty); !found)
        log::error("verdicts.watch", Json::object({{"error", found.error().to_string()}}));
      else
        first = false;
    }
    const Instant now = ports_.clock.now();
    for (const auto& [key, watched] : watched_) {
      const bool due = watched.until && *watched.until <= now;
      if (due || people != people_now || endpoints != endpoints_now) dirty.insert(key);
    }
    people = people_now;
    endpoints = endpoints_now;
    for (const auto& key : std::exchange(dirty, {})) {
      if (stop.stop_requested()) break;
      const auto looked = co_await look(key);
      if (looked) continue;
      dirty.insert(key);
      log::warn("verdicts.look", Json::object({{"project", key.first},
                                               {"model", key.second},
                                               {"error", looked.error().to_string()}}));
    }
    seen = co_await ports_.events.next_change(seen, kLookEvery);
  }
}

Task<Status> Verdicts::note_events(std::int64_t& cursor, std::set<Key>& dirty) {
  while (true) {
    const auto events = co_await ports_.events.since(cursor, kEventsAtOnce);
    if (!events) co_return events.error();
    for (const auto& event : *events) {
      if (event.type == "model.renamed") {
        STRATA_CO_TRY(co_await rename(event.project.str(), event.subject.substr(6),
                                      event.data.text("new_name")));
        dirty.insert({event.project.str(), event.data.text("new_name")});
      }
      note(event, dirty);
      cursor = event.sequence;
    }
    if (events->size() < static_cast<std::size_t>(kEventsAtOnce)) co_return Status();
  }
}

void Verdicts::note(const kernel::Event& event, std::set<Key>& dirty) const {
  if (event.type == "verdict.changed") return;
  const std::string project = event.project.str();
  if (event.subject.starts_with("model:")) {
    dirty.insert({project, event.subject.substr(6)});
    return;
  }
  if (event.type == "endpoint.created") {
    if (const auto ref = deployment::ModelRef::parse(event.data.text("model")))
      dirty.insert({project, ref->name});
    return;
  }
  const std::string subject =
      event.subject.starts_with("flow_run:") ? "flow:" + event.data.text("flow") : event.subject;
  for (const auto& [key, watched] : watched_) {
    if (key.first == project && watched.subjects.contains(subject)) dirty.insert(key);
  }
}

Task<Status> Verdicts::find_models(std::set<Key>& dirty) {
  const auto all = co_await ports_.models.everywhere();
  if (!all) co_return all.error();
  for (const auto& [project, name] : *all)
    dirty.insert({project.str(), name});
  co_return Status();
}

std::vector<std::string> Verdicts::subjects_of(const Caller& caller,
                                               const models::Model& model) const {
  std::set<std::string> subjects;
  for (const auto& alias : model.aliases)
    subjects.insert("@" + alias.name);
  for (const auto& endpoint : ports_.endpoints.list(caller)) {
    const auto ref = deployment::ModelRef::parse(endpoint.model_ref);
    if (ref && ref->name == model.name && ref->alias.empty()) subjects.insert(ref->version);
  }
  return {subjects.begin(), subjects.end()};
}

Task<Status> Verdicts::look(const Key& key) {
  auto caller = ports_.identity.system_caller();
  caller.project = ProjectId(key.first);
  const auto model = co_await ports_.models.model(caller, key.second);
  if (!model && model.error().code == Code::kNotFound) {
    watched_.erase(key);
    co_return co_await end_others(key, {});
  }
  if (!model) co_return model.error();
  Watched watched;
  watched.subjects.insert("model:" + key.second);
  const auto subjects = subjects_of(caller, *model);
  STRATA_CO_TRY(co_await end_others(key, subjects));
  for (const auto& subject : subjects) {
    auto gathered = co_await gatherer_->gather(caller, *model, subject);
    // An alias may be taken away between two looks; the event of that comes.
    if (!gathered && gathered.error().code == Code::kNotFound) continue;
    if (!gathered) co_return std::move(gathered).error();
    const auto judged = judge(gathered->facts, ports_.clock.now());
    watched.subjects.merge(gathered->subjects);
    if (judged.until && (!watched.until || *judged.until < *watched.until))
      watched.until = judged.until;
    STRATA_CO_TRY(co_await keep(key, judged.report));
  }
  watched_[key] = std::move(watched);
  co_return Status();
}

Task<Status> Verdicts::keep(const Key& key, const Report& report) {
  const std::string text = report_json(report).dump();
  const auto& [project, name] = key;
  auto write = [&](Writer& writer) -> Status {
    const Instant now = ports_.clock.now();
    const auto last = kept(writer, project, name, report.subject, now);
    if (!last) return last.error();
    if (*last && (*last)->report == text) return {};
    STRATA_TRY(writer.execute(
        "INSERT INTO verdict_reports (project, model, subject, number, time_us, report) VALUES (?, "
        "?, ?, ?, ?, ?)",
        {project, name, report.subject, *last ? (*last)->number + 1 : 1, now.micros, text}));
    Json before;
    if (*last && !(*last)->report.empty()) {
      auto parsed = parse_json((*last)->report);
      if (!parsed) return parsed.error().wrap("a kept report cannot be read");
      before = std::move(*parsed);
    }
    for (std::size_t i = 0; i < kQuestions; ++i) {
      const auto question = question_name(static_cast<Question>(i));
      const std::string from = verdict_in(before, question);
      const auto to = verdict_name(report.answers[i].verdict);
      if (from == to) continue;
      STRATA_TRY(ports_.events.publish(writer, ProjectId(project), "verdict.changed",
                                       "model:" + name,
                                       Json::object({{"subject", report.subject},
                                                     {"version", report.version},
                                                     {"question", question},
                                                     {"from", from.empty() ? Json() : Json(from)},
                                                     {"to", to},
                                                     {"codes", codes_of(report.answers[i])}})));
    }
    return {};
  };
  // Most looks change nothing, and need no turn of the writer to see that.
  auto same = [&](Reader& reader) -> Result<bool> {
    const auto last = kept(reader, project, name, report.subject, ports_.clock.now());
    if (!last) return last.error();
    return *last && (*last)->report == text;
  };
  const auto unchanged = co_await ports_.records.read(same);
  if (!unchanged) co_return unchanged.error();
  if (*unchanged) co_return Status();
  co_return co_await ports_.records.write(write);
}

// What the subject stood for is over: the alias was taken away, or the model was deleted.
Task<Status> Verdicts::end_others(const Key& key, const std::vector<std::string>& standing) {
  const auto& [project, name] = key;
  auto open = [&](Reader& reader) -> Result<std::vector<std::pair<std::string, std::int64_t>>> {
    auto rows = reader.query(
        "SELECT subject, number FROM verdict_reports v WHERE project = ? AND model = ? AND report "
        "<> '' AND number = (SELECT MAX(number) FROM verdict_reports l WHERE l.project = v.project "
        "AND l.model = v.model AND l.subject = v.subject)",
        {project, name});
    if (!rows) return std::move(rows).error();
    std::vector<std::pair<std::string, std::int64_t>> out;
    for (const auto& row : *rows) {
      if (std::find(standing.begin(), standing.end(), row.text(0)) == standing.end())
        out.emplace_back(row.text(0), row.integer(1));
    }
    return out;
  };
  const auto over = co_await ports_.records.read(open);
  if (!over) co_return over.error();
  if (over->empty()) co_return Status();
  auto write = [&](Writer& writer) -> Status {
    for (const auto& [subject, number] : *over) {
      STRATA_TRY(writer.execute(
          "INSERT INTO verdict_reports (project, model, subject, number, time_us, report) VALUES "
          "(?, ?, ?, ?, ?, '') ON CONFLICT DO NOTHING",
          {project, name, subject, number + 1, ports_.clock.now().micros}));
    }
    return {};
  };
  co_return co_await ports_.records.write(write);
}

Task<Status> Verdicts::rename(std::string project, std::string from, std::string to) {
  auto write = [&](Writer& writer) -> Status {
    STRATA_TRY(
        writer.execute("UPDATE verdict_reports SET model = ? WHERE project = ? AND model = ?",
                       {to, project, from}));
    return {};
  };
  watched_.erase({project, from});
  co_return co_await ports_.records.write(write);
}

Task<Result<std::string>> Verdicts::default_subject(const Caller& caller,
                                                    const models::Model& model) {
  for (const auto& endpoint : ports_.endpoints.list(caller)) {
    const auto ref = deployment::ModelRef::parse(endpoint.model_ref);
    if (ref && ref->name == model.name)
      co_return ref->alias.empty() ? ref->version : "@" + ref->alias;
  }
  if (model.aliases.size() == 1) co_return "@" + model.aliases.front().name;
  const auto newest =
      co_await ports_.models.resolve(caller, fmt::format("models:/{}/latest", model.name));
  if (!newest) co_return newest.error();
  co_return std::to_string(newest->version);
}

Task<Result<Explanation>> Verdicts::explain(const Caller& caller, std::string name,
                                            std::string subject, std::optional<Instant> at) {
  if (!caller.may(kernel::Permission::kLineageRead))
    co_return kernel::lacks_permission(caller, kernel::Permission::kLineageRead);
  const auto model = co_await ports_.models.model(caller, name);
  if (!model) co_return model.error();
  if (subject.empty()) {
    auto standing = co_await default_subject(caller, *model);
    if (!standing) co_return std::move(standing).error();
    subject = std::move(*standing);
  }
  Explanation out;
  const Instant when = at.value_or(ports_.clock.now());
  auto load = [&](Reader& reader) {
    return kept(reader, caller.project.str(), name, subject, when);
  };
  const auto last = co_await ports_.records.read(load);
  if (!last) co_return last.error();
  if (at) {
    if (!*last || (*last)->report.empty()) {
      co_return not_found(fmt::format(
          "nothing was recorded about {} of model '{}' at {}; versions that no alias names and no "
          "endpoint follows are judged only when asked for",
          printable(subject), printable(name), to_rfc3339(*at)));
    }
    auto report = parse_json((*last)->report);
    if (!report) co_return report.error().wrap("a kept report cannot be read");
    out.report = std::move(*report);
    out.since = (*last)->time;
  } else {
    auto own = ports_.identity.system_caller();
    own.project = caller.project;
    auto gathered = co_await gatherer_->gather(own, *model, subject);
    if (!gathered) co_return std::move(gathered).error();
    out.report = report_json(judge(gathered->facts, when).report);
    if (*last && (*last)->report == out.report.dump()) out.since = (*last)->time;
  }
  auto answered = co_await ports_.endpoints.deployments_at(caller, name, when);
  if (!answered) co_return std::move(answered).error();
  out.answered = std::move(*answered);
  co_return out;
}

}  // namespace strata::platform::verdicts
