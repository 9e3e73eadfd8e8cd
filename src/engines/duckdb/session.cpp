#include "engines/duckdb/session.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <semaphore>
#include <set>

#include "base/text.hpp"
#include "engines/duckdb/encoder.hpp"
#include "runtime/clock.hpp"

namespace strata::engines::duckdb {

namespace {

using namespace wire::sql_engine;

constexpr std::size_t kPieceBytes = 256U << 10U;
constexpr int kProgressEveryMs = 200;
constexpr int kLooksOver = 5;  // of kProgressEveryMs each, until an interrupt must have worked
constexpr std::int64_t kSlackMb = 512;  // the library, its statics and what streams through
// Newer than the header.
constexpr auto kMergeInto = static_cast<duckdb_statement_type>(30);
constexpr std::string_view kExplain = "EXPLAIN (FORMAT json) ";

// One failed statement, on its way out.
using Outcome = std::expected<void, Failure>;

std::string kind_of(duckdb_error_type type) {
  switch (type) {
    case DUCKDB_ERROR_OUT_OF_MEMORY:
      return "out_of_memory";
    case DUCKDB_ERROR_INTERRUPT:
      return "interrupted";
    case DUCKDB_ERROR_TRANSACTION:
      return "conflict";
    case DUCKDB_ERROR_FATAL:
    case DUCKDB_ERROR_INTERNAL:
      return "fatal";
    case DUCKDB_ERROR_PERMISSION:
      return "permission";
    case DUCKDB_ERROR_IO:
      return "io";
    case DUCKDB_ERROR_CATALOG:
      return "not_found";
    default:
      return "other";
  }
}

// Some calls tell no type; the message always begins with it.
std::string kind_of(std::string_view message) {
  static constexpr std::pair<std::string_view, std::string_view> kinds[] = {
      {"Out of Memory Error", "out_of_memory"},
      {"INTERRUPT Error", "interrupted"},
      {"TransactionContext Error", "conflict"},
      {"FATAL Error", "fatal"},
      {"INTERNAL Error", "fatal"},
      {"Permission Error", "permission"},
      {"IO Error", "io"},
      {"Catalog Error", "not_found"}};
  for (const auto& [start, kind] : kinds) {
    if (message.starts_with(start)) return std::string(kind);
  }
  return "other";
}

// What the engine says it is, beside what the server read from the text: neither alone lets a
// statement through.
bool is_allowed(duckdb_statement_type type) {
  switch (type) {
    case DUCKDB_STATEMENT_TYPE_SELECT:
    case DUCKDB_STATEMENT_TYPE_INSERT:
    case DUCKDB_STATEMENT_TYPE_UPDATE:
    case DUCKDB_STATEMENT_TYPE_DELETE:
    case kMergeInto:
    case DUCKDB_STATEMENT_TYPE_EXPLAIN:
    case DUCKDB_STATEMENT_TYPE_CREATE:
    case DUCKDB_STATEMENT_TYPE_CREATE_FUNC:
    case DUCKDB_STATEMENT_TYPE_ALTER:
    case DUCKDB_STATEMENT_TYPE_DROP:
    case DUCKDB_STATEMENT_TYPE_TRANSACTION:
    case DUCKDB_STATEMENT_TYPE_COPY:
    case DUCKDB_STATEMENT_TYPE_ANALYZE:
    case DUCKDB_STATEMENT_TYPE_VACUUM:
    case DUCKDB_STATEMENT_TYPE_RELATION:
      return true;
    default:
      return false;
  }
}

bool reads_tables(duckdb_statement_type type) {
  switch (type) {
    case DUCKDB_STATEMENT_TYPE_SELECT:
    case DUCKDB_STATEMENT_TYPE_INSERT:
    case DUCKDB_STATEMENT_TYPE_UPDATE:
    case DUCKDB_STATEMENT_TYPE_DELETE:
    case kMergeInto:
    case DUCKDB_STATEMENT_TYPE_CREATE:
    case DUCKDB_STATEMENT_TYPE_COPY:
      return true;
    default:
      return false;
  }
}

class Session {
 public:
  Session(Engine& engine, MessageSocket& socket, Connection connection, RunRequest request)
      : engine_(engine),
        library_(engine.library()),
        socket_(socket),
        connection_(std::move(connection)),
        request_(std::move(request)) {}

  duckdb_connection connection() const { return connection_.get(); }

  // The statement holds more memory than there is; it is about to be interrupted. From any thread.
  void exhaust() { exhausted_ = true; }

  // What is recorded elsewhere by now. When it fails, the next start settles all.
  void settle() const {
    (void)engine_.commits().settle(engine_.ask(connection_), request_.recorded);
  }

  void run() {
    const int metered = engine_.meter().begin();
    Outcome outcome = run_all();
    done_.cpu_ms = engine_.meter().end(metered);
    if (!outcome && exhausted_) {
      outcome.error().message = fmt::format(
          "it builds values larger than the {} MiB that SQL has (sql.memory)", engine_.memory_mb());
      set_kind(outcome.error(), "out_of_memory");
    }
    if (!outcome) {
      if (in_transaction_)
        (void)engine_.run(connection_, "ROLLBACK");  // it failed already: this only frees it early
      outcome.error().effects = std::move(done_.effects);
      send(Say::kFailed, encode(outcome.error()));
      return;
    }
    send(Say::kDone, encode(done_));
  }

 private:
  Outcome run_all() {
    for (const auto& view : request_.views) {
      // A file that cannot be read fails only who reads it: where the script does not name the
      // view, a statement that comes to it all the same meets the same fault.
      auto ready = engine_.refresh(view);
      if (!view.named || !view.readable) ready = Status();
      if (ready && view.readable) ready = engine_.allow(connection_, view);
      if (!ready) return failed(ready.error().message, "");
    }
    // A script is one transaction, unless it brings its own.
    const bool own = std::any_of(request_.statements.begin(), request_.statements.end(),
                                 [](const auto& statement) { return statement.transaction; });
    for (index_ = 0; index_ < static_cast<int>(request_.statements.size()); ++index_) {
      const auto& statement = request_.statements[static_cast<std::size_t>(index_)];
      const bool last = index_ + 1 == static_cast<int>(request_.statements.size());
      if (statement.transaction) {
        if (auto ran = run_bracket(statement, last); !ran) return ran;
        continue;
      }
      if (!in_transaction_) {
        if (auto begun = engine_.run(connection_, "BEGIN"); !begun)
          return failed(begun.error().message, "");
        in_transaction_ = true;
      }
      if (auto ran = run_one(statement, last); !ran) return ran;
      if (own && !open_) {
        if (auto committed = commit(); !committed) return committed;
      }
    }
    --index_;
    if (open_) {
      return std::unexpected(
          Failure{"the script began a transaction and did not end it, so it was rolled back; "
                  "end it with COMMIT",
                  "other",
                  index_,
                  -1,
                  false,
                  {}});
    }
    return in_transaction_ ? commit() : Outcome();
  }

  // BEGIN, COMMIT and their kin, as the script has them.
  Outcome run_bracket(const RunStatement& statement, bool last) {
    const std::string word =
        to_lower(statement.sql.substr(0, statement.sql.find_first_of(" \t\n;")));
    if (open_ && (word == "commit" || word == "end")) {
      Outcome ran;
      const auto run = [&]() -> Status {
        ran = run_statement(statement, last);
        return ran ? Status() : Status(internal(ran.error().message));
      };
      auto committed = commit(run);
      return ran ? committed : ran;
    }
    if (auto ran = run_statement(statement, last); !ran) return ran;
    open_ = in_transaction_ = word == "begin" || word == "start";
    effects_.clear();
    changes_.clear();
    return {};
  }

  Outcome commit() {
    return commit([&] { return engine_.run(connection_, "COMMIT"); });
  }

  // Ends the transaction and keeps what it did for the report.
  Outcome commit(const std::function<Status()>& run) {
    // Nobody would learn of it, and nobody could record what it was made from.
    if (gone_) return failed("the query was given up", "");
    const auto ask = engine_.ask(connection_);
    if (auto seen = engine_.commits().find_read(ask, effects_); !seen)
      return failed(seen.error().message, "");
    Status ended;
    if (changes_.empty()) {
      ended = run();
    } else {
      auto record = record_of_commit();
      ended = engine_.commits().commit(ask, record, run);
      effects_ = std::move(record.effects);
    }
    if (!ended) return failed(ended.error().message, "");
    open_ = in_transaction_ = false;
    done_.effects.insert(done_.effects.end(), std::make_move_iterator(effects_.begin()),
                         std::make_move_iterator(effects_.end()));
    effects_.clear();
    changes_.clear();
    return {};
  }

  CommitRecord record_of_commit() {
    CommitRecord record;
    record.query = request_.query;
    record.note = request_.note;
    record.last = index_ + 1 == static_cast<int>(request_.statements.size());
    record.committed = SystemClock().now();
    record.effects = std::move(effects_);
    for (const auto& effect : record.effects)
      record.notes.push_back(request_.statements[static_cast<std::size_t>(effect.statement)].note);
    return record;
  }

  // Runs a statement inside of the transaction and notes what it reads and changes.
  Outcome run_one(const RunStatement& statement, bool last) {
    StatementEffect effect;
    effect.statement = index_;
    reads_.clear();
    std::vector<std::optional<TableFacts>> before;
    for (const auto& change : statement.writes) {
      auto found = engine_.find(connection_, change.schema, change.name);
      if (!found) return failed(found.error().message, "");
      before.push_back(std::move(*found));
    }
    std::vector<TableFacts> all;
    if (statement.drops) {
      auto names = engine_.names(connection_, "");
      if (!names) return failed(names.error().message, "");
      all = std::move(*names);
    }
    const auto defined = definitions_before(statement);
    if (!defined) return failed(defined.error().message, "");
    if (auto ran = run_statement(statement, last); !ran) return ran;
    if (statement.conditional) {
      const auto now = engine_.definitions(connection_);
      if (!now) return failed(now.error().message, "");
      if (*now == *defined) return {};  // it did nothing, and there is nothing to tell
    }
    // Its plan scans the table, but nothing of that is kept.
    if (to_lower(statement.sql.substr(0, 8)) == "truncate") reads_.clear();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (auto noted = note_change(statement, i, before, effect); !noted) return noted;
    }
    if (statement.drops) {
      if (auto noted = note_drops(all, effect); !noted) return noted;
    }
    for (const auto& [schema, name] : reads_)
      effect.reads.push_back({schema, name, seen(schema, name)});
    effects_.push_back(std::move(effect));
    return {};
  }

  Result<std::string> definitions_before(const RunStatement& statement) const {
    return statement.conditional ? engine_.definitions(connection_) : Result<std::string>("");
  }

  // What the statement sees of a table: a state that this transaction made, or 0 for the one that
  // stood when it began.
  std::int64_t seen(const std::string& schema, const std::string& name) const {
    const auto own = before_.find({schema, name});
    return own == before_.end() || own->second == 0 ? 0 : Commits::pending(own->second);
  }

  Outcome note_change(const RunStatement& statement, std::size_t i,
                      const std::vector<std::optional<TableFacts>>& before,
                      StatementEffect& effect) {
    const auto& change = statement.writes[i];
    auto facts = engine_.facts(connection_, change.schema, change.name);
    if (!facts) return failed(facts.error().message, "");
    if (!facts->exists) {
      if (before[i]) note_gone(*before[i], effect);
      return {};
    }
    std::optional<TableVersion> from;
    for (std::size_t j = 0; j < before.size(); ++j) {
      const auto& wanted = change.formerly.empty() ? change.name : change.formerly;
      if (change.keeps && before[j] && equal_ignoring_case(statement.writes[j].name, wanted))
        from = TableVersion{before[j]->schema, before[j]->name,
                            Commits::pending(changes_[{before[j]->schema, before[j]->name}])};
    }
    if (facts->kind == "view") {  // what it shows is told by its own plan
      if (auto found = find_reads("SELECT * FROM " + table_name(facts->schema, facts->name), 0);
          !found)
        return found;
    }
    facts->version = Commits::pending(++changes_[{facts->schema, facts->name}]);
    effect.writes.push_back({std::move(*facts), std::move(from)});
    return {};
  }

  void note_gone(TableFacts table, StatementEffect& effect) {
    table.exists = false;
    table.version = Commits::pending(changes_[{table.schema, table.name}]);
    effect.writes.push_back({std::move(table), std::nullopt});
  }

  // DROP ... CASCADE takes along more than it names.
  Outcome note_drops(const std::vector<TableFacts>& before, StatementEffect& effect) {
    auto after = engine_.names(connection_, "");
    if (!after) return failed(after.error().message, "");
    const auto same = [](const TableFacts& table) {
      return [&table](const TableFacts& other) {
        return other.schema == table.schema && other.name == table.name;
      };
    };
    for (const auto& table : before) {
      const bool noted = std::any_of(
          effect.writes.begin(), effect.writes.end(),
          [&](const StatementEffect::Write& write) { return same(table)(write.table); });
      if (!noted && std::none_of(after->begin(), after->end(), same(table)))
        note_gone(table, effect);
    }
    return {};
  }

  Outcome run_statement(const RunStatement& statement, bool last) {
    before_ = changes_;
    const bool to_file = last && request_.format == Format::kParquet && statement.returns_rows;
    std::string sql = statement.sql;
    std::size_t before = 0;
    if (to_file) {
      const std::string head = "COPY (";
      before = head.size();
      sql = head + statement.sql + "\n) TO '" + request_.result_file +
            "' (FORMAT parquet, COMPRESSION zstd)";
      if (request_.limit > 0) {
        const std::string limited = "COPY (FROM (";
        before = limited.size();
        sql = limited + statement.sql + "\n) LIMIT " + std::to_string(request_.limit) + ") TO '" +
              request_.result_file + "' (FORMAT parquet, COMPRESSION zstd)";
      }
    }
    Prepared prepared(library_);
    if (auto ready = prepare(sql, before, prepared); !ready) return ready;
    const auto type = library_.prepared_statement_type(prepared.get());
    if (!is_allowed(type)) {
      return std::unexpected(
          Failure{"this statement is not available here", "permission", index_, 0, false});
    }
    if (auto bound = bind(prepared); !bound) return bound;
    if (reads_tables(type)) {
      if (auto found = find_reads(sql, before); !found) return found;
    }
    return execute(prepared, sql, before, last, to_file);
  }

  // The engine makes two statements of a PIVOT that does not list its columns: the first, which
  // runs here, makes a temporary type of their names.
  Outcome prepare(const std::string& sql, std::size_t before, Prepared& prepared) {
    const auto connection = connection_.get();
    const auto failed_to = [&](Prepared& tried) {
      return failed(library_.prepare_error(tried.get()), sql, before);
    };
    if (!to_lower(sql).contains("pivot")) {
      if (library_.prepare(connection, sql.c_str(), prepared.out()) == DuckDBSuccess) return {};
      return failed_to(prepared);
    }
    Extracted all(library_);
    const idx_t count = library_.extract_statements(connection, sql.c_str(), all.out());
    if (count < 2) {  // or none, and this call says what is wrong with the text
      if (library_.prepare(connection, sql.c_str(), prepared.out()) == DuckDBSuccess) return {};
      return failed_to(prepared);
    }
    // Takes it out of `all`, so each can be taken once.
    const auto take = [&](idx_t i, Prepared& out) {
      return library_.prepare_extracted_statement(connection, all.get(), i, out.out()) ==
             DuckDBSuccess;
    };
    idx_t last = count - 1;
    for (idx_t i = 0; i < last; ++i) {
      Prepared first(library_);
      if (!take(i, first)) return failed_to(first);
      const auto kind = library_.prepared_statement_type(first.get());
      // Around what changes something stand BEGIN and COMMIT, or their like; the session has its
      // own.
      if (i == 0 &&
          (kind == DUCKDB_STATEMENT_TYPE_TRANSACTION || kind == DUCKDB_STATEMENT_TYPE_SET)) {
        --last;
        continue;
      }
      if (kind != DUCKDB_STATEMENT_TYPE_CREATE) {
        return std::unexpected(
            Failure{"this statement is not available here", "permission", index_, 0, false});
      }
      if (auto ran = execute(first, sql, before, false, false); !ran) return ran;
    }
    return take(last, prepared) ? Outcome() : failed_to(prepared);
  }

  Outcome execute(Prepared& prepared, const std::string& sql, std::size_t before, bool last,
                  bool to_file) {
    Pending pending(library_);
    if (library_.pending_prepared_streaming(prepared.get(), pending.out()) != DuckDBSuccess) {
      return failed(library_.pending_error(pending.get()), sql, before);
    }
    QueryResult result(library_);
    if (library_.execute_pending(pending.get(), result.out()) != DuckDBSuccess) {
      return failed(result, sql, before);
    }
    if (!last) return drain(result, sql);
    if (to_file) return count_only(result, sql);
    return stream(result, sql);
  }

  Outcome bind(Prepared& prepared) {
    const idx_t wanted = library_.nparams(prepared.get());
    const std::size_t given = request_.params.size();
    if (wanted != given || (wanted > 0 && request_.statements.size() > 1)) {
      return std::unexpected(
          Failure{fmt::format("the statement has {} parameter{} and params has {} value{}", wanted,
                              wanted == 1 ? "" : "s", given, given == 1 ? "" : "s"),
                  "params",
                  index_,
                  -1,
                  false,
                  {}});
    }
    for (idx_t i = 0; i < given; ++i) {
      idx_t place = i + 1;
      const Json* value = nullptr;
      if (request_.params.is_object()) {
        const auto& [key, member] = request_.params.as_object()[i];
        value = &member;
        if (library_.bind_parameter_index(prepared.get(), &place, key.c_str()) != DuckDBSuccess) {
          return std::unexpected(
              Failure{"the statement has no parameter $" + key, "params", index_, -1, false});
        }
      } else {
        value = &request_.params.as_array()[i];
      }
      if (bind_value(prepared.get(), place, *value) != DuckDBSuccess) {
        return std::unexpected(
            Failure{fmt::format("the value of parameter {} cannot be bound", place),
                    "params",
                    index_,
                    -1,
                    false,
                    {}});
      }
    }
    return {};
  }

  duckdb_state bind_value(duckdb_prepared_statement prepared, idx_t place, const Json& value) {
    if (value.is_null()) return library_.bind_null(prepared, place);
    if (value.is_bool()) return library_.bind_boolean(prepared, place, value.as_bool());
    if (value.is_int()) return library_.bind_int64(prepared, place, value.as_int());
    if (value.is_uint64()) return library_.bind_uint64(prepared, place, value.as_uint64());
    if (value.is_number()) return library_.bind_double(prepared, place, value.as_double());
    const std::string text = value.is_string() ? value.as_string() : value.dump();
    return library_.bind_varchar_length(prepared, place, text.data(), text.size());
  }

  // Asks for the plan, whose scans name the tables behind views and subqueries; names that the
  // optimizer dropped because they cannot contribute rows come from the parser.
  Outcome find_reads(const std::string& sql, std::size_t before) {
    const std::string question = std::string(kExplain) + sql;
    Prepared prepared(library_);
    if (!prepare(question, before + kExplain.size(), prepared)) return {};
    if (auto bound = bind(prepared); !bound) return bound;
    Pending pending(library_);
    if (library_.pending_prepared_streaming(prepared.get(), pending.out()) != DuckDBSuccess) {
      return failed(library_.pending_error(pending.get()), question, before + kExplain.size());
    }
    QueryResult result(library_);
    if (library_.execute_pending(pending.get(), result.out()) != DuckDBSuccess) {
      return failed(result, question, before + kExplain.size());
    }
    std::string plan;
    if (auto read = last_column(result, plan); !read) return read;
    if (auto json = parse_json(plan, JsonLimits{.depth = 500})) collect_scans(*json);
    Value names(library_, library_.get_table_names(connection_.get(), sql.c_str(), true));
    for (idx_t i = 0; names && i < library_.get_list_size(names.get()); ++i) {
      const Value item(library_, library_.get_list_child(names.get(), i));
      char* name = library_.get_varchar(item.get());
      if (name != nullptr) resolve(name);
      library_.free(name);
    }
    return {};
  }

  Outcome last_column(QueryResult& result, std::string& out) {
    std::vector<std::unique_ptr<Encoder>> unused;
    auto encoder = make_encoder(library_, Format::kJson, result.get());
    std::string rows = "[";
    const Relieve keep = [](std::string&) {
    };
    while (true) {
      Chunk chunk(library_, library_.fetch_chunk(result.get()));
      if (!chunk) break;
      (void)(*encoder)->add(rows, chunk.get(), library_.data_chunk_get_size(chunk.get()), keep);
    }
    auto json = parse_json(rows + "]");
    if (json && json->size() > 0) {
      const Json& row = json->as_array().back();
      if (row.size() > 0 && row.as_array().back().is_string())
        out = row.as_array().back().as_string();
    }
    return {};
  }

  void collect_scans(const Json& node) {
    if (node.is_array()) {
      for (const auto& child : node.as_array())
        collect_scans(child);
      return;
    }
    if (!node.is_object()) return;
    const std::string table = node["extra_info"].text("Table");
    const auto parts = split(table, '.');
    if (parts.size() == 3 && parts[0] == "warehouse") reads_.insert({parts[1], parts[2]});
    collect_scans(node["children"]);
  }

  Outcome drain(QueryResult& result, const std::string& sql) {
    while (true) {
      Chunk chunk(library_, library_.fetch_chunk(result.get()));
      if (!chunk) break;
    }
    return check(result, sql);
  }

  // The count that COPY answers is the number of rows in the file.
  Outcome count_only(QueryResult& result, const std::string& sql) {
    send(Say::kHead, encode(Head{}));
    std::string rows = "[";
    const Relieve keep = [](std::string&) {
    };
    auto encoder = make_encoder(library_, Format::kJson, result.get());
    while (true) {
      Chunk chunk(library_, library_.fetch_chunk(result.get()));
      if (!chunk) break;
      (void)(*encoder)->add(rows, chunk.get(), library_.data_chunk_get_size(chunk.get()), keep);
    }
    const auto json = parse_json(rows + "]");
    if (json && json->size() == 1 && json->as_array()[0].size() == 1 &&
        json->as_array()[0].as_array()[0].is_int()) {
      done_.rows = json->as_array()[0].as_array()[0].as_int();
    }
    return check(result, sql);
  }

  Outcome stream(QueryResult& result, const std::string& sql) {
    auto encoder = make_encoder(library_, request_.format, result.get());
    if (!encoder) return failed(encoder.error().message, "");
    send(Say::kHead, encode(Head{columns_of(library_, result.get())}));
    std::string out;
    if (auto begun = (*encoder)->begin(out); !begun) return failed(begun.error().message, "");
    const Relieve relieve = [this](std::string& full) {
      if (full.size() >= kPieceBytes) flush(full);
    };
    while (!gone_) {
      Chunk chunk(library_, library_.fetch_chunk(result.get()));
      if (!chunk) break;
      idx_t rows = library_.data_chunk_get_size(chunk.get());
      const auto sent = static_cast<std::uint64_t>(done_.rows);
      if (request_.limit > 0 && sent + rows > request_.limit) {
        rows = request_.limit - sent;
        done_.truncated = true;
      }
      if (rows > 0) {
        if (auto added = (*encoder)->add(out, chunk.get(), rows, relieve); !added)
          return failed(added.error().message, "");
      }
      done_.rows += static_cast<std::int64_t>(rows);
      if (done_.truncated) break;
    }
    if (!done_.truncated && !gone_) {
      if (auto whole = check(result, sql); !whole) return whole;
    }
    if (auto ended = (*encoder)->end(out); !ended) return failed(ended.error().message, "");
    flush(out);
    return {};
  }

  // In pieces of the same size, however long a cell or an Arrow batch is.
  void flush(std::string& out) {
    const std::string_view all = out;
    for (std::size_t at = 0; at < all.size() && !gone_; at += kPieceBytes)
      send(Say::kData, all.substr(at, kPieceBytes));
    out.clear();
  }

  void send(Say kind, std::string_view payload) {
    const auto sent = socket_.send(static_cast<char>(kind), payload);
    if (sent) return;
    // The query was given up and nobody is left to tell; or what should be sent cannot be, and the
    // closed socket says that this is no answer.
    gone_ = true;
    if (sent.error().code != Code::kUnavailable) socket_.shutdown();
  }

  Outcome check(QueryResult& result, const std::string& sql) {
    const char* message = library_.result_error(result.out());
    if (message == nullptr || *message == '\0') return {};
    return failed(result, sql, 0);
  }

  Outcome failed(QueryResult& result, const std::string& sql, std::size_t before) {
    const char* message = library_.result_error(result.out());
    auto outcome = failed(message != nullptr ? message : "the SQL engine failed without a reason",
                          sql, before);
    const std::string kind = kind_of(library_.result_error_type(result.out()));
    if (kind != "other") set_kind(outcome.error(), kind);
    return outcome;
  }

  // `before`: bytes of `sql` that the server did not write.
  Outcome failed(std::string_view message, const std::string& sql, std::size_t before = 0) const {
    const auto read = read_message(message, sql);
    Failure failure{read.text + hint_for(read.text), "", index_, -1, false};
    if (read.at >= static_cast<std::int64_t>(before))
      failure.at = read.at - static_cast<std::int64_t>(before);
    set_kind(failure, kind_of(message));
    return std::unexpected(std::move(failure));
  }

  // What to do about a view's file that the engine could not read.
  std::string hint_for(std::string_view message) const {
    for (const auto& view : request_.views) {
      for (const auto& file : view.files) {
        if (!message.contains(file)) continue;
        return fmt::format(
            "; a file of strata.{} is damaged: 'strata fsck' lists such files, and "
            "without them, moved out of the data directory, the others can be read",
            view.name);
      }
    }
    return {};
  }

  // After memory ran out or a fault the process may hold leftovers: better a new one.
  static void set_kind(Failure& failure, const std::string& kind) {
    failure.kind = kind;
    failure.recycle = kind == "out_of_memory" || kind == "fatal";
  }

  // A name as the parser saw it, "schema.table" or "table", counts when it is a table now; views
  // were looked through above.
  void resolve(const std::string& mention) {
    auto parts = split(mention, '.');
    for (auto& part : parts) {
      if (part.size() >= 2 && part.front() == '"') part = part.substr(1, part.size() - 2);
    }
    if (parts.size() == 3 && parts[0] == "warehouse") parts.erase(parts.begin());
    if (parts.size() == 1) parts.insert(parts.begin(), "main");
    if (parts.size() != 2 || reads_.contains({parts[0], parts[1]})) return;
    auto found = engine_.find(connection_, parts[0], parts[1]);
    if (found && *found && (*found)->kind == "table")
      reads_.insert({(*found)->schema, (*found)->name});
  }

  Engine& engine_;
  const Library& library_;
  MessageSocket& socket_;
  Connection connection_;
  RunRequest request_;
  Done done_;
  int index_ = 0;
  bool in_transaction_ = false;
  bool open_ = false;  // by the script's own BEGIN
  bool gone_ = false;
  std::atomic<bool> exhausted_{false};
  std::set<std::pair<std::string, std::string>> reads_;  // of the statement
  std::vector<StatementEffect> effects_;                 // of the transaction
  // How often the transaction has changed each table; and before the statement.
  std::map<std::pair<std::string, std::string>, int> changes_, before_;
};

// Listens while the statement runs: passes on how far it is, and interrupts it when the server says
// so or is gone. Returns when the server has closed the socket.
void watch(const Engine& engine, Session& session, MessageSocket& socket,
           const std::atomic<bool>& finished) {
  const Library& library = engine.library();
  const auto connection = session.connection();
  const auto given = engine.memory_mb();
  int over = 0;  // looks in a row
  while (true) {
    if (socket.readable(kProgressEveryMs)) {
      auto message = socket.receive();
      if (!finished) library.interrupt(connection);
      if (!message) return;
      continue;
    }
    if (finished) continue;
    const auto held = Engine::resident_mb();
    if (held <= given + given / 4 + kSlackMb) {
      over = 0;
    } else if (held <= 2 * given + kSlackMb && ++over <= kLooksOver) {
      session.exhaust();
      library.interrupt(connection);
    } else {
      // It is in the middle of one endless value.
      if (!socket.send(static_cast<char>(Say::kExhausted), "")) return;
    }
    // -1 while the engine cannot tell; the server also learns that the engine is alive.
    const double percent = library.query_progress(connection).percentage;
    if (!socket.send(static_cast<char>(Say::kProgress), std::to_string(percent))) return;
  }
}

}  // namespace

void serve_session(Engine& engine, MessageSocket socket, BlockingPool& threads) {
  auto first = socket.receive();
  if (!first || first->kind != static_cast<char>(Say::kRun)) return;
  auto request = decode_run(first->payload);
  auto connection = engine.connect();
  if (!request || !connection) {
    const Error& error = request ? connection.error() : request.error();
    // When this does not arrive either, the server sees the socket close.
    (void)socket.send(static_cast<char>(Say::kFailed),
                      encode(Failure{error.message, "fatal", 0, -1, !connection.ok()}));
    return;
  }
  Session session(engine, socket, std::move(*connection), std::move(*request));
  std::atomic<bool> finished{false};
  std::binary_semaphore gone(0);
  threads.submit([&] {
    watch(engine, session, socket, finished);
    gone.release();
  });
  session.run();
  finished = true;
  gone.acquire();
  session.settle();
}

}  // namespace strata::engines::duckdb
