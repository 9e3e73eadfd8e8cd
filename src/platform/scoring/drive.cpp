// One job from its turn to its end.
#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "platform/scoring/active.hpp"

namespace strata::platform::scoring {

using storage::warehouse::QueryRequest;
using wire::sql_engine::Format;

namespace {

constexpr std::chrono::hours kPatience{24};
constexpr std::size_t kBatchRows = 4096;
constexpr std::size_t kBatchBytes = 2U << 20U;
constexpr std::size_t kPartRows = 1U << 17U;
constexpr std::size_t kPartBytes = 16U << 20U;
constexpr std::chrono::milliseconds kLook{200};

Error stopped() {
  return {Code::kCancelled, "it was cancelled; nothing was written"};
}

}  // namespace

Task<void> Scorings::drive(Job job) {
  Status how = co_await admit(job);
  const bool admitted = how.ok();
  if (admitted) {
    how = co_await run(job);
    const std::lock_guard lock(mutex_);
    --running_;
  }
  job->opened.reset();
  auto clear = [&] {
    std::error_code fault;
    std::filesystem::remove_all(job->folder, fault);
    return fault;
  };
  if (const auto fault = co_await ports_.pool.run(clear); fault)
    log::warn("scoring.folder", Json::object({{"error", fault.message()}}));
  co_await end(job, std::move(how));
  {
    const std::lock_guard lock(mutex_);
    active_.erase(job->id);
  }
  changed_.notify_all();
}

Task<Status> Scorings::admit(Job job) {
  while (true) {
    if (job->stop.stop_requested() || ports_.scope.token().stop_requested()) co_return stopped();
    {
      const std::lock_guard lock(mutex_);
      if (running_ < kRunning) {
        ++running_;
        co_return Status();
      }
    }
    co_await changed_.wait(kLook);
  }
}

Task<Status> Scorings::run(Job job) {
  STRATA_CO_TRY(renew(*job));  // it may have waited for long
  STRATA_CO_TRY(co_await note(job, "running"));
  auto warehouse = co_await ports_.warehouse(job->caller);
  if (!warehouse) co_return std::move(warehouse).error();
  job->warehouse = *warehouse;
  auto opened =
      co_await ports_.endpoints.open_version(job->caller, job->model, job->stop.get_token());
  if (!opened) co_return std::move(opened).error();
  job->opened = std::move(*opened);
  auto plan = make_plan(job->draft, job->opened->binding->contract(), job->columns);
  if (!plan) co_return std::move(plan).error();
  job->plan = std::move(*plan);
  auto folder = [&] {
    return ports_.files.make_dirs(job->folder);
  };
  STRATA_CO_TRY(co_await ports_.pool.run(folder));
  STRATA_CO_TRY(co_await take_copy(job));
  STRATA_CO_TRY(co_await look_at_types(job));
  STRATA_CO_TRY(co_await look_for_missing(job));
  STRATA_CO_TRY(co_await score(job));
  STRATA_CO_TRY(renew(*job));
  co_return co_await commit(job);
}

// With the rights that the caller has now. Errors: those of who was disabled or whose token ended;
// kPermissionDenied for a right that was taken away.
Status Scorings::renew(Active& job) const {
  auto now = ports_.identity.renewed(job.caller);
  if (!now) return std::move(now).error();
  for (const auto right : {kernel::Permission::kSqlQuery, kernel::Permission::kLakeWrite,
                           kernel::Permission::kModelRead})
    if (!now->may(right)) return kernel::lacks_permission(*now, right);
  job.caller = *std::move(now);
  return {};
}

Task<Result<Scorings::Stream>> Scorings::ask(Job job, std::string sql, Format format,
                                             std::string id) {
  if (job->stop.stop_requested()) co_return stopped();
  QueryRequest request;
  request.sql = std::move(sql);
  request.format = format;
  request.timeout = kPatience;
  request.id = std::move(id);
  request.given_up = job->stop.get_token();
  request.local = job->files;
  co_return co_await job->warehouse->query(job->caller, std::move(request));
}

Task<Result<Json>> Scorings::ask_json(Job job, std::string sql) {
  auto stream = co_await ask(job, std::move(sql), Format::kJson);
  if (!stream) co_return std::move(stream).error();
  auto text = co_await read_all(**stream, 1U << 20U);
  if (!text) co_return std::move(text).error();
  co_return parse_json(*text);
}

// The input in one state, in a file that nobody else has.
Task<Status> Scorings::take_copy(Job job) {
  const std::string path = job->local_path(kCopyName);
  auto stream = co_await ask(job, copy_sql(job->draft, job->plan), Format::kParquet);
  if (!stream) {
    Error error = stream.error().wrap("input");
    error.field = "input";
    co_return error;
  }
  auto create = [&] {
    return ports_.files.create(path);
  };
  auto file = co_await ports_.pool.run(create);
  if (!file) co_return std::move(file).error();
  while (true) {
    auto piece = co_await (*stream)->next();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) break;
    if (job->stop.stop_requested()) co_return stopped();
    auto append = [&] {
      return (*file)->append(*piece);
    };
    STRATA_CO_TRY(co_await ports_.pool.run(append));
  }
  const auto facts = (*stream)->facts();
  job->total = facts.rows;
  job->files.push_back({std::string(kCopyName), path, job->node()});
  for (const auto& table : facts.tables_read) {
    if (table.version == 0) continue;
    job->sources.push_back(
        {"table", table.schema + "." + table.name, std::to_string(table.version)});
  }
  for (const auto& object : facts.objects_read)
    job->sources.push_back(storage::warehouse::object_node(object));
  if (facts.rows == 0)
    co_return invalid("input", "input: it has no rows; there is nothing to score");
  co_return Status();
}

// The input may have become another since the plan was made.
Task<Status> Scorings::look_at_types(Job job) {
  auto answer =
      co_await ask_json(job, fmt::format("SELECT * FROM read_parquet('{}') LIMIT 0", kCopyName));
  if (!answer) co_return std::move(answer).error();
  co_return check_copy(job->plan, wire::sql_engine::columns_from((*answer)["columns"]));
}

// Before the model runs, as it is cheap to tell.
Task<Status> Scorings::look_for_missing(Job job) {
  const std::string sql = missing_sql(job->plan);
  if (sql.empty()) co_return Status();
  auto answer = co_await ask_json(job, sql);
  if (!answer) co_return std::move(answer).error();
  const Json& row = (*answer)["rows"].as_array().at(0);
  for (std::size_t i = 0; i < job->plan.required.size(); ++i) {
    if (!row.as_array().at(i).is_int()) continue;
    co_return invalid("input",
                      fmt::format("input: column '{}', row {}: the value is missing (null), which "
                                  "the model's signature forbids; score a view that leaves such "
                                  "rows out or fills them in",
                                  printable(job->plan.required[i]), row.as_array()[i].as_int()));
  }
  co_return Status();
}

Task<Status> Scorings::score(Job job) {
  auto stream = co_await ask(job, read_sql(job->plan), Format::kJson);
  if (!stream) co_return std::move(stream).error();
  RowReader reader;
  Predictions predictions(job->plan.predictions);
  bool all = false;
  while (!all) {
    auto piece = co_await (*stream)->next();
    if (!piece) co_return std::move(piece).error();
    all = piece->empty();
    STRATA_CO_TRY(reader.add(*piece));
    while (auto batch = reader.take(kBatchRows, kBatchBytes, all)) {
      if (job->stop.stop_requested()) co_return stopped();
      STRATA_CO_TRY(co_await score_rows(job, std::move(*batch), predictions));
      if (predictions.rows() >= kPartRows || predictions.bytes() >= kPartBytes)
        STRATA_CO_TRY(co_await write_part(job, predictions));
    }
  }
  if (predictions.rows() > 0) STRATA_CO_TRY(co_await write_part(job, predictions));
  if (static_cast<std::int64_t>(reader.seen()) != job->total)
    co_return internal(
        fmt::format("the copy had {} rows, {} came", job->total.load(), reader.seen()));
  co_return Status();
}

// By the steps of a request of MLflow's scoring protocol to an endpoint.
Task<Status> Scorings::score_rows(Job job, RowBatch batch, Predictions& predictions) {
  const auto& binding = *job->opened->binding;
  auto bind = [&]() -> Result<inference::Inputs> {
    auto request = wire::decode_scoring(payload_of(job->plan, batch), "application/json");
    if (!request) return std::move(request).error();
    restore_numbers(*request, job->plan);
    request->first_row = batch.first;
    return binding.bind(*request);
  };
  auto inputs = co_await ports_.pool.run(bind);
  if (!inputs) {
    Error error = inputs.error();
    error.message = fmt::format("input: {}", error.message);
    error.field = "input";
    co_return error;
  }
  auto outputs = co_await ports_.endpoints.run_batch(job->opened, *inputs, job->stop.get_token());
  if (!outputs) {
    co_return outputs.error().wrap(
        fmt::format("rows {} to {}", batch.first, batch.first + batch.count - 1));
  }
  STRATA_CO_TRY(predictions.add(batch, *outputs));
  job->rows += static_cast<std::int64_t>(batch.count);
  co_return Status();
}

Task<Status> Scorings::write_part(Job job, Predictions& predictions) {
  const std::string name = part_name(job->parts);
  const std::string path = job->local_path(name);
  auto write = [&]() -> Status {
    auto file = ports_.files.create(path);
    if (!file) return std::move(file).error();
    return (*file)->append(predictions.take());
  };
  STRATA_CO_TRY(co_await ports_.pool.run(write));
  job->files.push_back({name, path, job->node()});
  ++job->parts;
  co_return Status();
}

// What was read, and by which model, is told before the output is there; that the output came of
// it, in the commit that makes it (LocalFile::source).
Status Scorings::report_sources(kernel::Writer& writer, const Active& job) const {
  const auto& project = job.caller.project;
  const Instant now = ports_.clock.now();
  const Json facts = Json::object({{"model", job.model.name},
                                   {"model_version", job.model.version},
                                   {"model_digest", job.model.digest},
                                   {"package_digest", job.model.package_digest},
                                   {"reference", job.draft.model},
                                   {"rows", job.total.load()}});
  const kernel::LineageNode node{job.node(), job.model.digest, job.caller.user_name, now, facts};
  STRATA_TRY(ports_.lineage.report(writer, project, node));
  const kernel::NodeRef model{"model", job.model.name, job.model.version};
  STRATA_TRY(ports_.lineage.report(writer, project,
                                   kernel::LineageEdge{model, job.node(), "scored", now}));
  for (const auto& source : job.sources)
    STRATA_TRY(ports_.lineage.report(writer, project,
                                     kernel::LineageEdge{source, job.node(), "read", now}));
  return {};
}

Task<Status> Scorings::commit(Job job) {
  STRATA_CO_TRY(co_await note(job, "committing"));
  const Stamp stamp{job->model.name, job->model.version, job->model.digest};
  const std::string sql = commit_sql(job->draft, job->plan, job->parts, stamp);
  auto stream = co_await ask(job, sql, Format::kJson, job->id);
  Status how;
  if (stream) {
    auto text = co_await read_all(**stream, 1U << 20U);
    if (!text) how = std::move(text).error();
  } else {
    how = stream.error();
  }
  if (!how) {
    // Whatever ended it may have come after the commit: an engine that was stopped, or died.
    const auto committed = co_await has_committed(job->caller, job->id);
    if (!committed) {
      job->unsettled = true;
      ports_.scope.spawn(ports_.loops.next(), settle_lost(job->caller.project, job->id));
      co_return how;
    }
    if (*committed) co_return Status();
    Error error = how.error().effect == Effect::kMaybe ? how.error() : how.error().wrap("output");
    error.field = "output";
    co_return error;
  }
  if (job->draft.output.starts_with("s3://")) job->result = job->draft.output;
  for (const auto& table : (*stream)->facts().tables_written)
    job->result = fmt::format("table:{}.{}@{}", table.schema, table.name, table.version);
  co_return Status();
}

Task<Status> Scorings::note(Job job, std::string state) {
  Json sources = Json::array();
  for (const auto& source : job->sources)
    sources.push(source.to_string());
  auto write = [&](kernel::Writer& writer) -> Status {
    auto done = writer.execute(
        "UPDATE scorings SET state = ?, updated = ?, scored = ?, total = ?, sources = ? WHERE "
        "project = ? AND id = ?",
        {state, ports_.clock.now().micros, job->rows.load(), job->total.load(), sources.dump(),
         job->caller.project.str(), job->id});
    if (!done) return std::move(done).error();
    return state == "committing" ? report_sources(writer, *job) : Status();
  };
  co_return co_await ports_.records.write(write);
}

Task<void> Scorings::end(Job job, Status how) {
  if (job->unsettled) co_return;  // stays "committing" until the engine tells
  ScoringInfo info;
  info.id = job->id;
  info.rows = job->rows;
  info.total = job->total;
  info.result = job->result;
  info.state = how ? "finished" : "failed";
  if (!how) {
    const Error& error = how.error();
    const bool cancelled = job->cancelled && error.code == Code::kCancelled;
    if (cancelled) info.state = "cancelled";
    info.error = cancelled ? stopped().message : error.message;
    info.error_code = code_name(error.code);
    info.error_field = error.field;
    if (error.code == Code::kCancelled && !cancelled)
      info.error = "the server is stopping; nothing was written. Score it again";
  }
  auto write = [&](kernel::Writer& writer) {
    return write_end(writer, job->caller, info);
  };
  const auto written = co_await ports_.records.write(write);
  if (!written) {
    log::error("scoring.end",
               Json::object({{"scoring", job->id}, {"error", written.error().to_string()}}));
  }
}

}  // namespace strata::platform::scoring
