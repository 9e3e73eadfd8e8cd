#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata::storage::warehouse {

// A word, name, text or sign of SQL in DuckDB's dialect; comments and blanks are left out.
struct SqlToken {
  enum class Kind : std::uint8_t { kWord, kQuotedName, kText, kNumber, kSign };
  Kind kind = Kind::kSign;
  std::string value;               // words in lower case, names and texts without their quotes
  std::size_t begin = 0, end = 0;  // where it stands, in bytes

  bool is_word(std::string_view word) const { return kind == Kind::kWord && value == word; }
  bool is_sign(char sign) const {
    return kind == Kind::kSign && value.size() == 1 && value[0] == sign;
  }
  bool is_name() const { return kind == Kind::kWord || kind == Kind::kQuotedName; }
};

// Errors: kInvalidArgument, field "sql:LINE:COLUMN", for a text, name or comment without an end.
Result<std::vector<SqlToken>> tokenize_sql(std::string_view sql);

struct TableName {
  std::string schema;
  std::string name;
  auto operator<=>(const TableName&) const = default;
  std::string to_string() const { return schema + "." + name; }
};

// Where a statement names lake objects: the text 's3://bucket/key', which may hold * ? [] patterns
// when it is read.
struct LakePath {
  std::string bucket;
  std::string key;
  std::size_t begin = 0, end = 0;  // the literal with its quotes, in the script
};

// The call of a table function whose rows name the files that it reads, such as read_text(...).
struct FileNames {
  std::size_t begin = 0, end = 0;  // the call in the script
  std::string column;              // in which the names stand
};

// A table or view that a statement changes.
struct TableWrite {
  TableName table;
  bool keeps = false;                 // what it held before stays part of it, as with INSERT
  std::optional<TableName> formerly;  // the name that it had before ALTER ... RENAME
};

// What is known of one statement from its text alone.
struct Statement {
  std::size_t begin = 0, end = 0;       // in the script, without the semicolon
  std::string head;                     // "SELECT", "CREATE TABLE", "COPY TO": for people
  bool returns_rows = false;            // a query, which can also be written to a file
  bool changes = false;                 // tables, other definitions or the lake
  bool defines = false;                 // creates, alters or drops something
  bool transaction = false;             // BEGIN, COMMIT and their kin
  bool conditional = false;             // by IF EXISTS or IF NOT EXISTS, it may define nothing
  std::vector<TableWrite> writes;       // tables and views that it changes
  std::vector<LakePath> reads;          // lake objects that it reads
  std::vector<FileNames> file_names;    // calls that tell which files they read
  std::optional<LakePath> lake_target;  // where COPY ... TO writes
};

// Splits a script and decides what each statement may do: only what serves queries and tables is
// let through; what would reach files, settings, extensions or other databases is refused here,
// before any engine sees it. Errors: kInvalidArgument or kUnsupported, field "sql:LINE:COLUMN",
// naming what to write instead.
Result<std::vector<Statement>> analyse_sql(std::string_view script);

// A script's text with parts replaced, that still knows where each byte came from.
class RewrittenSql {
 public:
  struct Change {
    std::size_t begin = 0, end = 0;
    std::string text;
  };
  // `changes` in rising order, not overlapping, within [begin, end) of `script`.
  RewrittenSql(std::string_view script, std::size_t begin, std::size_t end,
               const std::vector<Change>& changes);

  const std::string& text() const { return text_; }
  // The place in the script from which byte `at` of text() comes.
  std::size_t original(std::size_t at) const;

 private:
  struct Piece {
    std::size_t at, from;
    bool replaced;
  };
  std::string text_;
  std::vector<Piece> pieces_;
};

// Line and column, both from 1, columns in characters, of byte `at`.
std::pair<int, int> line_and_column(std::string_view script, std::size_t at);
// Error.field for a place in the script: "sql:2:8".
std::string place_in(std::string_view script, std::size_t at);

// 'text' with its quotes doubled as SQL wants it; the same for "names".
std::string quote_sql_text(std::string_view text);
std::string quote_sql_name(std::string_view name);

// Whether `key` fits the pattern by the engine's rules: * and ? and [] stay within a path segment,
// ** is any depth.
bool matches_pattern(std::string_view pattern, std::string_view key);
bool has_pattern(std::string_view text);

}  // namespace strata::storage::warehouse
