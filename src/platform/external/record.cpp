#include "platform/external/record.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "kernel/lineage/states.hpp"
#include "platform/external/names.hpp"

namespace strata::platform::external {

using kernel::LineageEdge;
using kernel::NodeRef;
using wire::openlineage::DatasetReport;
using wire::openlineage::Event;
using wire::openlineage::is_end;
using wire::openlineage::Kind;
using wire::openlineage::run_state_name;

namespace {

constexpr int kMaxFiles = 1000;  // of a folder, that one run is tied to
// How far back a run that told no beginning may have made files.
constexpr std::chrono::hours kLongestUntold{24};
constexpr std::size_t kMaxKept = 200;        // kinds of facets of one thing
constexpr std::size_t kMaxErrorText = 2000;  // bytes of a run's error

Result<Json> fold_facets(const std::string& stored, const Json& came, Instant time,
                         std::string_view field) {
  auto known = parse_json(stored);
  if (!known) return known.error().wrap("kept facets cannot be read");
  Json merged = merged_facets(*std::move(known), came, time);
  if (merged.size() > kMaxKept) {
    return invalid(std::string(field),
                   fmt::format("{}: {} kinds of facets have come for it; at most {} are kept",
                               field, merged.size(), kMaxKept));
  }
  return merged;
}

RunState state_of(std::int64_t number) {
  return static_cast<RunState>(number);
}

Json columns_json(const std::vector<wire::openlineage::Column>& columns) {
  Json out = Json::array();
  for (const auto& column : columns)
    out.push(Json::object({{"name", column.name}, {"type", column.type}}));
  return out;
}

Json assertions_json(const std::vector<wire::openlineage::Assertion>& assertions) {
  Json out = Json::array();
  for (const auto& one : assertions) {
    out.push(Json::object({{"assertion", one.assertion},
                           {"column", one.column},
                           {"name", one.name},
                           {"success", one.success},
                           {"only_warns", one.only_warns}}));
  }
  return out;
}

}  // namespace

Status Recording::publish(std::string_view type, const std::string& subject, const Json& data) {
  changed_ = true;
  return events_.publish(writer_, caller_.project, type, subject, data);
}

Status Recording::add(const Event& event) {
  if (event.kind == Kind::kDataset) return use(event, 0, "", event.outputs.front(), nullptr);
  const auto job = job_of(event);
  if (!job) return job.error();
  std::optional<KnownRun> run;
  if (event.kind == Kind::kRun) {
    auto known = run_of(event, *job);
    if (!known) return std::move(known).error();
    run = *std::move(known);
  } else {
    STRATA_TRY(declare(*job, event.time));
  }
  for (const auto& input : event.inputs)
    STRATA_TRY(use(event, *job, "in", input, run ? &*run : nullptr));
  for (const auto& output : event.outputs)
    STRATA_TRY(use(event, *job, "out", output, run ? &*run : nullptr));
  if (!run) return {};
  if (is_end(run->state)) STRATA_TRY(settle_pending(*run, *job, event.run_id));
  STRATA_TRY(link_reads(*run, event.run_id));
  return run->state == RunState::kComplete ? link_products(*run, event.run_id) : Status();
}

Result<std::int64_t> Recording::job_of(const Event& event) {
  const auto row = writer_.first(
      "SELECT id, facets, seen_us FROM external_jobs WHERE project = ? AND namespace = ? AND name "
      "= ?",
      {caller_.project.str(), event.job.space, event.job.name});
  if (!row) return row.error();
  const auto facets =
      fold_facets(*row ? (*row)->text(1) : "{}", event.job_facets, event.time, "job.facets");
  if (!facets) return facets.error();
  const std::string text = facets->dump();
  if (!*row) {
    changed_ = true;
    const auto made = writer_.query(
        "INSERT INTO external_jobs (project, namespace, name, declared_us, seen_us, facets) VALUES "
        "(?, ?, ?, 0, ?, ?) RETURNING id",
        {caller_.project.str(), event.job.space, event.job.name, event.time.micros, text});
    if (!made) return made.error();
    return made->front().integer(0);
  }
  const std::int64_t id = (*row)->integer(0), seen = (*row)->integer(2);
  if (text == (*row)->text(1) && event.time.micros <= seen) return id;
  changed_ = true;
  STRATA_TRY(writer_.execute("UPDATE external_jobs SET facets = ?, seen_us = ? WHERE id = ?",
                             {text, std::max(seen, event.time.micros), id}));
  return id;
}

// What a job's own event lists is all that it reads and writes from then on.
Status Recording::declare(std::int64_t job, Instant time) {
  const auto done =
      writer_.execute("UPDATE external_jobs SET declared_us = ? WHERE id = ? AND declared_us < ?",
                      {time.micros, job, time.micros});
  if (!done) return done.error();
  if (*done == 0) return {};
  // Who watched what it made until now looks again.
  const auto rows = writer_.query(
      "SELECT d.namespace, d.name, d.owned FROM external_uses u JOIN external_datasets d ON d.id = "
      "u.dataset WHERE u.job = ? ORDER BY d.id",
      {job});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    const Identifier id{row.text(0), row.text(1)};
    STRATA_TRY(publish("external_dataset.changed", dataset_subject(id, row.text(2)),
                       Json::object({{"namespace", id.space}, {"name", id.name}})));
  }
  changed_ = true;
  return {};
}

Result<Recording::KnownRun> Recording::run_of(const Event& event, std::int64_t job) {
  const auto row = writer_.first(
      "SELECT id, state, state_us, started_us, facets, error, parent, seen_us FROM external_runs "
      "WHERE job = ? AND run_id = ?",
      {job, event.run_id});
  if (!row) return row.error();
  const auto facets =
      fold_facets(*row ? (*row)->text(4) : "{}", event.run_facets, event.time, "run.facets");
  if (!facets) return facets.error();
  const RunState before = *row ? state_of((*row)->integer(1)) : RunState::kOther;
  std::int64_t state_us = *row ? (*row)->integer(2) : std::numeric_limits<std::int64_t>::min();
  RunState state = before;
  std::string error = *row ? (*row)->text(5) : "";
  const bool newer = std::pair(event.time.micros, event.state) > std::pair(state_us, state);
  if (event.state != RunState::kOther && newer) {
    state = event.state;
    state_us = event.time.micros;
    error = event.error.substr(0, kMaxErrorText);
  }
  std::optional<std::int64_t> started = *row ? (*row)->maybe_integer(3) : std::nullopt;
  if (event.state == RunState::kStart && event.time.micros < started.value_or(INT64_MAX))
    started = event.time.micros;
  const std::string parent = event.parent_run.empty() && *row ? (*row)->text(6) : event.parent_run;
  KnownRun run{0, state, std::nullopt, std::nullopt};
  if (started) run.started = Instant{*started};
  if (is_end(state)) run.ended = Instant{state_us};
  const kernel::SqlValue ended = is_end(state) ? kernel::SqlValue(state_us) : kernel::SqlValue();
  const std::string text = facets->dump();
  const auto number = static_cast<std::int64_t>(state);
  if (!*row) {
    const auto made = writer_.query(
        "INSERT INTO external_runs (job, run_id, state, state_us, started_us, ended_us, error, "
        "parent, sender, facets, seen_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        {job, event.run_id, number, state_us, started, ended, error, parent, caller_.user_name,
         text, event.time.micros});
    if (!made) return made.error();
    run.id = made->front().integer(0);
    kernel::LineageNode node;
    node.ref = run_ref(event.run_id);
    node.owner = caller_.user_name;
    node.time = event.time;
    node.facts = Json::object(
        {{"namespace", event.job.space}, {"job", event.job.name}, {"producer", event.producer}});
    STRATA_TRY(lineage_.report(writer_, caller_.project, node));
    changed_ = true;
  } else {
    run.id = (*row)->integer(0);
    const bool same = state == before && state_us == (*row)->integer(2) &&
                      started == (*row)->maybe_integer(3) && text == (*row)->text(4) &&
                      parent == (*row)->text(6) && event.time.micros <= (*row)->integer(7);
    if (same) return run;
    changed_ = true;
    STRATA_TRY(writer_.execute(
        "UPDATE external_runs SET state = ?, state_us = ?, started_us = ?, ended_us = ?, error = "
        "?, parent = ?, facets = ?, seen_us = ? WHERE id = ?",
        {number, state_us, started, ended, error, parent, text,
         std::max(event.time.micros, (*row)->integer(7)), run.id}));
  }
  if (state == before && *row && (state_us == (*row)->integer(2) || !is_end(state))) return run;
  STRATA_TRY(publish("external_run.changed", job_subject(event.job),
                     Json::object({{"run", event.run_id},
                                   {"state", run_state_name(state)},
                                   {"time", to_rfc3339(Instant{event.time.micros})}})));
  return run;
}

Result<Recording::KnownDataset> Recording::dataset_of(const DatasetReport& report, Instant time) {
  std::string owned = owned_subject(report.id);
  for (std::size_t i = 0; owned.empty() && i < report.symlinks.size(); ++i)
    owned = owned_subject(report.symlinks[i]);
  const auto row = writer_.first(
      "SELECT id, facets, seen_us, owned FROM external_datasets WHERE project = ? AND namespace = "
      "? AND name = ?",
      {caller_.project.str(), report.id.space, report.id.name});
  if (!row) return row.error();
  const auto facets = fold_facets(*row ? (*row)->text(1) : "{}", report.facets, time,
                                  fmt::format("facets of {}", report.id.name));
  if (!facets) return facets.error();
  const std::string text = facets->dump();
  if (!*row) {
    changed_ = true;
    const auto made = writer_.query(
        "INSERT INTO external_datasets (project, namespace, name, owned, seen_us, facets) VALUES "
        "(?, ?, ?, ?, ?, ?) RETURNING id",
        {caller_.project.str(), report.id.space, report.id.name, owned, time.micros, text});
    if (!made) return made.error();
    if (owned.empty()) {
      kernel::LineageNode node;
      node.ref = dataset_ref(report.id);
      node.time = time;
      node.facts = Json::object({{"namespace", report.id.space}, {"name", report.id.name}});
      STRATA_TRY(lineage_.report(writer_, caller_.project, node));
    }
    return KnownDataset{made->front().integer(0), owned, report.id};
  }
  const std::int64_t id = (*row)->integer(0), seen = (*row)->integer(2);
  // A link that was told once holds, whoever speaks of the dataset without it.
  if (owned.empty()) owned = (*row)->text(3);
  if (text == (*row)->text(1) && time.micros <= seen && owned == (*row)->text(3))
    return KnownDataset{id, owned, report.id};
  changed_ = true;
  STRATA_TRY(writer_.execute(
      "UPDATE external_datasets SET facets = ?, seen_us = ?, owned = ? WHERE id = ?",
      {text, std::max(seen, time.micros), owned, id}));
  if (owned == (*row)->text(3)) return KnownDataset{id, owned, report.id};
  // News both for who knew it by its old name and for who watches what it turns out to be.
  const Json data = Json::object({{"namespace", report.id.space}, {"name", report.id.name}});
  STRATA_TRY(
      publish("external_dataset.changed", dataset_subject(report.id, (*row)->text(3)), data));
  STRATA_TRY(publish("external_dataset.changed", owned, data));
  return KnownDataset{id, owned, report.id};
}

Status Recording::use(const Event& event, std::int64_t job, const std::string& role,
                      const DatasetReport& report, const KnownRun* run) {
  const auto dataset = dataset_of(report, event.time);
  if (!dataset) return dataset.error();
  if (job != 0) {
    const auto known = writer_.first(
        "SELECT j.declared_us, u.last_us FROM external_jobs j LEFT JOIN external_uses u ON u.job = "
        "j.id AND u.dataset = ? AND u.role = ? WHERE j.id = ?",
        {dataset->id, role, job});
    if (!known) return known.error();
    const std::int64_t declared = (*known)->integer(0);
    const bool counted = (*known)->maybe_integer(1).value_or(INT64_MIN) >= declared;
    STRATA_TRY(writer_.execute(
        "INSERT INTO external_uses (job, dataset, role, last_us) VALUES (?, ?, ?, ?) ON CONFLICT "
        "(job, dataset, role) DO UPDATE SET last_us = excluded.last_us WHERE excluded.last_us > "
        "external_uses.last_us",
        {job, dataset->id, role, event.time.micros}));
    // A use counts again when it comes after the job's own event that did not list it.
    if (!counted && event.time.micros >= declared) {
      STRATA_TRY(publish("external_dataset.changed", dataset_subject(report.id, dataset->owned),
                         Json::object({{"namespace", report.id.space}, {"name", report.id.name}})));
    }
  }
  if (run != nullptr) {
    STRATA_TRY(writer_.execute(
        "INSERT INTO external_run_uses (run, dataset, role, linked) VALUES (?, ?, ?, 0) ON "
        "CONFLICT DO NOTHING",
        {run->id, dataset->id, role}));
  }
  return report_facts(event, job, role != "in", report, *dataset, run);
}

Status Recording::report_facts(const Event& event, std::int64_t job, bool output,
                               const DatasetReport& report, const KnownDataset& dataset,
                               const KnownRun* run) {
  Told told{job, event.run_id, "quality", event.time, ""};
  if (report.assertions) {
    told.value = assertions_json(*report.assertions).dump();
    STRATA_TRY(keep(told, dataset));
  }
  if (report.schema && output) {
    told.kind = "schema";
    told.value = columns_json(*report.schema).dump();
    STRATA_TRY(tell_output(told, dataset, run));
  }
  if (report.rows && output) {
    told.kind = "rows";
    told.value = Json(*report.rows).dump();
    STRATA_TRY(tell_output(told, dataset, run));
  }
  return {};
}

// A run that did not end well has not done what it meant to do: until it has, what it tells of its
// outputs waits.
Status Recording::tell_output(const Told& told, const KnownDataset& dataset, const KnownRun* run) {
  if (run == nullptr || run->state == RunState::kComplete) return keep(told, dataset);
  if (is_end(run->state)) return {};
  const auto done = writer_.execute(
      "INSERT INTO external_pending (run, dataset, kind, time_us, value) VALUES (?, ?, ?, ?, ?) ON "
      "CONFLICT (run, dataset, kind) DO UPDATE SET time_us = excluded.time_us, value = "
      "excluded.value WHERE excluded.time_us > external_pending.time_us OR (excluded.time_us = "
      "external_pending.time_us AND excluded.value > external_pending.value)",
      {run->id, dataset.id, told.kind, told.time.micros, told.value});
  if (!done) return done.error();
  if (*done > 0) changed_ = true;
  return {};
}

// At the end of a run: what it told before counts now, or never.
Status Recording::settle_pending(const KnownRun& run, std::int64_t job, const std::string& run_id) {
  const auto rows = writer_.query(
      "SELECT d.id, d.owned, d.namespace, d.name, p.kind, p.time_us, p.value FROM external_pending "
      "p JOIN external_datasets d ON d.id = p.dataset WHERE p.run = ? ORDER BY d.id, p.kind",
      {run.id});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    if (run.state != RunState::kComplete) continue;
    const KnownDataset dataset{row.integer(0), row.text(1), {row.text(2), row.text(3)}};
    const Told told{job, run_id, row.text(4), Instant{row.integer(5)}, row.text(6)};
    STRATA_TRY(keep(told, dataset));
  }
  if (!rows->empty())
    STRATA_TRY(writer_.execute("DELETE FROM external_pending WHERE run = ?", {run.id}));
  return {};
}

Status Recording::keep(const Told& told, const KnownDataset& dataset) {
  const auto newest = writer_.first(
      "SELECT time_us, value FROM external_reports WHERE dataset = ? AND job = ? AND kind = ? "
      "ORDER BY time_us DESC LIMIT 1",
      {dataset.id, told.job, told.kind});
  if (!newest) return newest.error();
  const auto done = writer_.execute(
      "INSERT INTO external_reports (dataset, job, kind, time_us, value, run_id) VALUES (?, ?, ?, "
      "?, ?, ?) ON CONFLICT (dataset, job, kind, time_us) DO UPDATE SET value = excluded.value, "
      "run_id = excluded.run_id WHERE excluded.value > external_reports.value",
      {dataset.id, told.job, told.kind, told.time.micros, told.value, told.run_id});
  if (!done) return done.error();
  if (*done == 0) return {};
  changed_ = true;
  // The same again, later, is no news; what comes late may be what a training is compared with.
  if (*newest && (*newest)->integer(0) < told.time.micros && (*newest)->text(1) == told.value)
    return {};
  return publish("external_dataset.changed", dataset_subject(dataset.name, dataset.owned),
                 Json::object({{"namespace", dataset.name.space},
                               {"name", dataset.name.name},
                               {"told", told.kind},
                               {"run", told.run_id}}));
}

// What stands for a dataset in the graph at that time.
Result<std::vector<NodeRef>> Recording::nodes_of(const Identifier& id, const std::string& owned,
                                                 Instant as_of, Instant not_before) {
  if (!owned.empty()) {
    auto found = kernel::lineage_states(writer_, caller_.project, owned_ref(owned), as_of,
                                        not_before, kMaxFiles);
    if (!found || !found->empty()) return found;
  }
  return std::vector<NodeRef>{dataset_ref(id)};
}

// Each use is tied once, so that the same event later finds nothing new; so it waits until it is
// known when the run began, or that it ended without a word of that.
Status Recording::link_reads(const KnownRun& run, const std::string& run_id) {
  if (!run.started && !run.ended) return {};
  const Instant time = run.started ? *run.started : *run.ended;
  const auto rows = writer_.query(
      "SELECT d.id, d.namespace, d.name, d.owned FROM external_run_uses u JOIN external_datasets d "
      "ON d.id = u.dataset WHERE u.run = ? AND u.role = 'in' AND u.linked = 0 ORDER BY d.id",
      {run.id});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    const auto nodes = nodes_of({row.text(1), row.text(2)}, row.text(3), time, Instant{0});
    if (!nodes) return nodes.error();
    for (const auto& node : *nodes) {
      STRATA_TRY(lineage_.report(writer_, caller_.project,
                                 LineageEdge{node, run_ref(run_id), "read", time}));
    }
    STRATA_TRY(writer_.execute(
        "UPDATE external_run_uses SET linked = 1 WHERE run = ? AND dataset = ? AND role = 'in'",
        {run.id, row.integer(0)}));
    changed_ = true;
  }
  return {};
}

Status Recording::link_products(const KnownRun& run, const std::string& run_id) {
  const auto rows = writer_.query(
      "SELECT d.id, d.namespace, d.name, d.owned FROM external_run_uses u JOIN external_datasets d "
      "ON d.id = u.dataset WHERE u.run = ? AND u.role = 'out' AND u.linked = 0 ORDER BY d.id",
      {run.id});
  if (!rows) return rows.error();
  // From its start on there were readers of what it made.
  const Instant ended = run.ended.value_or(Instant{0}), began = run.started.value_or(ended);
  Instant not_before = began;
  if (!run.started) {
    const auto before = writer_.first(
        "SELECT MAX(o.ended_us) FROM external_runs r JOIN external_runs o ON o.job = r.job WHERE "
        "r.id = ? AND o.ended_us < ?",
        {run.id, ended.micros});
    if (!before) return before.error();
    const std::int64_t last = *before ? (*before)->maybe_integer(0).value_or(0) : 0;
    not_before = Instant{std::max(last, (ended - kLongestUntold).micros)};
  }
  for (const auto& row : *rows) {
    const auto nodes = nodes_of({row.text(1), row.text(2)}, row.text(3), ended, not_before);
    if (!nodes) return nodes.error();
    for (const auto& node : *nodes) {
      STRATA_TRY(lineage_.report(writer_, caller_.project,
                                 LineageEdge{run_ref(run_id), node, "produced", began}));
    }
    STRATA_TRY(writer_.execute(
        "UPDATE external_run_uses SET linked = 1 WHERE run = ? AND dataset = ? AND role = 'out'",
        {run.id, row.integer(0)}));
    changed_ = true;
  }
  return {};
}

}  // namespace strata::platform::external
