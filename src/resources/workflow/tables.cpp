#include "resources/workflow/tables.hpp"

#include <fmt/format.h>

namespace strata::resources::workflow {
namespace {

constexpr kernel::Migration kMigrations[] = {
    {"workflow", 1,
     "CREATE TABLE flows (project TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, owner "
     "TEXT NOT NULL,"
     " updated INTEGER NOT NULL, PRIMARY KEY (project, name));"
     "CREATE TABLE flow_versions (project TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,"
     " number INTEGER NOT NULL, spec TEXT NOT NULL, created INTEGER NOT NULL, created_by TEXT NOT "
     "NULL,"
     " PRIMARY KEY (project, name, version));"
     "CREATE TABLE flow_runs (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, project TEXT "
     "NOT NULL,"
     " flow TEXT NOT NULL, version TEXT NOT NULL, cause TEXT NOT NULL, params TEXT NOT NULL, "
     "idempotency_key TEXT,"
     " state TEXT NOT NULL, cancel_requested INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL "
     "DEFAULT 0,"
     " doc TEXT NOT NULL, UNIQUE (project, flow, idempotency_key));"
     "CREATE INDEX flow_runs_by_flow ON flow_runs (project, flow, sequence);"
     "CREATE INDEX flow_runs_open ON flow_runs (ended, sequence);"
     "CREATE TABLE flow_tasks (run TEXT NOT NULL REFERENCES flow_runs (id), ordinal INTEGER NOT "
     "NULL, step TEXT NOT NULL,"
     " state TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (run, ordinal));"
     "CREATE TABLE flow_outputs (run TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL, digest "
     "TEXT NOT NULL,"
     " size INTEGER NOT NULL, PRIMARY KEY (run, step, name));"
     "CREATE TABLE flow_cursors (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"},
    {"workflow", 2,
     "ALTER TABLE flows ADD COLUMN trigger_failed INTEGER;"
     "ALTER TABLE flows ADD COLUMN trigger_cause TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE flows ADD COLUMN trigger_error TEXT NOT NULL DEFAULT '';"},
    // Of what is older, nobody kept the scope of the token that applied or started it: NULL stands
    // for all rights of its user. Who applied the current version is who first applied that text.
    {"workflow", 3,
     "ALTER TABLE flows ADD COLUMN applied_by TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE flows ADD COLUMN scope TEXT;"
     "UPDATE flows SET applied_by = COALESCE((SELECT v.created_by FROM flow_versions v WHERE "
     "v.project = flows.project AND v.name = flows.name AND v.version = flows.version), owner);"
     "ALTER TABLE flow_runs ADD COLUMN scope TEXT;"}};

}  // namespace

std::span<const kernel::Migration> Workflows::migrations() {
  return kMigrations;
}

}  // namespace strata::resources::workflow

namespace strata::resources::workflow::tables {
namespace {

constexpr std::string_view kFlowColumns =
    "SELECT f.project, f.name, f.version, f.owner, f.updated, v.number, v.spec,"
    " f.trigger_failed, f.trigger_cause, f.trigger_error, f.applied_by, f.scope FROM flows f"
    " JOIN flow_versions v ON v.project = f.project AND v.name = f.name AND v.version = f.version";
constexpr std::string_view kRunColumns =
    "SELECT project, flow, version, cause, params, idempotency_key, cancel_requested, doc, "
    "scope FROM flow_runs";

Result<wire::FlowSpec> parse_spec(const std::string& text) {
  const auto json = parse_json(text);
  if (!json) return json.error();
  const wire::FlowReadOptions options{.file = {}, .zone_known = {}, .stored = true};
  return wire::read_flow_json(*json, options);
}

// Nothing is stored for what was made before scopes were kept: all that its user may.
Result<kernel::Permissions> scope_of(const std::string& text) {
  return text.empty() ? kernel::Permissions().set() : kernel::parse_scopes(text);
}

Result<FlowRow> flow_of(const kernel::Row& row) {
  auto spec = parse_spec(row.text(6));
  if (!spec) return spec.error().wrap("stored pipeline '" + row.text(1) + "' cannot be read");
  const auto scope = scope_of(row.text(11));
  if (!scope) return scope.error();
  FlowRow out{row.text(0),     row.text(1), row.text(2),    row.text(3),
              row.text(10),    *scope,      row.integer(5), Instant{row.integer(4)},
              std::move(*spec)};
  if (const auto at = row.maybe_integer(7))
    out.trigger_failure = TriggerFailure{Instant{*at}, row.text(8), row.text(9)};
  return out;
}

Result<RunRow> run_of(const kernel::Row& row) {
  auto params = parse_json(row.text(4));
  if (!params) return params.error();
  const auto doc = parse_json(row.text(7));
  if (!doc) return doc.error();
  auto run = scheduler::run_from_json(*doc);
  if (!run) return run.error();
  const auto scope = scope_of(row.text(8));
  if (!scope) return scope.error();
  return RunRow{row.text(0),        row.text(1),         row.text(2), row.text(3),    row.text(5),
                std::move(*params), row.integer(6) != 0, *scope,      std::move(*run)};
}

template <class T, class F>
Result<std::vector<T>> each(const Result<kernel::Rows>& rows, F read) {
  if (!rows) return rows.error();
  std::vector<T> out;
  for (const auto& row : *rows) {
    auto item = read(row);
    if (!item) return item.error();
    out.push_back(std::move(*item));
  }
  return out;
}

template <class T, class F>
Result<std::optional<T>> one(const Result<std::optional<kernel::Row>>& row, F read) {
  if (!row) return row.error();
  if (!*row) return std::optional<T>();
  auto item = read(**row);
  if (!item) return item.error();
  return std::optional<T>(std::move(*item));
}

Status done(const Result<std::int64_t>& result) {
  if (!result) return result.error();
  return {};
}

}  // namespace

Result<std::optional<FlowRow>> find_flow(Reader& r, const std::string& project,
                                         const std::string& name) {
  return one<FlowRow>(
      r.first(fmt::format("{} WHERE f.project = ? AND f.name = ?", kFlowColumns), {project, name}),
      flow_of);
}

Result<Instant> first_applied(Reader& r, const std::string& project, const std::string& name) {
  const auto row =
      r.first("SELECT COALESCE(MIN(created), 0) FROM flow_versions WHERE project = ? AND name = ?",
              {project, name});
  if (!row) return row.error();
  return Instant{(**row).integer(0)};
}

Result<std::vector<FlowRow>> all_flows(Reader& r, const std::optional<std::string>& project) {
  if (!project) return each<FlowRow>(r.query(kFlowColumns), flow_of);
  return each<FlowRow>(
      r.query(fmt::format("{} WHERE f.project = ? ORDER BY f.name", kFlowColumns), {*project}),
      flow_of);
}

Result<wire::FlowSpec> spec_of(Reader& r, const std::string& project, const std::string& flow,
                               const std::string& version) {
  const auto row =
      r.first("SELECT spec FROM flow_versions WHERE project = ? AND name = ? AND version = ?",
              {project, flow, version});
  if (!row) return row.error();
  if (!*row)
    return not_found(fmt::format("there is no version {} of pipeline '{}'", version, flow));
  return parse_spec((*row)->text(0));
}

Result<std::int64_t> put_flow(Writer& w, const kernel::Caller& by, const wire::FlowSpec& spec,
                              Instant now) {
  const std::string version = wire::flow_version(spec);
  const std::string& project = by.project.str();
  const auto known =
      w.first("SELECT number FROM flow_versions WHERE project = ? AND name = ? AND version = ?",
              {project, spec.name, version});
  if (!known) return known.error();
  std::int64_t number = 0;
  if (*known) {
    number = (*known)->integer(0);
  } else {
    const auto newest =
        w.first("SELECT COALESCE(MAX(number), 0) FROM flow_versions WHERE project = ? AND name = ?",
                {project, spec.name});
    if (!newest) return newest.error();
    number = (*newest)->integer(0) + 1;
    STRATA_TRY(
        done(w.execute("INSERT INTO flow_versions (project, name, version, number, spec, created, "
                       "created_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
                       {project, spec.name, version, number, wire::flow_to_json(spec).dump(),
                        now.micros, by.user_name})));
  }
  STRATA_TRY(done(
      w.execute("INSERT INTO flows (project, name, version, owner, updated, applied_by, scope)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (project, name) DO UPDATE SET version = excluded.version, updated = "
                "excluded.updated, applied_by = excluded.applied_by, scope = excluded.scope, "
                "trigger_failed = NULL",
                {project, spec.name, version, by.user_name, now.micros, by.user_name,
                 kernel::scopes_text(by.scope)})));
  return number;
}

Status set_trigger_failure(Writer& w, const FlowRow& flow,
                           const std::optional<TriggerFailure>& failure) {
  const TriggerFailure said = failure.value_or(TriggerFailure());
  std::optional<std::int64_t> time;
  if (failure) time = failure->time.micros;
  return done(
      w.execute("UPDATE flows SET trigger_failed = ?, trigger_cause = ?, trigger_error = ? WHERE "
                "project = ? AND name = ?",
                {time, said.cause, said.error, flow.project, flow.name}));
}

Result<bool> remove_flow(Writer& w, const std::string& project, const std::string& name) {
  const auto removed =
      w.execute("DELETE FROM flows WHERE project = ? AND name = ?", {project, name});
  if (!removed) return removed.error();
  return *removed > 0;
}

Result<std::vector<FlowVersion>> versions(Reader& r, const std::string& project,
                                          const std::string& name) {
  return each<FlowVersion>(r.query("SELECT version, created_by, number, created FROM flow_versions "
                                   "WHERE project = ? AND name = ?"
                                   " ORDER BY number DESC LIMIT 200",
                                   {project, name}),
                           [](const kernel::Row& row) -> Result<FlowVersion> {
                             return FlowVersion{row.text(0), row.text(1), row.integer(2),
                                                Instant{row.integer(3)}};
                           });
}

Result<std::optional<RunRow>> find_run(Reader& r, const std::string& project,
                                       const std::string& id) {
  return one<RunRow>(
      r.first(fmt::format("{} WHERE id = ? AND project = ?", kRunColumns), {id, project}), run_of);
}

Result<std::optional<RunRow>> find_run_by_key(Reader& r, const std::string& project,
                                              const std::string& flow, const std::string& key) {
  return one<RunRow>(
      r.first(fmt::format("{} WHERE project = ? AND flow = ? AND idempotency_key = ?", kRunColumns),
              {project, flow, key}),
      run_of);
}

Result<std::vector<RunRow>> list_runs(Reader& r, const std::string& project,
                                      const Workflows::RunFilter& filter) {
  const std::int64_t before = filter.before > 0 ? filter.before : INT64_MAX;
  if (filter.flow.empty()) {
    return each<RunRow>(
        r.query(fmt::format("{} WHERE project = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
                            kRunColumns),
                {project, before, filter.limit}),
        run_of);
  }
  return each<RunRow>(
      r.query(
          fmt::format(
              "{} WHERE project = ? AND flow = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
              kRunColumns),
          {project, filter.flow, before, filter.limit}),
      run_of);
}

Result<std::vector<RunRow>> unfinished_runs(Reader& r) {
  return each<RunRow>(r.query(fmt::format("{} WHERE ended = 0 ORDER BY sequence", kRunColumns)),
                      run_of);
}

Status read_tasks(Reader& r, scheduler::Run& run) {
  const auto rows = r.query("SELECT doc FROM flow_tasks WHERE run = ? ORDER BY ordinal", {run.id});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    const auto doc = parse_json(row.text(0));
    if (!doc) return doc.error();
    auto task = scheduler::task_from_json(*doc);
    if (!task) return task.error();
    run.tasks.push_back(std::move(*task));
  }
  return {};
}

Result<std::int64_t> count_queued(Reader& r, const std::string& project, const std::string& flow) {
  const auto row = r.first(
      "SELECT COUNT(*) FROM flow_runs WHERE ended = 0 AND state = 'queued' AND project = ? AND "
      "flow = ?",
      {project, flow});
  if (!row) return row.error();
  return (*row)->integer(0);
}

Status insert_run(Writer& w, RunRow& row) {
  const auto newest = w.first("SELECT COALESCE(MAX(sequence), 0) FROM flow_runs");
  if (!newest) return newest.error();
  scheduler::Run& run = row.run;
  run.sequence = (*newest)->integer(0) + 1;
  const kernel::SqlValue key =
      row.idempotency_key.empty() ? kernel::SqlValue() : kernel::SqlValue(row.idempotency_key);
  STRATA_TRY(done(w.execute(
      "INSERT INTO flow_runs (id, sequence, project, flow, version, cause, params, idempotency_key,"
      " state, doc, scope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {run.id, run.sequence, row.project, row.flow, row.version, row.cause, row.params.dump(), key,
       scheduler::name_of(run.state), scheduler::run_to_json(run).dump(),
       kernel::scopes_text(row.scope)})));
  for (std::size_t i = 0; i < run.tasks.size(); ++i) {
    const auto& task = run.tasks[i];
    STRATA_TRY(done(
        w.execute("INSERT INTO flow_tasks (run, ordinal, step, state, doc) VALUES (?, ?, ?, ?, ?)",
                  {run.id, static_cast<std::int64_t>(i), task.plan.step,
                   scheduler::name_of(task.state), scheduler::task_to_json(task).dump()})));
  }
  return {};
}

Status update_run(Writer& w, const scheduler::Run& run) {
  return done(w.execute(
      "UPDATE flow_runs SET state = ?, ended = ?, doc = ? WHERE id = ?",
      {scheduler::name_of(run.state), run.ended(), scheduler::run_to_json(run).dump(), run.id}));
}

Status update_task(Writer& w, const std::string& run, std::size_t ordinal,
                   const scheduler::Task& task) {
  return done(w.execute("UPDATE flow_tasks SET state = ?, doc = ? WHERE run = ? AND ordinal = ?",
                        {scheduler::name_of(task.state), scheduler::task_to_json(task).dump(), run,
                         static_cast<std::int64_t>(ordinal)}));
}

Result<bool> request_cancel(Writer& w, const std::string& run) {
  const auto asked = w.execute(
      "UPDATE flow_runs SET cancel_requested = 1 WHERE id = ? AND ended = 0 AND "
      "cancel_requested = 0",
      {run});
  if (!asked) return asked.error();
  return *asked > 0;
}

Status put_output(Writer& w, const std::string& run, const Output& output) {
  return done(w.execute(
      "INSERT INTO flow_outputs (run, step, name, digest, size) VALUES (?, ?, ?, ?, ?)"
      " ON CONFLICT (run, step, name) DO UPDATE SET digest = excluded.digest, size = excluded.size",
      {run, output.step, output.name, output.digest, output.size}));
}

Result<std::vector<Output>> outputs_of(Reader& r, const std::string& run) {
  return each<Output>(
      r.query("SELECT step, name, digest, size FROM flow_outputs WHERE run = ? ORDER BY step, name",
              {run}),
      [](const kernel::Row& row) -> Result<Output> {
        return Output{row.text(0), row.text(1), row.text(2),
                      static_cast<std::uint64_t>(row.integer(3))};
      });
}

Result<std::optional<std::int64_t>> cursor(Reader& r, const std::string& name) {
  const auto row = r.first("SELECT value FROM flow_cursors WHERE name = ?", {name});
  if (!row) return row.error();
  if (!*row) return std::optional<std::int64_t>();
  return std::optional<std::int64_t>((*row)->integer(0));
}

Status set_cursor(Writer& w, const std::string& name, std::int64_t value) {
  return done(
      w.execute("INSERT INTO flow_cursors (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                {name, value}));
}

}  // namespace strata::resources::workflow::tables
