#include "platform/scoring/scoring.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "platform/scoring/active.hpp"

namespace strata::platform::scoring {

namespace {

constexpr kernel::Migration kMigrations[] = {
    {"scoring", 1, R"(
CREATE TABLE scorings (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  id TEXT NOT NULL,
  draft TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  actor TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  scored INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT -1,
  sources TEXT NOT NULL DEFAULT '[]',
  result TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  error_code TEXT NOT NULL DEFAULT '',
  error_field TEXT NOT NULL DEFAULT '',
  UNIQUE (project, id)
))"},
};

constexpr std::string_view kColumns =
    "id, draft, model, version, digest, state, actor, created, updated, scored, total, sources, "
    "result, error, error_code, error_field FROM scorings ";

Error no_scoring(std::string_view id) {
  return not_found(fmt::format("there is no scoring '{}'", printable(id)));
}

// Of kColumns, which begin at `first`.
Result<ScoringInfo> info_of(const kernel::Row& row, std::size_t first = 0) {
  auto draft = parse_json(row.text(first + 1));
  if (!draft) return draft.error().wrap("the record of a scoring is damaged");
  auto sources = parse_json(row.text(first + 11));
  if (!sources) return sources.error().wrap("the record of a scoring is damaged");
  ScoringInfo info;
  info.id = row.text(first + 0);
  info.draft = Draft::from_json(*draft);
  info.model = row.text(first + 2);
  info.version = row.text(first + 3);
  info.digest = row.text(first + 4);
  info.state = row.text(first + 5);
  info.actor = row.text(first + 6);
  info.created = Instant{row.integer(first + 7)};
  info.updated = Instant{row.integer(first + 8)};
  info.rows = row.integer(first + 9);
  info.total = row.integer(first + 10);
  for (const auto& source : sources->is_array() ? sources->as_array() : Json::Array{})
    info.sources.push_back(source.as_string());
  info.result = row.text(first + 12);
  info.error = row.text(first + 13);
  info.error_code = row.text(first + 14);
  info.error_field = row.text(first + 15);
  return info;
}

constexpr std::string_view kLost =
    "the server ended while it ran; nothing was written. Score it again";

}  // namespace

Scorings::Scorings(Ports ports, std::string folder)
    : ports_(std::move(ports)),
      folder_(std::move(folder)) {}

Scorings::~Scorings() = default;

std::span<const kernel::Migration> Scorings::migrations() {
  return kMigrations;
}

Status Scorings::start() {
  std::error_code fault;
  std::filesystem::remove_all(folder_, fault);  // copies and predictions of jobs that are no more
  if (fault) return from_errno(fault.value(), "remove", "folder of scorings");
  auto close = [&](kernel::Writer& writer) -> Status {
    auto lost = writer.query("SELECT project, " + std::string(kColumns) +
                             "WHERE state IN ('queued', 'running')");
    if (!lost) return std::move(lost).error();
    auto caller = ports_.identity.system_caller();
    for (const auto& row : *lost) {
      auto info = info_of(row, 1);
      if (!info) return std::move(info).error();
      caller.project = ProjectId(row.text(0));
      info->state = "failed";
      info->error = kLost;
      info->error_code = code_name(Code::kUnavailable);
      STRATA_TRY(write_end(writer, caller, *info));
    }
    return {};
  };
  STRATA_TRY(ports_.records.write_blocking(close));
  auto rows = ports_.records.read_blocking([](kernel::Reader& reader) {
    return reader.query("SELECT project, id FROM scorings WHERE state = 'committing'");
  });
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows)
    ports_.scope.spawn(ports_.loops.next(), settle_lost(ProjectId(row.text(0)), row.text(1)));
  return {};
}

void Scorings::stop() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, job] : active_)
    job->stop.request_stop();
  changed_.notify_all();
}

// What needs no opened model: names, rights, and that input and output are there, or are not.
Task<Result<deployment::ResolvedModel>> Scorings::check(const kernel::Caller& caller,
                                                        const Draft& draft,
                                                        std::vector<ColumnInfo>& columns) {
  STRATA_CO_TRY(check_draft(draft));
  for (const auto right : {kernel::Permission::kSqlQuery, kernel::Permission::kLakeWrite}) {
    if (!caller.may(right)) co_return kernel::lacks_permission(caller, right);
  }
  auto ref = deployment::ModelRef::parse(draft.model);
  if (!ref) co_return std::move(ref).error();
  auto model = co_await ports_.endpoints.resolve(caller, *ref);
  if (!model) co_return std::move(model).error();
  auto warehouse = co_await ports_.warehouse(caller);
  if (!warehouse) co_return std::move(warehouse).error();
  const auto place = Place::parse(draft.input, "input");
  storage::warehouse::QueryRequest look;
  look.sql = fmt::format("SELECT * FROM {} LIMIT 0", place->sql());
  auto answer = co_await (*warehouse)->query_json(caller, look);
  if (!answer) {
    Error error = answer.error();
    error.message = fmt::format("input: {}", error.message);
    error.field = "input";
    co_return error;
  }
  columns = wire::sql_engine::columns_from((*answer)["columns"]);
  const auto output = Place::parse(draft.output, "output");
  if (!output->object.empty() || draft.mode == "replace") co_return std::move(*model);
  auto tables = co_await (*warehouse)->tables(caller);
  if (!tables) co_return std::move(tables).error();
  const bool there = std::ranges::any_of(*tables, [&](const auto& table) {
    return table.schema == output->schema && table.name == output->table;
  });
  if (there && draft.mode != "append") {
    co_return Error(Code::kAlreadyExists,
                    fmt::format("output: there is a table '{}' already; replace it or append to it "
                                "(mode)",
                                printable(draft.output)),
                    "output");
  }
  if (!there && draft.mode == "append") {
    co_return Error(
        Code::kNotFound,
        fmt::format("output: there is no table '{}' to append to; leave out the mode to "
                    "create it",
                    printable(draft.output)),
        "output");
  }
  co_return std::move(*model);
}

Task<Result<ScoringInfo>> Scorings::begin(const kernel::Caller& caller, Draft draft) {
  auto job = std::make_shared<Active>();
  auto model = co_await check(caller, draft, job->columns);
  if (!model) co_return std::move(model).error();
  job->id = "score-" + ports_.random.hex(6);
  job->caller = caller;
  job->draft = std::move(draft);
  job->model = std::move(*model);
  job->created = ports_.clock.now();
  job->folder = folder_ + "/" + job->id;
  {
    const std::lock_guard lock(mutex_);
    if (active_.size() >= kRunning + kMaxWaiting) {
      Error full(Code::kResourceExhausted,
                 fmt::format("{} scorings wait already; try again later", kMaxWaiting));
      full.retry = true;
      co_return full;
    }
    active_[job->id] = job;
  }
  auto insert = [&](kernel::Writer& writer) -> Status {
    auto added = writer.execute(
        "INSERT INTO scorings (project, id, draft, model, version, digest, state, actor, created, "
        "updated) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
        {caller.project.str(), job->id, job->draft.to_json().dump(), job->model.name,
         job->model.version, job->model.digest, caller.user_name, job->created.micros,
         job->created.micros});
    if (!added) return std::move(added).error();
    const Json facts = Json::object({{"model", job->model.name},
                                     {"version", job->model.version},
                                     {"digest", job->model.digest},
                                     {"input", job->draft.input},
                                     {"output", job->draft.output}});
    STRATA_TRY(ports_.audit.record(writer, caller, "scoring.start", "scoring:" + job->id, facts));
    return ports_.events.publish(writer, caller.project, "scoring.started", "scoring:" + job->id,
                                 facts);
  };
  if (auto inserted = co_await ports_.records.write(insert); !inserted) {
    const std::lock_guard lock(mutex_);
    active_.erase(job->id);
    co_return std::move(inserted).error();
  }
  ports_.scope.spawn(ports_.loops.next(), drive(job));
  co_return co_await get(caller, job->id);
}

Task<Result<std::vector<ScoringInfo>>> Scorings::list(const kernel::Caller& caller,
                                                      std::size_t limit) {
  auto load = [&](kernel::Reader& reader) -> Result<std::vector<ScoringInfo>> {
    auto rows = reader.query(
        "SELECT " + std::string(kColumns) + "WHERE project = ? ORDER BY number DESC LIMIT ?",
        {caller.project.str(), static_cast<std::int64_t>(limit)});
    if (!rows) return std::move(rows).error();
    std::vector<ScoringInfo> all;
    for (const auto& row : *rows) {
      auto info = info_of(row);
      if (!info) return std::move(info).error();
      all.push_back(*std::move(info));
    }
    return all;
  };
  auto all = co_await ports_.records.read(load);
  if (!all) co_return all;
  const std::lock_guard lock(mutex_);
  for (auto& info : *all) {
    const auto found = active_.find(info.id);
    if (found == active_.end() || info.over()) continue;
    info.rows = found->second->rows;
    info.total = found->second->total;
  }
  co_return all;
}

Task<Result<ScoringInfo>> Scorings::get(const kernel::Caller& caller, std::string id) {
  auto load = [&](kernel::Reader& reader) -> Result<ScoringInfo> {
    auto row = reader.first("SELECT " + std::string(kColumns) + "WHERE project = ? AND id = ?",
                            {caller.project.str(), id});
    if (!row) return std::move(row).error();
    if (!*row) return no_scoring(id);
    return info_of(**row);
  };
  auto info = co_await ports_.records.read(load);
  if (!info || info->over()) co_return info;
  const std::lock_guard lock(mutex_);
  if (const auto found = active_.find(id); found != active_.end()) {
    info->rows = found->second->rows;
    info->total = found->second->total;
  }
  co_return info;
}

Task<Result<ScoringInfo>> Scorings::settled(const kernel::Caller& caller, std::string id,
                                            std::chrono::milliseconds limit) {
  // A change between the look and the wait is not noticed by the signal, so no wait is long.
  constexpr std::chrono::milliseconds kLook{200};
  const auto until = ports_.clock.steady() + limit;
  auto info = co_await get(caller, id);
  while (info && !info->over() && ports_.clock.steady() < until) {
    co_await changed_.wait(kLook);
    info = co_await get(caller, id);
  }
  co_return info;
}

Task<Result<ScoringInfo>> Scorings::cancel(const kernel::Caller& caller, std::string id) {
  auto info = co_await get(caller, id);
  if (!info) co_return info;
  Job job;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = active_.find(id); found != active_.end()) job = found->second;
  }
  if (info->over() || job == nullptr)
    co_return Error(Code::kConflict, fmt::format("the scoring {} is over: {}", id, info->state));
  auto record = [&](kernel::Writer& writer) {
    return ports_.audit.record(writer, caller, "scoring.cancel", "scoring:" + id);
  };
  STRATA_CO_TRY(co_await ports_.records.write(record));
  job->cancelled = true;
  job->stop.request_stop();
  changed_.notify_all();
  co_return info;
}

Status Scorings::write_end(kernel::Writer& writer, const kernel::Caller& caller,
                           const ScoringInfo& info) {
  auto done = writer.execute(
      "UPDATE scorings SET state = ?, updated = ?, scored = ?, total = ?, result = ?, error = ?, "
      "error_code = ?, error_field = ? WHERE project = ? AND id = ?",
      {info.state, ports_.clock.now().micros, info.rows, info.total, info.result, info.error,
       info.error_code, info.error_field, caller.project.str(), info.id});
  if (!done) return std::move(done).error();
  return ports_.events.publish(writer, caller.project, "scoring.ended", "scoring:" + info.id,
                               Json::object({{"state", info.state},
                                             {"rows", info.rows},
                                             {"result", info.result},
                                             {"error", info.error}}));
}

// Whether the statement that makes the output has committed, though nobody may have heard of it: a
// query makes the engine start, and an engine that starts tells what it had committed.
Task<Result<bool>> Scorings::has_committed(kernel::Caller caller, std::string id) {
  auto warehouse = co_await ports_.warehouse(caller);
  if (!warehouse) co_return std::move(warehouse).error();
  storage::warehouse::QueryRequest wake;
  wake.sql = "SELECT 1";
  auto woken = co_await (*warehouse)->query_json(caller, wake);
  if (!woken) co_return std::move(woken).error();
  auto query = co_await (*warehouse)->find(caller, id);
  if (!query && query.error().code == Code::kNotFound) co_return false;
  if (!query) co_return std::move(query).error();
  co_return query->state == "finished";
}

// A job that was about to commit when the server died.
Task<void> Scorings::settle_lost(ProjectId project, std::string id) {
  constexpr std::chrono::seconds kAgain{2};
  auto caller = ports_.identity.system_caller();
  caller.project = project;
  const auto stop = ports_.scope.token();
  auto committed = co_await has_committed(caller, id);
  while (!committed && !stop.stop_requested()) {
    log::warn("scoring.settle",
              Json::object({{"scoring", id}, {"error", committed.error().to_string()}}));
    co_await changed_.wait(kAgain);
    committed = co_await has_committed(caller, id);
  }
  if (!committed) co_return;
  auto info = co_await get(caller, id);
  if (!info || info->over()) co_return;
  info->state = *committed ? "finished" : "failed";
  if (!*committed) {
    info->error = kLost;
    info->error_code = code_name(Code::kUnavailable);
  }
  auto write = [&](kernel::Writer& writer) {
    return write_end(writer, caller, *info);
  };
  const auto written = co_await ports_.records.write(write);
  if (!written)
    log::error("scoring.settle",
               Json::object({{"scoring", id}, {"error", written.error().to_string()}}));
  changed_.notify_all();
}

}  // namespace strata::platform::scoring
