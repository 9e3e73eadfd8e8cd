#include "storage/warehouse/sql_text.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace strata::storage::warehouse {

namespace {

using Tokens = std::vector<SqlToken>;

// Functions that would run texts as SQL, or show the server's settings and paths. The engine keeps
// no rights of its own, so nothing may be reached that this reading of the statement does not see.
constexpr std::array kRefusedFunctions = {"query",
                                          "query_table",
                                          "json_execute_serialized_sql",
                                          "current_setting",
                                          "duckdb_settings",
                                          "duckdb_databases",
                                          "pragma_database_list",
                                          "duckdb_secrets",
                                          "which_secret",
                                          "duckdb_temporary_files",
                                          "duckdb_extensions",
                                          "enable_logging",
                                          "duckdb_logs",
                                          "duckdb_log_contexts",
                                          "parse_duckdb_log_message",
                                          "duckdb_external_file_cache",
                                          "pragma_show",
                                          "read_duckdb"};
// What begins with `strata_commit` are the engine's own tables, in engines/duckdb/commits.
constexpr std::array kRefusedNames = {
    "pg_settings",         "duckdb_databases", "pragma_database_list", "duckdb_logs",
    "duckdb_log_contexts", "strata_commits",   "strata_commit_records"};
// Words that end the list of tables behind FROM.
constexpr std::array kAfterFrom = {"where",   "group",  "order",  "having", "limit",
                                   "qualify", "window", "union",  "except", "intersect",
                                   "select",  "set",    "values", "sample"};
// Words behind which a table or file can stand, and reserved ones behind which none does before the
// next of the former.
constexpr std::array kBeforeTable = {"from",      "join",  "using", "into",    "update",
                                     "lateral",   "table", "pivot", "unpivot", "describe",
                                     "summarize", "show",  "copy"};
constexpr std::array kEndsTables = {"select", "where", "group", "order", "having", "limit"};
constexpr std::size_t kNoList = static_cast<std::size_t>(-1);
// Schema of the views that other parts of the server offer.
constexpr std::string_view kSystemSchema = "strata";

template <std::size_t N>
bool is_one_of(const std::array<const char*, N>& all, std::string_view word) {
  return std::find(all.begin(), all.end(), word) != all.end();
}

std::string upper(std::string_view word) {
  std::string out(word);
  for (char& c : out)
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

bool is_lake_text(const SqlToken& token) {
  return token.kind == SqlToken::Kind::kText && token.value.size() > 5 &&
         equal_ignoring_case(std::string_view(token.value).substr(0, 5), "s3://");
}

// Reads one statement's tokens [first, last) of the script's.
class Analyser {
 public:
  Analyser(std::string_view script, const Tokens& tokens, std::size_t first, std::size_t last)
      : script_(script),
        tokens_(tokens),
        first_(first),
        last_(last) {}

  Result<Statement> run() {
    out_.begin = tokens_[first_].begin;
    out_.end = tokens_[last_ - 1].end;
    STRATA_TRY(refuse_hidden_ways());
    STRATA_TRY(head(first_));
    STRATA_TRY(find_lake_reads());
    out_.changes = out_.changes || takes_from_sequence();
    for (const auto& write : out_.writes) {
      if (equal_ignoring_case(write.table.schema, kSystemSchema)) {
        return refuse(first_,
                      "the schema 'strata' holds the server's own views and cannot be changed; use "
                      "another schema");
      }
    }
    return std::move(out_);
  }

 private:
  const SqlToken& at(std::size_t i) const {
    static const SqlToken none;
    return i < last_ ? tokens_[i] : none;
  }
  Error refuse(std::size_t i, std::string message) const {
    return Error(Code::kUnsupported, std::move(message),
                 place_in(script_, at(std::min(i, last_ - 1)).begin));
  }

  // nextval() moves a sequence on for everybody, whichever statement calls it.
  bool takes_from_sequence() const {
    for (std::size_t i = first_; i < last_; ++i) {
      if (at(i).is_name() && equal_ignoring_case(at(i).value, "nextval") && at(i + 1).is_sign('('))
        return true;
    }
    return false;
  }

  Status refuse_hidden_ways() const {
    // By open brackets, outermost first: whether a comma there may part names of tables.
    std::vector<bool> lists = {false};
    for (std::size_t i = first_; i < last_; ++i) {
      follow_lists(i, lists);
      const auto& token = at(i);
      const std::string name = to_lower(token.value);
      const bool called = at(i + 1).is_sign('(') || token.kind == SqlToken::Kind::kText;
      // An escape could spell a refused name that this reading would not recognise.
      const bool escaped = token.kind == SqlToken::Kind::kText && token.value.contains('\\') &&
                           (script_[token.begin] == 'e' || script_[token.begin] == 'E');
      const bool named =
          i > first_ &&
          ((at(i - 1).kind == SqlToken::Kind::kWord && is_one_of(kBeforeTable, at(i - 1).value)) ||
           (at(i - 1).is_sign(',') && lists.back()));
      const bool unicode = token.is_sign('&') && i > first_ && at(i - 1).is_word("u") &&
                           at(i - 1).end == token.begin &&
                           (at(i + 1).kind == SqlToken::Kind::kQuotedName ||
                            at(i + 1).kind == SqlToken::Kind::kText);
      if (escaped && (named || is_lake_text(token))) {
        return refuse(i,
                      "a text with escapes (E'...') cannot stand for a table or file; write its "
                      "name without escapes");
      }
      if (unicode) return refuse(i, "write names and paths without escapes");
      const bool refused =
          token.is_name() || token.kind == SqlToken::Kind::kText
              ? (called && token.is_name() && is_one_of(kRefusedFunctions, name)) ||
                    (token.is_name() && is_one_of(kRefusedNames, name)) ||
                    // FROM 'name' reads the table of that name.
                    (token.kind == SqlToken::Kind::kText &&
                     (name.contains("pg_settings") || name.contains("strata_commit")))
              : false;
      if (refused) return refuse(i, "'" + printable_name(token) + "' is not available here");
    }
    return {};
  }
  // In doubt a comma parts tables: what follows FROM and its kin, up to a word that surely ends it.
  void follow_lists(std::size_t i, std::vector<bool>& lists) const {
    const auto& token = at(i);
    if (token.is_sign('(')) {
      // Behind a name stand the arguments of a call; behind anything else more of the same list.
      const bool call =
          i > first_ && at(i - 1).is_name() &&
          !(at(i - 1).kind == SqlToken::Kind::kWord && is_one_of(kBeforeTable, at(i - 1).value));
      lists.push_back(!call && lists.back());
    } else if (token.is_sign(')') && lists.size() > 1) {
      lists.pop_back();
    } else if (token.kind == SqlToken::Kind::kWord) {
      if (token.is_word("from") || token.is_word("join") || token.is_word("using"))
        lists.back() = true;
      // Behind these such a word is the name of a column or field: t.order, {order: 1}.
      const bool label = i > first_ && (at(i - 1).is_sign('.') || at(i - 1).is_sign('{') ||
                                        at(i - 1).is_sign(',') || at(i - 1).is_word("within"));
      if (is_one_of(kEndsTables, token.value) && !label) lists.back() = false;
    }
  }
  static std::string printable_name(const SqlToken& token) { return token.value.substr(0, 60); }

  // A name of one, two or three parts at `i`; moves `i` behind it. Nothing for another catalog than
  // the warehouse.
  std::optional<TableName> name(std::size_t& i) const {
    std::vector<std::string> parts;
    while (at(i).is_name() || at(i).kind == SqlToken::Kind::kText) {
      parts.push_back(at(i).value);
      ++i;
      if (!at(i).is_sign('.')) break;
      ++i;
    }
    if (parts.empty()) return std::nullopt;
    if (parts.size() == 1) return TableName{"main", parts[0]};
    if (parts.size() == 2) {
      if (parts[0] == "temp" || parts[0] == "memory") return std::nullopt;
      return TableName{parts[0] == "warehouse" ? "main" : parts[0], parts[1]};
    }
    if (parts[0] != "warehouse") return std::nullopt;
    return TableName{parts[1], parts[2]};
  }

  // Moves `i` behind the name.
  void write_to(std::size_t& i, bool keeps) {
    if (auto table = name(i)) out_.writes.push_back({std::move(*table), keeps, {}});
  }
  bool skip(std::size_t& i, std::initializer_list<std::string_view> words) const {
    std::size_t j = i;
    for (const auto word : words) {
      if (!at(j).is_word(word)) return false;
      ++j;
    }
    i = j;
    return true;
  }

  Status head(std::size_t i) {
    while (at(i).is_sign('('))
      ++i;
    const std::string word = at(i).kind == SqlToken::Kind::kWord ? at(i).value : "";
    if (out_.head.empty()) out_.head = upper(word);
    if (word == "with") return with(i);
    if (word == "select" || word == "from" || word == "values" || word == "table" ||
        word == "pivot" || word == "unpivot" || word == "describe" || word == "desc" ||
        word == "show" || word == "summarize") {
      out_.returns_rows = true;
      return {};
    }
    if (word == "explain") return explain(i + 1);
    if (word == "insert" || word == "update" || word == "delete" || word == "truncate" ||
        word == "merge") {
      return change_rows(i, word);
    }
    if (word == "create") return create(i + 1);
    if (word == "drop" || word == "alter" || word == "comment") return define(i, word);
    if (word == "copy") return copy(i + 1);
    if (word == "begin" || word == "start" || word == "commit" || word == "end" ||
        word == "rollback" || word == "abort") {
      out_.transaction = true;
      return {};
    }
    if (word == "analyze" || word == "vacuum") return {};
    return refuse_head(i, word);
  }

  Error refuse_head(std::size_t i, const std::string& word) const {
    if (word == "install" || word == "load") {
      return refuse(
          i, upper(word) + " is not available: the engine's extensions are part of the server");
    }
    if (word == "attach" || word == "detach" || word == "use") {
      return refuse(i, upper(word) +
                           " is not available: there is one warehouse; lake files are read as FROM "
                           "'s3://bucket/key'");
    }
    if (word == "set" || word == "reset" || word == "pragma" || word == "call") {
      return refuse(i,
                    upper(word) + " is not available: the engine's settings belong to the server");
    }
    if (word == "export" || word == "import") {
      return refuse(
          i, upper(word) +
                 " is not available: write single tables with COPY table TO 's3://bucket/key'");
    }
    if (word == "prepare" || word == "execute" || word == "deallocate") {
      return refuse(i, upper(word) + " is not available: send values as the request's params");
    }
    static const std::vector<std::string> known = {
        "select",    "from",     "with",    "values", "insert", "update", "delete",
        "merge",     "truncate", "create",  "alter",  "drop",   "copy",   "describe",
        "summarize", "show",     "explain", "pivot",  "begin",  "commit", "rollback"};
    const std::string near = did_you_mean(word, known);
    return Error(Code::kInvalidArgument,
                 "a statement cannot begin with '" +
                     std::string(script_.substr(
                         at(i).begin, std::min<std::size_t>(60, at(i).end - at(i).begin))) +
                     "'" + (near.empty() ? "" : ". Did you mean '" + upper(near) + "'?"),
                 place_in(script_, at(i).begin));
  }

  Status with(std::size_t i) {
    int depth = 0;
    for (std::size_t j = i + 1; j < last_; ++j) {
      if (at(j).is_sign('(')) ++depth;
      if (at(j).is_sign(')')) --depth;
      if (depth != 0 || at(j).kind != SqlToken::Kind::kWord) continue;
      const auto& word = at(j).value;
      if (word == "insert" || word == "update" || word == "delete" || word == "merge") {
        out_.head = upper(word);
        return change_rows(j, word);
      }
      if (word == "select" || word == "from" || word == "values" || word == "table" ||
          word == "pivot")
        break;
    }
    out_.head = "SELECT";
    out_.returns_rows = true;
    return {};
  }

  Status explain(std::size_t i) {
    bool runs = skip(i, {"analyze"});
    if (at(i).is_sign('(')) {
      for (; i < last_ && !at(i).is_sign(')'); ++i)
        runs = runs || at(i).is_word("analyze");
      ++i;
    }
    skip(i, {"verbose"});
    if (i >= last_) return refuse(i, "EXPLAIN of what? Write the statement behind it");
    Analyser inner(script_, tokens_, i, last_);
    STRATA_TRY(inner.head(i));
    if (runs) {  // EXPLAIN ANALYZE executes the statement
      out_.changes = inner.out_.changes;
      out_.defines = inner.out_.defines;
      out_.writes = inner.out_.writes;
      out_.lake_target = inner.out_.lake_target;
    } else if (inner.out_.lake_target) {
      return refuse(i, "EXPLAIN of COPY ... TO is not available: explain its query");
    }
    return {};
  }

  Status change_rows(std::size_t i, const std::string& word) {
    out_.changes = true;
    ++i;
    if (word == "insert" || word == "update") {
      if (skip(i, {"or"})) ++i;
    }
    skip(i, {"into"});
    skip(i, {"from"});
    if (word == "truncate") skip(i, {"table"});
    write_to(i, word != "truncate");
    return {};
  }

  Status create(std::size_t i) {
    out_.changes = out_.defines = true;
    skip(i, {"or", "replace"});
    bool temporary = false;
    while (at(i).is_word("temp") || at(i).is_word("temporary") || at(i).is_word("persistent") ||
           at(i).is_word("unique") || at(i).is_word("recursive") || at(i).is_word("local")) {
      temporary = temporary || at(i).value.starts_with("temp");
      ++i;
    }
    const std::string kind = at(i).value;
    static constexpr std::array kinds = {"table",    "view", "schema",   "macro",
                                         "function", "type", "sequence", "index"};
    if (!is_one_of(kinds, kind)) {
      return refuse(i,
                    "CREATE " + upper(kind) +
                        " is not available; tables, views, schemas, macros, types, sequences and "
                        "indexes can be created");
    }
    out_.head = "CREATE " + upper(kind);
    ++i;
    out_.conditional = skip(i, {"if", "not", "exists"});
    if (temporary) return {};
    if (kind == "table" || kind == "view") write_to(i, false);
    if (kind == "schema" && at(i).value == kSystemSchema) {
      return refuse(i, "the schema 'strata' is the server's own");
    }
    permanent_text_ = kind != "table";
    return {};
  }

  Status define(std::size_t i, const std::string& word) {
    out_.changes = out_.defines = true;
    ++i;
    if (word == "comment") skip(i, {"on"});
    const std::string kind = at(i).value;
    static constexpr std::array kinds = {"table", "view",     "schema", "macro", "function",
                                         "type",  "sequence", "index",  "column"};
    if (!is_one_of(kinds, kind))
      return refuse(i, upper(word) + " " + upper(kind) + " is not available");
    out_.head = upper(word) + " " + upper(kind);
    ++i;
    out_.conditional = skip(i, {"if", "exists"}) || (word == "alter" && changes_if_exists(i));
    if (word == "drop" && kind == "schema" && at(i).value == kSystemSchema) {
      return refuse(i, "the schema 'strata' is the server's own");
    }
    if (kind != "table" && kind != "view") return {};
    auto table = name(i);
    if (!table) return {};
    out_.writes.push_back({*table, word != "drop", {}});
    while (word == "drop" && at(i).is_sign(',')) {
      ++i;
      write_to(i, false);
    }
    if (word == "alter" && skip(i, {"rename", "to"}) && at(i).is_name()) {
      out_.writes.push_back({{table->schema, at(i).value}, true, table});
    }
    return {};
  }

  // ALTER TABLE t ADD COLUMN IF NOT EXISTS ..., DROP COLUMN IF EXISTS ...
  bool changes_if_exists(std::size_t i) const {
    for (; i < last_; ++i) {
      std::size_t j = i;
      if (skip(j, {"if", "not", "exists"}) || skip(j, {"if", "exists"})) return true;
    }
    return false;
  }

  Status copy(std::size_t i) {
    out_.changes = true;
    const std::size_t begin = i;
    int depth = 0;
    for (; i < last_; ++i) {
      if (at(i).is_sign('(')) ++depth;
      if (at(i).is_sign(')')) --depth;
      if (depth == 0 && (at(i).is_word("to") || at(i).is_word("from"))) break;
    }
    if (i >= last_ || i == begin)
      return refuse(begin,
                    "write COPY table FROM 's3://bucket/key' or COPY (query) TO 's3://bucket/key'");
    const bool to = at(i).is_word("to");
    const auto& place = at(i + 1);
    if (!is_lake_text(place) && !(!to && place.is_sign('['))) {
      return refuse(i + 1, std::string("COPY works on the lake: name the ") +
                               (to ? "target" : "source") + " as 's3://bucket/key'");
    }
    if (to) {
      auto path = lake_path(i + 1);
      if (!path) return std::move(path).error();
      if (path->key.empty() || has_pattern(path->key)) {
        return refuse(i + 1,
                      "COPY ... TO needs the whole key of the new object, without a pattern");
      }
      out_.head = "COPY TO";
      out_.lake_target = std::move(*path);
      return {};
    }
    out_.head = "COPY FROM";
    std::size_t j = begin;
    write_to(j, true);
    return {};
  }

  Result<LakePath> lake_path(std::size_t i) const {
    const std::string_view rest = std::string_view(at(i).value).substr(5);
    const auto slash = rest.find('/');
    LakePath path{std::string(rest.substr(0, slash)),
                  slash == std::string_view::npos ? "" : std::string(rest.substr(slash + 1)),
                  at(i).begin, at(i).end};
    if (path.bucket.empty() || path.key.empty()) {
      return invalid(place_in(script_, at(i).begin),
                     "'" + at(i).value + "' names no object: write 's3://bucket/key'");
    }
    if (has_pattern(path.bucket)) {
      return invalid(place_in(script_, at(i).begin),
                     "the bucket of '" + at(i).value + "' cannot be a pattern");
    }
    return path;
  }

  // A text is a file where the grammar reads one: behind FROM or JOIN, in a list there, or in a
  // reading function's call.
  Status find_lake_reads() {
    std::vector<std::string> calls;    // the function of each open bracket
    bool in_from = false;              // since FROM or JOIN only texts and commas came
    std::size_t list_depth = kNoList;  // how many brackets were open where the last FROM stood
    for (std::size_t i = first_; i < last_; ++i) {
      const auto& token = at(i);
      if (token.is_sign('(')) {
        calls.push_back(i > first_ && at(i - 1).is_name() ? to_lower(at(i - 1).value) : "");
      } else if (token.is_sign(')') && !calls.empty()) {
        calls.pop_back();
        if (list_depth != kNoList && list_depth > calls.size()) list_depth = kNoList;
      }
      if (token.is_sign('(') && reads_files(calls.back())) {
        STRATA_TRY(check_reader(i));
        note_file_names(i, calls.back());
      }
      // extract(year FROM 'text') and its kin read no table.
      const bool in_list = list_depth == calls.size() && i > first_ && at(i - 1).is_sign(',');
      const bool is_table = (in_from || in_list) && (calls.empty() || !takes_from(calls.back()));
      const bool other_text = token.kind == SqlToken::Kind::kText && !is_lake_text(token);
      const bool quoted_path =
          token.kind == SqlToken::Kind::kQuotedName && token.value.contains('/');
      if (is_table && (other_text || quoted_path)) {
        return refuse(i,
                      "SQL reads files of the lake only, named as a text: FROM 's3://bucket/key'; "
                      "names of tables stand "
                      "without quotes or in double quotes");
      }
      const bool file = is_table || (!calls.empty() && reads_files(calls.back()));
      if (is_lake_text(token) && file && !is_target(token)) {
        if (permanent_text_) {
          return refuse(
              i,
              "a definition cannot keep a lake path, because each query's rights are checked anew; "
              "make it a table: CREATE TABLE ... AS SELECT * FROM '" +
                  token.value + "'");
        }
        auto path = lake_path(i);
        if (!path) return std::move(path).error();
        out_.reads.push_back(std::move(*path));
      }
      if (token.is_word("from")) list_depth = calls.size();
      if (token.kind == SqlToken::Kind::kWord && is_one_of(kAfterFrom, token.value))
        list_depth = kNoList;
      in_from = token.is_word("from") || token.is_word("join") ||
                (in_from &&
                 (token.kind == SqlToken::Kind::kText || token.is_sign(',') || token.is_sign('[')));
    }
    return {};
  }
  // What a reading function reads must stand there as texts; anything computed could name what
  // nobody checked.
  Status check_reader(std::size_t open) const {
    std::size_t i = open + 1;
    const bool list = at(i).is_sign('[');
    if (list) ++i;
    bool good = is_lake_text(at(i));
    while (list && good && at(i + 1).is_sign(',')) {
      i += 2;
      good = is_lake_text(at(i));
    }
    if (list) good = good && at(++i).is_sign(']');
    if (good && (at(i + 1).is_sign(',') || at(i + 1).is_sign(')'))) return {};
    const std::string function = at(open - 1).value;
    return refuse(open + 1, "SQL reads files of the lake only, each named as a text: " + function +
                                "('s3://bucket/key')");
  }
  // The call whose bracket opens at `open`, if its rows name files.
  void note_file_names(std::size_t open, const std::string& function) {
    std::string column;
    if (function == "glob") column = "file";
    if (function == "read_text" || function == "read_blob") column = "filename";
    if (function.starts_with("parquet_")) column = "file_name";
    int depth = 0;
    std::size_t i = open;
    for (; i < last_; ++i) {
      if (at(i).is_sign('(')) ++depth;
      if (at(i).is_sign(')') && --depth == 0) break;
      if (depth != 1 || !at(i).is_word("filename")) continue;
      const std::size_t value = at(i + 1).is_sign(':') ? i + 3 : i + 2;
      if (!at(value - 1).is_sign('=')) continue;
      if (at(value).kind == SqlToken::Kind::kText) column = at(value).value;
      if (at(value).is_word("true") || at(value).value == "1") column = "filename";
    }
    if (column.empty() || i == last_) return;
    std::size_t name = open - 1;
    while (name >= first_ + 2 && at(name - 1).is_sign('.'))
      name -= 2;
    out_.file_names.push_back({at(name).begin, at(i).end, std::move(column)});
  }
  static bool takes_from(const std::string& function) {
    return function == "extract" || function == "trim" || function == "substring" ||
           function == "overlay";
  }
  bool is_target(const SqlToken& token) const {
    return out_.lake_target && out_.lake_target->begin == token.begin;
  }
  static bool reads_files(const std::string& function) {
    return function.starts_with("read_") || function.starts_with("parquet_") ||
           function == "sniff_csv" || function == "glob";
  }

  std::string_view script_;
  const Tokens& tokens_;
  std::size_t first_, last_;
  Statement out_;
  bool permanent_text_ = false;  // the statement's text is kept and runs again later
};

}  // namespace

Result<std::vector<Statement>> analyse_sql(std::string_view script) {
  auto tokens = tokenize_sql(script);
  if (!tokens) return std::move(tokens).error();
  std::vector<Statement> statements;
  std::size_t first = 0;
  for (std::size_t i = 0; i <= tokens->size(); ++i) {
    if (i < tokens->size() && !(*tokens)[i].is_sign(';')) continue;
    if (i > first) {
      auto statement = Analyser(script, *tokens, first, i).run();
      if (!statement) return std::move(statement).error();
      statements.push_back(std::move(*statement));
    }
    first = i + 1;
  }
  if (statements.empty()) return invalid("sql", "there is no statement in it");
  return statements;
}

}  // namespace strata::storage::warehouse
