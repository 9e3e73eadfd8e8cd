#include "platform/external/external.hpp"

#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/external/names.hpp"
#include "platform/external/record.hpp"

namespace strata::platform::external {

using kernel::Caller;
using kernel::Permission;
using kernel::Reader;
using kernel::Row;
using kernel::Writer;

namespace {

constexpr std::array<kernel::Migration, 2> kMigrations = {{{"external", 1, R"sql(
CREATE TABLE external_jobs (id INTEGER PRIMARY KEY, project TEXT NOT NULL, namespace TEXT NOT NULL,
  name TEXT NOT NULL, declared_us INTEGER NOT NULL, seen_us INTEGER NOT NULL, facets TEXT NOT NULL,
  UNIQUE (project, namespace, name));
CREATE INDEX external_jobs_seen ON external_jobs (project, seen_us);
CREATE TABLE external_datasets (id INTEGER PRIMARY KEY, project TEXT NOT NULL,
  namespace TEXT NOT NULL, name TEXT NOT NULL, owned TEXT NOT NULL, seen_us INTEGER NOT NULL,
  facets TEXT NOT NULL, UNIQUE (project, namespace, name));
CREATE INDEX external_datasets_owned ON external_datasets (project, owned);
CREATE INDEX external_datasets_seen ON external_datasets (project, seen_us);
CREATE TABLE external_runs (id INTEGER PRIMARY KEY, job INTEGER NOT NULL, run_id TEXT NOT NULL,
  state INTEGER NOT NULL, state_us INTEGER NOT NULL, started_us INTEGER, ended_us INTEGER,
  error TEXT NOT NULL, parent TEXT NOT NULL, sender TEXT NOT NULL, facets TEXT NOT NULL,
  seen_us INTEGER NOT NULL, UNIQUE (job, run_id));
CREATE INDEX external_runs_ended ON external_runs (job, ended_us);
CREATE INDEX external_runs_seen ON external_runs (job, seen_us);
CREATE TABLE external_uses (job INTEGER NOT NULL, dataset INTEGER NOT NULL, role TEXT NOT NULL,
  last_us INTEGER NOT NULL, PRIMARY KEY (job, dataset, role));
CREATE INDEX external_uses_dataset ON external_uses (dataset, role);
CREATE TABLE external_run_uses (run INTEGER NOT NULL, dataset INTEGER NOT NULL, role TEXT NOT NULL,
  linked INTEGER NOT NULL, PRIMARY KEY (run, dataset, role));
CREATE TABLE external_reports (dataset INTEGER NOT NULL, job INTEGER NOT NULL, kind TEXT NOT NULL,
  time_us INTEGER NOT NULL, value TEXT NOT NULL, run_id TEXT NOT NULL,
  PRIMARY KEY (dataset, job, kind, time_us));
)sql"},
                                                           {"external", 2, R"sql(
CREATE TABLE external_pending (run INTEGER NOT NULL, dataset INTEGER NOT NULL, kind TEXT NOT NULL,
  time_us INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, dataset, kind));
)sql"}}};

Result<Json> facets_of(const std::string& text) {
  auto stored = parse_json(text);
  if (!stored) return stored.error().wrap("kept facets cannot be read");
  return shown_facets(*stored);
}

// Those of `rows`: namespace and name.
Result<std::vector<Identifier>> identifiers(Reader& reader, std::string_view sql, std::int64_t of) {
  const auto rows = reader.query(sql, {of});
  if (!rows) return rows.error();
  std::vector<Identifier> out;
  for (const auto& row : *rows)
    out.push_back({row.text(0), row.text(1)});
  return out;
}

constexpr std::string_view kRunColumns =
    "id, run_id, state, started_us, ended_us, error, parent, sender, facets";

Result<Run> read_run(Reader& reader, const Row& row) {
  Run run;
  run.id = row.text(1);
  run.state = static_cast<RunState>(row.integer(2));
  if (const auto started = row.maybe_integer(3)) run.started = Instant{*started};
  if (const auto ended = row.maybe_integer(4)) run.ended = Instant{*ended};
  run.error = row.text(5);
  run.parent = row.text(6);
  run.sender = row.text(7);
  auto facets = facets_of(row.text(8));
  if (!facets) return std::move(facets).error();
  run.facets = *std::move(facets);
  for (const std::string_view role : {"in", "out"}) {
    auto used = identifiers(
        reader,
        fmt::format("SELECT d.namespace, d.name FROM external_run_uses u JOIN external_datasets d "
                    "ON d.id = u.dataset WHERE u.run = ? AND u.role = '{}' ORDER BY d.namespace, "
                    "d.name",
                    role),
        row.integer(0));
    if (!used) return std::move(used).error();
    (role == "in" ? run.inputs : run.outputs) = *std::move(used);
  }
  return run;
}

Result<std::vector<Run>> read_runs(Reader& reader, std::int64_t job, int limit) {
  const auto rows = reader.query(fmt::format("SELECT {} FROM external_runs WHERE job = ? ORDER BY "
                                             "seen_us DESC, id DESC LIMIT ?",
                                             kRunColumns),
                                 {job, limit});
  if (!rows) return rows.error();
  std::vector<Run> out;
  for (const auto& row : *rows) {
    auto run = read_run(reader, row);
    if (!run) return std::move(run).error();
    out.push_back(*std::move(run));
  }
  return out;
}

Result<Job> read_job(Reader& reader, const Row& row) {
  Job job;
  job.id = {row.text(1), row.text(2)};
  job.seen = Instant{row.integer(3)};
  auto newest = read_runs(reader, row.integer(0), 1);
  if (!newest) return std::move(newest).error();
  if (!newest->empty()) job.newest = std::move(newest->front());
  for (const std::string_view role : {"in", "out"}) {
    auto used = identifiers(
        reader,
        fmt::format("SELECT d.namespace, d.name FROM external_uses u JOIN external_jobs j ON j.id "
                    "= u.job JOIN external_datasets d ON d.id = u.dataset WHERE u.job = ? AND "
                    "u.role = '{}' AND u.last_us >= j.declared_us ORDER BY d.namespace, d.name",
                    role),
        row.integer(0));
    if (!used) return std::move(used).error();
    (role == "in" ? job.inputs : job.outputs) = *std::move(used);
  }
  return job;
}

Result<Dataset> read_dataset(Reader& reader, const Row& row) {
  Dataset dataset;
  dataset.id = {row.text(1), row.text(2)};
  if (const std::string owned = row.text(3); !owned.empty())
    dataset.joins = owned_ref(owned).to_string();
  dataset.seen = Instant{row.integer(4)};
  auto facets = facets_of(row.text(5));
  if (!facets) return std::move(facets).error();
  dataset.facets = *std::move(facets);
  for (const std::string_view role : {"in", "out"}) {
    auto used = identifiers(
        reader,
        fmt::format("SELECT j.namespace, j.name FROM external_uses u JOIN external_jobs j ON j.id "
                    "= u.job WHERE u.dataset = ? AND u.role = '{}' AND u.last_us >= j.declared_us "
                    "ORDER BY j.namespace, j.name",
                    role),
        row.integer(0));
    if (!used) return std::move(used).error();
    (role == "in" ? dataset.readers : dataset.writers) = *std::move(used);
  }
  return dataset;
}

// Rows of `table` whose namespace or name holds `search`, the newest first.
Result<kernel::Rows> search_rows(Reader& reader, std::string_view columns, std::string_view table,
                                 const Caller& caller, const std::string& search, int limit) {
  std::string pattern = "%";
  for (const char c : search) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  pattern += '%';
  return reader.query(
      fmt::format("SELECT {} FROM {} WHERE project = ? AND (namespace LIKE ? ESCAPE '\\' OR name "
                  "LIKE ? ESCAPE '\\') ORDER BY seen_us DESC, id DESC LIMIT ?",
                  columns, table),
      {caller.project.str(), pattern, pattern, limit});
}

}  // namespace

std::span<const kernel::Migration> ExternalLineage::migrations() {
  return kMigrations;
}

Status ExternalLineage::check(const wire::openlineage::Event& event) const {
  const Instant now = ports_.clock.now();
  if (event.time <= now + kMaxAhead) return {};
  return invalid("eventTime",
                 fmt::format("eventTime: {} lies in the future, it is {} now; set the sender's "
                             "clock, and write times with their zone (a time without one is UTC)",
                             to_rfc3339(event.time), to_rfc3339(now)));
}

Task<Result<bool>> ExternalLineage::accept(const Caller& caller,
                                           std::vector<wire::openlineage::Event> events) {
  if (!caller.may(Permission::kTrackingWrite))
    co_return kernel::lacks_permission(caller, Permission::kTrackingWrite);
  for (const auto& event : events)
    STRATA_CO_TRY(check(event));
  auto write = [&](Writer& writer) -> Result<bool> {
    Recording recording(writer, ports_.events, ports_.lineage, caller);
    for (const auto& event : events)
      STRATA_TRY(recording.add(event));
    return recording.changed();
  };
  co_return co_await ports_.records.write(write);
}

Task<Result<std::vector<Job>>> ExternalLineage::jobs(const Caller& caller, std::string search,
                                                     int limit) {
  if (!caller.may(Permission::kLineageRead))
    co_return kernel::lacks_permission(caller, Permission::kLineageRead);
  auto load = [&](Reader& reader) -> Result<std::vector<Job>> {
    const auto rows =
        search_rows(reader, "id, namespace, name, seen_us", "external_jobs", caller, search, limit);
    if (!rows) return rows.error();
    std::vector<Job> out;
    for (const auto& row : *rows) {
      auto job = read_job(reader, row);
      if (!job) return std::move(job).error();
      out.push_back(*std::move(job));
    }
    return out;
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<std::vector<Dataset>>> ExternalLineage::datasets(const Caller& caller,
                                                             std::string search, int limit) {
  if (!caller.may(Permission::kLineageRead))
    co_return kernel::lacks_permission(caller, Permission::kLineageRead);
  auto load = [&](Reader& reader) -> Result<std::vector<Dataset>> {
    const auto rows = search_rows(reader, "id, namespace, name, owned, seen_us, facets",
                                  "external_datasets", caller, search, limit);
    if (!rows) return rows.error();
    std::vector<Dataset> out;
    for (const auto& row : *rows) {
      auto dataset = read_dataset(reader, row);
      if (!dataset) return std::move(dataset).error();
      out.push_back(*std::move(dataset));
    }
    return out;
  };
  co_return co_await ports_.records.read(load);
}

Task<Result<std::vector<Run>>> ExternalLineage::runs(const Caller& caller, Identifier job,
                                                     int limit) {
  if (!caller.may(Permission::kLineageRead))
    co_return kernel::lacks_permission(caller, Permission::kLineageRead);
  auto load = [&](Reader& reader) -> Result<std::vector<Run>> {
    const auto row = reader.first(
        "SELECT id FROM external_jobs WHERE project = ? AND namespace = ? AND name = ?",
        {caller.project.str(), job.space, job.name});
    if (!row) return row.error();
    if (!*row) {
      return not_found(
          fmt::format("no event told of a job '{}' in namespace '{}'; 'strata lineage "
                      "jobs' lists those that are known",
                      printable(job.name), printable(job.space)));
    }
    return read_runs(reader, (*row)->integer(0), limit);
  };
  co_return co_await ports_.records.read(load);
}

}  // namespace strata::platform::external
