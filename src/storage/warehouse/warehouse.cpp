#include "storage/warehouse/warehouse.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "storage/warehouse/run.hpp"

namespace strata::storage::warehouse {

using kernel::Caller;
using kernel::Permission;
using wire::sql_engine::Say;

namespace {

// What is held back until the answer begins: an error before that is an answer of its own.
constexpr std::size_t kHeldBack = 1U << 20U;
constexpr auto kDrain = std::chrono::seconds(2);
constexpr auto kHardStop = std::chrono::seconds(5);
constexpr auto kIdleLook = std::chrono::seconds(10);
constexpr auto kMaxWait = std::chrono::seconds(60);
constexpr std::size_t kRecordedBatch = 32;

bool is_query_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string refusal_of(const Warehouse::SystemView& view) {
  return fmt::format("strata.{} needs the permission {}, which this token lacks", view.name,
                     kernel::permission_name(view.permission));
}

}  // namespace

// Reads on behalf of whoever sends the answer; ends the query when nobody does any more.
class Warehouse::Stream final : public QueryStream {
 public:
  Stream(Warehouse& warehouse, std::shared_ptr<Run> run)
      : warehouse_(warehouse),
        run_(std::move(run)) {}
  ~Stream() override {
    if (run_->finished) return;
    warehouse_.interrupt(*run_, Code::kCancelled);
    warehouse_.ports_.scope.spawn(warehouse_.ports_.loops.next(), warehouse_.abandon(run_));
  }

  const std::string& id() const override { return run_->info.id; }
  QueryFacts facts() const override { return run_->told(); }

  Task<Result<std::string_view>> next() override {
    piece_.clear();
    while (run_->buffer.empty() && !run_->finished) {
      auto more = co_await warehouse_.advance(run_);
      if (!more) co_return std::move(more).error();
    }
    std::swap(piece_, run_->buffer);
    if (!piece_.empty()) co_return std::string_view(piece_);
    if (run_->file) co_return co_await run_->file->next();
    co_return std::string_view();
  }

  void cancel() override {
    if (!run_->finished) warehouse_.interrupt(*run_, Code::kCancelled);
  }

 private:
  Warehouse& warehouse_;
  std::shared_ptr<Run> run_;
  std::string piece_;
};

Warehouse::Warehouse(Ports ports, EngineHostOptions engine)
    : ports_(std::move(ports)),
      host_(
          engine, ports_.pool, ports_.random, ports_.clock,
          [this](const auto& catalog, const auto& commits) { return reconcile(catalog, commits); }),
      data_(engine.data) {}

Warehouse::~Warehouse() = default;

std::span<const kernel::Migration> Warehouse::migrations() {
  return warehouse_migrations();
}

Status Warehouse::start() {
  auto closed = [this](kernel::Writer& writer) -> Result<bool> {
    STRATA_TRY(close_lost_queries(writer, ports_.system.project));
    return true;
  };
  auto done = ports_.records.write_blocking(closed);
  if (!done) return std::move(done).error();
  ports_.scope.spawn(ports_.loops.next(), watch_idle());
  return {};
}

// Called on the pool, as telling the engine may wait for a lock.
void Warehouse::interrupt_all() {
  std::vector<std::shared_ptr<Run>> running;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, run] : running_)
      running.push_back(run);
  }
  for (const auto& run : running)
    interrupt(*run, Code::kCancelled);
}

void Warehouse::drain() {
  ended_ = true;
  freed_.notify_all();
  ports_.loops.next().call_after(kDrain,
                                 [this] { ports_.pool.submit([this] { interrupt_all(); }); });
}

void Warehouse::stop() {
  ended_ = true;
  stopping_.notify_all();
  freed_.notify_all();
  host_.stop();
}

Task<void> Warehouse::watch_idle() {
  while (!ended_) {
    co_await stopping_.wait(kIdleLook);
    if (ended_) co_return;
    auto look = [this] {
      host_.end_if_idle();
      return true;
    };
    co_await ports_.pool.run(look);
  }
}

Result<std::vector<wire::sql_engine::TableVersion>> Warehouse::reconcile(
    const std::vector<wire::sql_engine::TableFacts>& catalog,
    const std::vector<wire::sql_engine::CommitRecord>& commits) {
  using Versions = std::vector<wire::sql_engine::TableVersion>;
  return ports_.records.write_blocking([&](kernel::Writer& writer) -> Result<Versions> {
    STRATA_TRY(settle_commits(writer, {ports_.audit, ports_.events, ports_.lineage},
                              ports_.system.project, commits));
    return reconcile_tables(writer, ports_.system.project, catalog, ports_.clock.now());
  });
}

void Warehouse::add_system_view(SystemView view) {
  host_.allow_folder(view.folder);
  views_.push_back(std::move(view));
}

Task<Result<std::unique_ptr<QueryStream>>> Warehouse::query(const Caller& caller,
                                                            QueryRequest request) {
  auto run = std::make_shared<Run>();
  run->caller = caller;
  run->request = std::move(request);
  run->began = ports_.clock.steady();
  auto prepared = co_await prepare(run);
  if (!prepared) co_return std::move(prepared).error();
  const std::stop_callback given_up(run->request.given_up,
                                    [this, run] { interrupt(*run, Code::kCancelled); });
  auto begun = co_await begin(run);
  if (!begun) {
    auto failed = co_await finish(run, begun.error());
    if (!failed) co_return std::move(failed).error();
    co_return std::move(begun).error();
  }
  while (!run->finished && run->buffer.size() < kHeldBack) {
    auto more = co_await advance(run);
    if (!more) co_return std::move(more).error();
  }
  co_return std::unique_ptr<QueryStream>(std::make_unique<Stream>(*this, std::move(run)));
}

Task<Result<Json>> Warehouse::query_json(const Caller& caller, QueryRequest request) {
  request.format = Format::kJson;
  auto stream = co_await query(caller, std::move(request));
  if (!stream) co_return std::move(stream).error();
  auto text = co_await read_all(**stream, 64U << 20U);
  if (!text) co_return std::move(text).error();
  co_return parse_json(*text);
}

// Everything that needs no engine: the text, the rights, the id.
Task<Result<void>> Warehouse::prepare(std::shared_ptr<Run> run) {
  auto& request = run->request;
  if (!run->caller.may(Permission::kSqlQuery)) {
    co_return Error(Code::kPermissionDenied,
                    "this token may not query the warehouse; it needs the scope sql:query");
  }
  if (run->caller.project != ports_.system.project) {
    co_return Error(Code::kPermissionDenied, "the warehouse belongs to another project");
  }
  auto statements = analyse_sql(request.sql);
  if (!statements) co_return std::move(statements).error();
  run->statements = std::move(*statements);
  for (const auto& statement : run->statements) {
    run->changes = run->changes || statement.changes;
    run->facts.push_back({statement.head,
                          request.sql.substr(statement.begin, statement.end - statement.begin),
                          {},
                          false});
    if (statement.changes && !run->caller.may(Permission::kLakeWrite)) {
      const Error why = kernel::lacks_permission(run->caller, Permission::kLakeWrite);
      co_return Error(Code::kPermissionDenied,
                      fmt::format("{} changes data, and {}", statement.head, why.message),
                      place_in(request.sql, statement.begin));
    }
  }
  if (!request.params.is_null() && !request.params.is_array() && !request.params.is_object()) {
    co_return invalid("params", "params is an array (for ? and $1) or an object (for $name), not " +
                                    std::string(request.params.type_name()));
  }
  if (request.params.size() > 0 && run->statements.size() > 1) {
    co_return invalid("params", "params go with a single statement, and this script has several");
  }
  if (request.format == Format::kParquet && !run->last().returns_rows) {
    co_return invalid("sql", run->last().head + " has no rows to write as Parquet; ask for JSON");
  }
  if (request.id.empty()) {
    request.id = ports_.random.uuid7(ports_.clock.now());
  } else {
    if (!is_query_id(request.id))
      co_return invalid("query_id", "a query id has 1 to 64 letters, digits and '-'");
    auto used = co_await ports_.records.read([&](kernel::Reader& reader) {
      return read_history(reader, ports_.system.project, "", request.id, 1);
    });
    if (!used) co_return std::move(used).error();
    if (!used->empty())
      co_return Error(Code::kAlreadyExists, "there was a query with this id", "query_id");
  }
  auto& info = run->info;
  info.id = request.id;
  info.user = run->caller.user_name;
  info.sql = request.sql;
  info.statement = run->last().head;
  info.started = ports_.clock.now();
  const std::lock_guard lock(mutex_);
  if (!running_.emplace(info.id, run).second) {
    co_return Error(Code::kAlreadyExists, "a query with this id is running", "query_id");
  }
  co_return Result<void>();
}

Task<Result<void>> Warehouse::begin(std::shared_ptr<Run> run) {
  const std::weak_ptr<Run> weak = run;
  run->timer = ports_.loops.next().call_after(run->request.timeout, [this, weak] {
    if (const auto late = weak.lock()) interrupt(*late, Code::kDeadlineExceeded);
  });
  STRATA_CO_TRY(co_await admit(run));
  run->is_running = true;
  if (run->changes) {  // so that a crash leaves a trace of what may have happened
    run->info.state = "running";
    auto note = [&](kernel::Writer& writer) -> Result<bool> {
      STRATA_TRY(insert_query(writer, ports_.system.project, run->info));
      return true;
    };
    auto noted = co_await ports_.records.write(note);
    if (!noted) co_return std::move(noted).error();
  }
  auto session = co_await host_.session();
  if (!session) co_return std::move(session).error();
  {
    const std::lock_guard lock(run->mutex);
    run->session.emplace(std::move(*session));
  }
  run->folder = run->session->spool + "/" + run->info.id;
  STRATA_CO_TRY(co_await materialise(run));
  wire::sql_engine::RunRequest message;
  for (std::size_t i = 0; i < run->statements.size(); ++i) {
    const auto& statement = run->statements[i];
    wire::sql_engine::RunStatement made{run->texts[i].text(),
                                        statement.changes,
                                        statement.returns_rows,
                                        statement.transaction,
                                        statement.head.starts_with("DROP "),
                                        statement.conditional,
                                        {},
                                        note_of(run->facts[i])};
    for (const auto& write : statement.writes) {
      made.writes.push_back({write.table.schema, write.table.name, write.keeps,
                             write.formerly ? write.formerly->name : ""});
    }
    message.statements.push_back(std::move(made));
  }
  message.query = run->info.id;
  message.note = note_of(outcome_of(*run), !run->outputs.empty());
  message.recorded = take_recorded();
  message.params = run->request.params;
  message.format = run->request.format;
  message.limit = run->request.limit;
  message.result_file = run->folder + "/result.parquet";
  for (auto& view : views_) {
    const bool named = to_lower(run->request.sql).contains(view.name);
    auto list = [&view, named] {
      return view.files(named);
    };
    auto files = co_await ports_.pool.run(list);
    for (auto& file : files) {
      if (file.starts_with(data_ + "/")) file.erase(0, data_.size() + 1);
    }
    message.views.push_back({view.name, std::move(files), view.columns, named,
                             run->caller.may(view.permission), refusal_of(view)});
  }
  const std::string payload = encode(message);
  run->sent = true;
  auto send = [&] {
    return run->session->socket.send(static_cast<char>(Say::kRun), payload);
  };
  if (auto sent = co_await ports_.pool.run(send); !sent) co_return engine_died(*run);
  if (run->stopped)
    interrupt(*run, run->stopped_by);  // it was stopped before there was a session to tell
  co_return Result<void>();
}

// Takes one message of the engine; true at the end of the answer.
Task<Result<bool>> Warehouse::advance(std::shared_ptr<Run> run) {
  auto message = co_await run->session->socket.next();
  std::optional<Error> error;
  if (!message) {
    auto died = [&] {
      return engine_died(*run);
    };
    error = co_await ports_.pool.run(died);
  } else if (message->kind == static_cast<char>(Say::kProgress)) {
    run->progress = std::strtod(message->payload.c_str(), nullptr);
    co_return false;
  } else if (message->kind == static_cast<char>(Say::kHead)) {
    auto head = wire::sql_engine::decode_head(message->payload);
    if (head) run->head = std::move(*head);
    co_return false;
  } else if (message->kind == static_cast<char>(Say::kData)) {
    run->info.bytes += static_cast<std::int64_t>(message->payload.size());
    if (run->buffer.empty()) {
      run->buffer = std::move(message->payload);
    } else {
      run->buffer += message->payload;
    }
    co_return false;
  } else if (message->kind == static_cast<char>(Say::kFailed)) {
    auto failure = wire::sql_engine::decode_failure(message->payload);
    if (failure) error = explain(*run, *failure);
    run->answered = failure.ok();
    if (failure) run->done.effects = std::move(failure->effects);
    if (!failure) error = failure.error();
    if (failure && failure->recycle) {
      const std::lock_guard lock(run->mutex);
      host_.release(*run->session, true);
      run->session.reset();
    }
  } else if (message->kind == static_cast<char>(Say::kExhausted)) {
    error =
        Error(Code::kResourceExhausted,
              "the SQL engine needed far more memory than it has (sql.memory) while it ran this "
              "statement; the next statement gets a new one");
    auto kill = [&] {
      const std::lock_guard lock(run->mutex);
      host_.kill(run->session->engine);
      host_.release(*run->session, true);
      run->session.reset();
      return true;
    };
    co_await ports_.pool.run(kill);
  } else {
    auto done = wire::sql_engine::decode_done(message->payload);
    run->answered = done.ok();
    if (done) run->done = std::move(*done);
    if (!done) error = done.error();
    if (!error) {
      auto stored = co_await store_outputs(run);
      if (!stored) error = stored.error();
    }
  }
  const bool failed = error.has_value();
  auto finished = co_await finish(run, error);
  if (failed) co_return std::move(*error);
  if (!finished) co_return std::move(finished).error();
  run->buffer += tail(*run);
  co_return true;
}

Error Warehouse::engine_died(Run& run) {
  if (!run.session || !run.session->engine) return internal("the query has no engine");
  const std::string how = host_.epitaph(run.session->engine);
  if (run.stopped) return explain(run, {"", "interrupted", 0, -1, true});
  Error error(
      Code::kUnavailable,
      "the SQL engine " + how + " while it ran this statement; the next statement gets a new one" +
          (run.changes ? ". Changes of this script are either all there or not at all" : ""));
  error.retry = !run.changes;
  if (run.changes) error.effect = Effect::kMaybe;
  return error;
}

namespace {

// The engine takes a file whose suffix it knows no reader for to be a table of that name.
std::optional<std::string> unknown_form(std::string_view message) {
  constexpr std::string_view kLead = "Table with name s3://";
  constexpr std::string_view kTail = " does not exist!";
  const auto begin = message.find(kLead);
  const auto end = message.find(kTail, begin);
  if (begin == std::string_view::npos || end == std::string_view::npos) return std::nullopt;
  const auto at = begin + kLead.size() - std::string_view("s3://").size();
  const auto name = message.substr(at, end - at);
  return fmt::format(
      "the form of '{0}' is not known from its name: say which it is, as read_csv('{0}'), "
      "read_parquet('{0}') or read_json('{0}')",
      name);
}

}  // namespace

Error Warehouse::explain(const Run& run, const wire::sql_engine::Failure& failure) const {
  std::string message = run.clean(failure.message, data_);
  if (auto unknown = unknown_form(message)) message = *std::move(unknown);
  Code code = Code::kInvalidArgument;
  bool retry = false;
  // A stop that comes between two steps of the engine shows as a transaction that is aborted.
  if (run.stopped && (failure.kind == "interrupted" || failure.kind == "conflict")) {
    code = run.stopped_by;
    message = code == Code::kDeadlineExceeded
                  ? fmt::format("the statement was stopped after its timeout of {} ms",
                                run.request.timeout.count())
                  : "the statement was cancelled";
  } else if (failure.kind == "out_of_memory") {
    code = Code::kResourceExhausted;
    message = "the statement needs more memory than the SQL engine has: " + message;
  } else if (failure.kind == "conflict") {
    code = Code::kConflict;
    retry = true;
  } else if (failure.kind == "permission") {
    code = Code::kPermissionDenied;
    if (message.contains("disabled by configuration")) {
      message =
          "SQL reads and writes files of the lake only, named as a text: FROM 's3://bucket/key'";
    }
  } else if (failure.kind == "fatal") {
    code = Code::kInternal;
  }
  for (const auto& view : views_) {
    if (run.caller.may(view.permission) || !message.contains(refusal_of(view))) continue;
    code = Code::kPermissionDenied;
    message = refusal_of(view);
  }
  std::string field = failure.kind == "params" ? "params" : "sql";
  const auto index = static_cast<std::size_t>(failure.statement);
  if (failure.at >= 0 && index < run.texts.size()) {
    const std::size_t at = run.texts[index].original(static_cast<std::size_t>(failure.at));
    field = place_in(run.request.sql, at);
    const auto [line, column] = line_and_column(run.request.sql, at);
    message = fmt::format("line {}, column {}: {}", line, column, message);
  } else if (run.texts.size() > 1 && index < run.statements.size()) {
    message = fmt::format("statement {} ({}): {}", index + 1, run.statements[index].head, message);
  }
  Error error(code, std::move(message), std::move(field));
  error.retry = retry;
  return error;
}

std::string Warehouse::tail(const Run& run) const {
  if (run.request.format != Format::kJson) return "";
  std::string out = "],\"row_count\":" + std::to_string(run.done.rows) +
                    ",\"truncated\":" + (run.done.truncated ? "true" : "false") + ",\"statement\":";
  append_json_string(out, run.info.statement);
  out += ",\"elapsed_ms\":";
  append_json_double(out, static_cast<double>(run.info.elapsed_us) / 1000.0);
  out += ",\"query_id\":";
  append_json_string(out, run.info.id);
  return out + "}";
}

Task<Result<void>> Warehouse::admit(std::shared_ptr<Run> run) {
  const auto deadline =
      ports_.clock.steady() + std::min<std::chrono::milliseconds>(kMaxWait, run->request.timeout);
  {
    const std::lock_guard lock(mutex_);
    if (waiting_ >= kMaxWaiting) {
      Error error(Code::kResourceExhausted,
                  fmt::format("{} queries wait already; try again later", waiting_));
      error.retry = true;
      co_return error;
    }
    ++waiting_;
  }
  Result<void> result;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      const auto& user = run->caller.user.str();
      const auto mine = busy_of_.find(user);
      const bool share = mine == busy_of_.end() || mine->second < kUserSlots;
      if (busy_ < kSlots && share && !ended_) {
        ++busy_;
        ++busy_of_[user];
        run->admitted = true;
        break;
      }
    }
    if (run->stopped) {
      result = explain(*run, {"", "interrupted", 0, -1, false});
      break;
    }
    if (ended_) {
      result = Error(Code::kUnavailable, "the server is stopping");
      break;
    }
    if (ports_.clock.steady() >= deadline) {
      result = Error(Code::kUnavailable,
                     "the query waited for a free slot for too long; try again later");
      break;
    }
    co_await freed_.wait(std::chrono::milliseconds(500));
  }
  const std::lock_guard lock(mutex_);
  --waiting_;
  co_return result;
}

void Warehouse::leave(Run& run) {
  {
    const std::lock_guard lock(mutex_);
    running_.erase(run.info.id);
    if (std::exchange(run.admitted, false)) {
      --busy_;
      if (--busy_of_[run.caller.user.str()] == 0) busy_of_.erase(run.caller.user.str());
    }
  }
  freed_.notify_all();
}

// The one end of every query: frees what it held and records what it did.
Task<Result<void>> Warehouse::finish(std::shared_ptr<Run> run, std::optional<Error> error) {
  Loop::cancel(run->timer);
  if (!error && run->request.format == Format::kParquet) {
    auto opened = [&] {
      return SystemFiles().open(data_ + "/" + run->folder + "/result.parquet");
    };
    auto file = co_await ports_.pool.run(opened);
    if (!file) error = file.error();
    if (file) run->file = file_source(std::move(*file), ports_.pool);
  }
  {
    const std::lock_guard lock(run->mutex);
    if (run->session) host_.release(*run->session, error && error->code == Code::kUnavailable);
    run->session.reset();
  }
  if (!run->folder.empty()) {
    auto remove = [&] {
      return remove_folder(data_ + "/" + run->folder);
    };
    if (const auto removed = co_await ports_.pool.run(remove); !removed) {
      log::warn("warehouse.folder", Json::object({{"error", removed.error().message}}));
    }
  }
  measure(*run);
  auto& info = run->info;
  info.state = !error ? "finished" : error->code == Code::kCancelled ? "cancelled" : "failed";
  if (error) {
    info.error = error->message;
    info.error_code = code_name(error->code);
  }
  run->finished = true;
  Result<void> recorded;
  if (run->changes) {
    recorded = co_await record(run);
  } else {
    ports_.scope.spawn(ports_.loops.next(),
                       record_later(run));  // a reader need not wait for the history
  }
  leave(*run);
  co_return recorded;
}

// What the query took so far.
void Warehouse::measure(Run& run) const {
  auto& info = run.info;
  info.elapsed_us =
      std::chrono::duration_cast<std::chrono::microseconds>(ports_.clock.steady() - run.began)
          .count();
  info.rows = run.done.rows;
  info.cpu_ms = run.done.cpu_ms;
  if (ports_.cost)
    info.cost =
        ports_.cost(std::chrono::microseconds(static_cast<std::int64_t>(info.cpu_ms * 1000)));
}

Task<void> Warehouse::abandon(std::shared_ptr<Run> run) {
  // What it may still commit has to be recorded. It was interrupted, so that this takes no long.
  while (run->changes && run->sent && !run->finished) {
    run->buffer.clear();
    if (!co_await advance(run)) break;
  }
  if (run->finished) co_return;
  const auto done =
      co_await finish(run, Error(Code::kCancelled, "the client went away before the answer's end"));
  if (!done) log::error("warehouse.record", Json::object({{"error", done.error().message}}));
}

Task<Result<void>> Warehouse::record(std::shared_ptr<Run> run) {
  const QueryOutcome outcome = outcome_of(*run);
  auto change = [&](kernel::Writer& writer) -> Result<bool> {
    STRATA_TRY(commit_outcome(writer, {ports_.audit, ports_.events, ports_.lineage}, outcome));
    return true;
  };
  auto done = co_await ports_.records.write(change);
  if (!done) {
    Error error = done.error().wrap("the statement was committed, but could not be recorded");
    error.effect = Effect::kMaybe;
    co_return error;
  }
  if (run->changes && outcome.whole) {
    const std::lock_guard lock(mutex_);
    recorded_.push_back(run->info.id);
  }
  co_return Result<void>();
}

QueryOutcome Warehouse::outcome_of(const Run& run) const {
  QueryOutcome outcome;
  outcome.info = run.info;
  outcome.whole = run.answered || !run.sent;
  outcome.project = ports_.system.project;
  outcome.caller = run.caller;
  outcome.ended = ports_.clock.now();
  outcome.statements = run.facts;
  outcome.effects = run.done.effects;
  return outcome;
}

// In batches, as the engine writes them away with a commit of its own.
std::vector<std::string> Warehouse::take_recorded() {
  const std::lock_guard lock(mutex_);
  if (recorded_.size() < kRecordedBatch) return {};
  return std::exchange(recorded_, {});
}

Task<void> Warehouse::record_later(std::shared_ptr<Run> run) {
  const auto done = co_await record(run);
  if (!done) log::error("warehouse.record", Json::object({{"error", done.error().to_string()}}));
}

void Warehouse::interrupt(Run& run, Code why) {
  const std::lock_guard lock(run.mutex);
  if (!run.stopped.exchange(true)) run.stopped_by = why;
  if (!run.session) return;
  // When the socket is closed, there is nothing left to stop.
  (void)run.session->socket.send(static_cast<char>(Say::kCancel), "");
  std::weak_ptr<EngineHost::Engine> engine = run.session->engine;
  const std::string id = run.info.id;
  ports_.loops.next().call_after(kHardStop, [this, engine, id] {
    ports_.pool.submit([this, engine, id] {
      {
        const std::lock_guard held(mutex_);
        if (!running_.contains(id)) return;
      }
      if (const auto stuck = engine.lock()) host_.kill(stuck);
    });
  });
}

QueryInfo Warehouse::describe(const Run& run) const {
  QueryInfo info;
  info.id = run.info.id;
  info.user = run.info.user;
  info.sql = run.info.sql;
  info.statement = run.info.statement;
  info.started = run.info.started;
  info.state = run.is_running ? "running" : "queued";
  info.progress = run.progress;
  info.elapsed_us =
      std::chrono::duration_cast<std::chrono::microseconds>(ports_.clock.steady() - run.began)
          .count();
  return info;
}

Task<Status> Warehouse::cancel(const Caller& caller, std::string id) {
  std::shared_ptr<Run> run;
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found != running_.end()) run = found->second;
  }
  if (!run || (run->caller.user != caller.user && !caller.may(Permission::kAdmin))) {
    co_return not_found("no query '" + id.substr(0, 64) + "' is running");
  }
  auto stop = [&] {
    interrupt(*run, Code::kCancelled);
    return true;
  };
  co_await ports_.pool.run(stop);
  freed_.notify_all();
  co_return Status();
}

Task<Result<std::vector<QueryInfo>>> Warehouse::history(const Caller& caller, int limit) {
  const std::string user = caller.may(Permission::kAdmin) ? "" : caller.user_name;
  std::vector<QueryInfo> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, run] : running_) {
      if (user.empty() || run->info.user == user) out.push_back(describe(*run));
    }
  }
  auto past = co_await ports_.records.read([&](kernel::Reader& reader) {
    return read_history(reader, caller.project, user, "", limit);
  });
  if (!past) co_return std::move(past).error();
  for (auto& info : *past) {
    const bool running =
        std::any_of(out.begin(), out.end(), [&](const auto& other) { return other.id == info.id; });
    if (!running) out.push_back(std::move(info));
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.started > b.started; });
  if (out.size() > static_cast<std::size_t>(limit)) out.resize(static_cast<std::size_t>(limit));
  co_return out;
}

Task<Result<QueryInfo>> Warehouse::find(const Caller& caller, std::string id) {
  const std::string user = caller.may(Permission::kAdmin) ? "" : caller.user_name;
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found != running_.end() && (user.empty() || found->second->info.user == user)) {
      co_return describe(*found->second);
    }
  }
  auto past = co_await ports_.records.read(
      [&](kernel::Reader& reader) { return read_history(reader, caller.project, user, id, 1); });
  if (!past) co_return std::move(past).error();
  if (past->empty() || id.empty())
    co_return not_found("there is no query '" + id.substr(0, 64) + "'");
  co_return std::move(past->front());
}

Task<Result<std::vector<TableInfo>>> Warehouse::tables(const Caller& caller) {
  auto out = co_await ports_.records.read(
      [&](kernel::Reader& reader) { return read_tables(reader, caller.project); });
  if (!out) co_return std::move(out).error();
  for (const auto& view : views_) {
    TableInfo info;
    info.schema = "strata";
    info.name = view.name;
    info.kind = "system view";
    info.columns = view.columns;
    out->push_back(std::move(info));
  }
  co_return std::move(*out);
}

}  // namespace strata::storage::warehouse
